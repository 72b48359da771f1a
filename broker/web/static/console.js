// The console: submits tasks as a worker, one at a time, or many from a file or a text.
import { Refused, api, ui } from "./api.js";
import { enable } from "./forms.js";
import { submitOne, submitMany } from "./submit.js";
import { callAs, workerFor } from "./worker.js";

const form = document.getElementById("console");
const field = (name) => document.getElementById(name);
const outcome = field("outcome");
const NUMBERS = { priority: 0, max_retries: 0, max_assign_time: 0, verification_count: 1, delay: 0 };
let stopped = false;

const many = () => field("mode-many").checked;
const project = () => Number(field("project").value);

/** The fields that all tasks of the form have; those at their default are left out. */
function common() {
  const fields = {};
  for (const [name, usual] of Object.entries(NUMBERS)) {
    const input = field(name);
    if (!input.checkValidity()) {
      throw new Refused(`${name}: ${input.validationMessage}`, "invalid");
    }
    if (input.valueAsNumber !== usual) {
      fields[name] = input.valueAsNumber;
    }
  }
  if (field("group").value) {
    fields.group = field("group").value;
  }
  return fields;
}

function task() {
  const unique = field("unique_string").value || (field("unique").checked && field("recipe").value);
  return { project: project(), recipe: field("recipe").value, ...common(), ...(unique ? { unique_string: unique } : {}) };
}

function example() {
  try {
    return many() ? { requests: [{ project: project(), recipe: "...", ...common() }] } : task();
  } catch {
    return null;
  }
}

/** Shows the same call for a shell. */
function showCurl() {
  const body = example();
  if (!body) {
    return;
  }
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [
    `curl ${quoted(new URL(many() ? "task/bulk_submit" : "task/submit", api).href)}`,
    "-H 'X-Worker-ID: ID'",
    "-H 'X-Secret: SECRET'",
    `-d ${quoted(JSON.stringify(body))}`,
  ];
  const text = lines.join(" \\\n  ");
  const box = field("curl");
  box.textContent = text;
  const worker = workerFor(form);
  box.dataset.value = worker ? text.replace(": ID'", `: ${worker.id}'`).replace(": SECRET'", `: ${worker.secret}'`) : text;
  if (worker) {
    field("curl-note").textContent = `Copied with the id and secret of worker ${worker.id}; the secret is not shown here.`;
  }
}

function tell(text, kind = "good") {
  outcome.textContent = text;
  outcome.dataset.kind = kind;
}

/** The same, with a link to the new tasks. */
function tellOf(text, label, place) {
  const link = document.createElement("a");
  link.href = new URL(`projects/${project()}/tasks${place}`, ui);
  link.textContent = label;
  tell(text);
  outcome.append(link);
}

async function run() {
  for (const place of form.querySelectorAll(".error")) {
    place.hidden = true;
  }
  if (!project()) {
    throw new Refused("Choose a project first", "invalid");
  }
  if (many()) {
    const chosen = field("file").files[0];
    const source = chosen ?? new Blob([field("lines").value]);
    await runMany(source);
    return;
  }
  if (!field("recipe").value) {
    throw new Refused("recipe: Write what the worker shall do", "invalid");
  }
  const id = await submitOne(callAs(form, project()), task());
  tellOf("Submitted: ", `task ${id}`, `/${id}`);
  field("recipe").select();
}

async function runMany(source) {
  const bar = field("progress").firstElementChild;
  field("progress").hidden = field("stop").hidden = false;
  stopped = false;
  try {
    const options = { project: project(), common: common(), unique: field("unique").checked, stopped: () => stopped };
    const total = await submitMany(callAs(form, project()), source, options, (counts, share) => {
      bar.value = share;
      tell(summary(counts), "busy");
    });
    if (total.submitted + total.duplicates === 0) {
      throw new Refused("lines: There is no line to submit: write some, or choose a file", "invalid");
    }
    tellOf(`${stopped ? "Stopped" : "Done"}: ${summary(total)}. `, "Show the tasks", "");
  } finally {
    field("progress").hidden = field("stop").hidden = true;
  }
}

function summary({ submitted, duplicates }) {
  const tasks = `${submitted.toLocaleString("en")} ${submitted === 1 ? "task" : "tasks"} submitted`;
  return `${tasks}, ${duplicates.toLocaleString("en")} ${duplicates === 1 ? "duplicate" : "duplicates"}`;
}

function show(error) {
  if (error.code === "duplicate" && !field("unique_string").value) {
    tell("Nothing was submitted: the project has this task already, or remembers it. To submit it once more, do not refuse duplicates.", "bad");
    return;
  }
  const name = error.field === "unique_str" ? "unique_string" : error.field;
  const place = name && field(`${name}-error`);
  if (place && !place.closest("[hidden]:not(.error)")) {
    place.closest("details")?.setAttribute("open", "");
    place.textContent = error.message;
    place.hidden = false;
    tell("");
    field(name).focus();
  } else {
    tell(error.message, "bad");
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.dataset.busy) {
    return;
  }
  form.dataset.busy = "yes";
  tell("Submitting…", "busy");
  try {
    await run();
  } catch (error) {
    show(error);
  } finally {
    delete form.dataset.busy;
    showCurl();
  }
});
field("stop").addEventListener("click", () => {
  stopped = true;
});
form.addEventListener("input", () => {
  field("one").hidden = field("only-one").hidden = many();
  field("many").hidden = !many();
  showCurl();
});
// A search has changed the projects that can be chosen.
document.addEventListener("refreshed", showCurl);
form.dispatchEvent(new Event("input"));
enable("[data-wait=late]");
