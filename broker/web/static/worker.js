// The worker that the console submits as: this browser's own, or one that the form names.
import { Refused, call, post } from "./api.js";

/** {id, secret}, or null. */
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

/** A function that makes a worker's calls, and lets this browser's own worker into the project when that is needed. */
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

/** Asks for access, and accepts it, if this manager may. */
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
