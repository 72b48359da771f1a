// Submits lines in calls of a few hundred tasks, and waits when the broker answers rate_limited.
import { badLines, lines } from "./lines.js";

const TASKS = 500; // in one call
const BYTES = 4 << 20; // in one call
const PAUSE = 500; // ms, when the broker names no delay

/** Returns the new task's id. */
export async function submitOne(send, task) {
  return (await patient(send, "task/submit", JSON.stringify(task))).task_id;
}

/** Returns {submitted, duplicates}. Calls `progress(counts, share)` after each part. A bad line throws before the first. */
export async function submitMany(send, source, options, progress) {
  const counts = { submitted: 0, duplicates: 0 };
  await check(source, options);
  let part = [];
  let size = 0;
  let share = 0;
  const flush = async () => {
    const body = `{"requests":[${part.join(",")}]}`;
    const first = counts.submitted + counts.duplicates;
    const content = await patient(send, "task/bulk_submit", body, options.stopped).catch((error) => {
      throw located(error, first, part.length);
    });
    counts.submitted += content.submitted;
    counts.duplicates += content.duplicates;
    part = [];
    size = 0;
    progress(counts, share);
  };
  for await (const [line, number, read] of lines(source, fail)) {
    if (options.stopped()) {
      return counts;
    }
    const request = requestOf(line, options);
    if (part.length && size + request.length > BYTES) {
      await flush();
    }
    part.push(request);
    size += request.length;
    share = source.size ? read / source.size : 1;
    if (part.length === TASKS) {
      await flush();
    }
  }
  if (part.length && !options.stopped()) {
    share = 1;
    await flush();
  }
  return counts;
}

/** Throws an error that names the bad lines. */
async function check(source, options) {
  const bad = badLines();
  for await (const [line, number] of lines(source, bad.add)) {
    if (options.stopped()) {
      return;
    }
    try {
      requestOf(line, options);
    } catch (error) {
      bad.add(number, error);
    }
  }
  bad.none();
}

/** Called only if the file has changed since all its lines were checked. */
function fail(number, error) {
  throw new Error(`Line ${number}: ${error.message}`);
}

/** One line as the JSON of a task. The text of an object is kept, because JSON.parse would round numbers of 64 bits. */
function requestOf(line, { project, common, unique }) {
  const fields = { project, ...common };
  if (/^[\t\v\f ]*\{/.test(line)) {
    let given;
    try {
      given = JSON.parse(line);
    } catch (error) {
      throw new Error(`it looks like JSON, but is not valid: ${error.message}`);
    }
    for (const name of Object.keys(given)) {
      delete fields[name];
    }
    if (given.not_before) {
      delete fields.delay;
    }
    if ("project" in given && given.project !== project) {
      throw new Error(`it names another project: ${given.project}`);
    }
    const hashed = ["hash64", "hash_u64", "unique_string", "unique_str"].some((name) => given[name] != null);
    if (unique && !hashed && typeof given.recipe === "string") {
      fields.unique_string = given.recipe;
    }
    const before = JSON.stringify(fields).slice(0, -1);
    const rest = line.trim().slice(1).trimStart();
    return rest === "}" || before === "{" ? before + rest : `${before},${rest}`;
  }
  return JSON.stringify({ ...fields, recipe: line, ...(unique ? { unique_string: line } : {}) });
}

/** Makes the call, and repeats it while the broker answers rate_limited. */
async function patient(send, path, body, stopped = () => false) {
  for (;;) {
    try {
      return await send(path, body);
    } catch (error) {
      if (error.code !== "rate_limited" || stopped()) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.ceil(error.delay * 1000) || PAUSE));
    }
  }
}

/** The error with its place among all tasks, instead of `requests[3]` of this part. */
function located(error, first, count) {
  const named = /^requests\[(\d+)\]/.exec(error.message) ?? /^Requests\[(\d+)\]/.exec(error.message);
  const where = named ? `task ${first + Number(named[1]) + 1}` : `tasks ${first + 1} to ${first + count}`;
  error.message = `At ${where}, after ${first.toLocaleString("en")} were submitted: ${error.message}`;
  error.field = null;
  return error;
}
