// Submitting lines: in calls of a few hundred tasks, waiting where the project's rate says so.

const TASKS = 500; // of one call: the broker takes them in one step
const BYTES = 4 << 20; // of one call
const PAUSE = 500; // ms, where the broker names none

/** The new task's id. */
export async function submitOne(send, task) {
  return (await patient(send, "task/submit", JSON.stringify(task))).task_id;
}

/** Counts {submitted, duplicates}; `progress(counts, share)` is called after each part. */
export async function submitMany(send, source, options, progress) {
  const counts = { submitted: 0, duplicates: 0 };
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
  for await (const [line, number, read] of lines(source)) {
    if (options.stopped()) {
      return counts;
    }
    const request = requestOf(line, number, options);
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

/** One line as the JSON of a task. Objects are spliced in as they were written: numbers of 64 bits stay exact. */
function requestOf(line, number, { project, common, unique }) {
  const fields = { project, ...common };
  if (line.startsWith("{")) {
    let given;
    try {
      given = JSON.parse(line);
    } catch (error) {
      throw Object.assign(error, { message: `Line ${number} begins like JSON, but is none: ${error.message}` });
    }
    for (const name of Object.keys(given)) {
      delete fields[name];
    }
    if ("project" in given && given.project !== project) {
      throw new Error(`Line ${number} names another project: ${given.project}`);
    }
    const hashed = ["hash64", "hash_u64", "unique_string", "unique_str"].some((name) => given[name] != null);
    if (unique && !hashed && typeof given.recipe === "string") {
      fields.unique_string = given.recipe;
    }
    const before = JSON.stringify(fields).slice(0, -1);
    const rest = line.slice(1).trimStart();
    return rest === "}" || before === "{" ? before + rest : `${before},${rest}`;
  }
  return JSON.stringify({ ...fields, recipe: line, ...(unique ? { unique_string: line } : {}) });
}

/** [line, its number, bytes read], without empty ones. */
async function* lines(source) {
  const reader = source.stream().getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let number = 0;
  let read = 0;
  for (;;) {
    const { done, value } = await reader.read();
    read += value?.length ?? 0;
    const split = (rest + decoder.decode(value ?? new Uint8Array(), { stream: !done })).split("\n");
    rest = done ? "" : split.pop();
    for (const line of split) {
      number += 1;
      if (line.trim()) {
        yield [line.trim(), number, read];
      }
    }
    if (done) {
      return;
    }
  }
}

/** Waits and repeats while the broker says that it is too much at once. */
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

/** requests[3] of this part, as the place in the whole. */
function located(error, first, count) {
  const named = /^requests\[(\d+)\]/.exec(error.message) ?? /^Requests\[(\d+)\]/.exec(error.message);
  const where = named ? `task ${first + Number(named[1]) + 1}` : `tasks ${first + 1} to ${first + count}`;
  error.message = `At ${where}, after ${first.toLocaleString("en")} were taken: ${error.message}`;
  error.field = null;
  return error;
}
