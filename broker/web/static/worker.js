// The worker with which the console submits: this browser's own, or the one that the form names.
import { Refused, call, post } from "./api.js";

/** The worker as {id, secret}, or null if this browser has none yet. */
export function workerFor(form) {
  const id = form.elements.worker_id.value.trim();
  if (id) {
    return { id, secret: form.elements.worker_secret.value.trim(), given: true };
  }
  return JSON.parse(localStorage.getItem(key(form)) ?? "null");
}

function key(form) {
  return `console-worker:${form.dataset.manager}`;
}

async function make(form) {
  const { worker } = await post("worker/create", { alias: form.dataset.alias });
  localStorage.setItem(key(form), JSON.stringify({ id: worker.id, secret: worker.secret }));
  return workerFor(form);
}

/** Returns a function that makes calls as the worker. It gets access for this browser's own worker if needed. */
export function callAs(form, project) {
  return async (path, body) => {
    const worker = workerFor(form) ?? (await make(form));
    const headers = { "X-Worker-ID": String(worker.id), "X-Secret": worker.secret };
    try {
      return await call("POST", path, body, headers);
    } catch (error) {
      if (error.code === "bad_credentials" && !worker.given) {
        localStorage.removeItem(key(form));
        throw new Refused("The broker no longer knows this browser's worker: submit again to create a new one", "gone");
      }
      if (error.code !== "denied" || worker.given) {
        throw error;
      }
      await letIn(project, worker, headers);
      return call("POST", path, body, headers);
    }
  };
}

/** Requests access for the worker, and accepts the request if this manager may. Throws `Refused` otherwise. */
async function letIn(project, worker, headers) {
  try {
    await call("POST", "project/request_access", { project, submit: true, assign: false }, headers);
  } catch (error) {
    if (error.code !== "already_asked") {
      throw error;
    }
  }
  try {
    await post(`project/accept_request/${project}/${worker.id}`);
  } catch (error) {
    if (error.code !== "denied") {
      throw error;
    }
    const asked = `Your worker (${worker.id}) has requested access: a manager of the project must accept the request first`;
    throw new Refused(asked, "asked");
  }
}
