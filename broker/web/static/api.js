// Calls of the broker's HTTP API, the same that a script would make.

/** Where the pages are, and the API above them: both may be below a proxy's path. */
export const ui = new URL(document.documentElement.dataset.ui, location.href);
export const api = new URL("../", ui);

/** A refusal. `field` is the field of the body that the message names, if any. */
export class Refused extends Error {
  constructor(message, code, status, delay, content) {
    const named = /^([a-z_0-9]+): ([\s\S]+)$/i.exec(message);
    super(sentence(named ? named[2] : message));
    this.field = named ? named[1] : null;
    this.code = code;
    this.status = status;
    this.delay = delay;
    this.content = content;
  }
}

/** `content` of the answer. Throws `Refused`. */
export async function call(method, path, body, headers = {}) {
  const sent = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  let response;
  try {
    // A small one arrives also when the page is left meanwhile; browsers take 64 kB of those.
    const keepalive = method !== "GET" && (sent ?? "").length < 10000;
    response = await fetch(new URL(path, api), { method, body: sent, headers, keepalive });
  } catch {
    throw new Refused("The broker cannot be reached; try again in a moment", "unreachable", 0);
  }
  if (response.status === 204) {
    return {};
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Refused(`The answer is not JSON (status ${response.status})`, "unreadable", response.status);
  }
  if (!answer.ok) {
    if (answer.code === "not_logged_in") {
      signIn();
    }
    throw new Refused(answer.message, answer.code, response.status, answer.rate_limit_delay, answer.content);
  }
  return answer.content ?? {};
}

export const get = (path, headers) => call("GET", path, undefined, headers);
export const post = (path, body, headers) => call("POST", path, body, headers);

/** Leaves for the sign-in page, to come back afterwards. */
export function signIn() {
  const here = location.href.slice(ui.href.length);
  go(here ? `sign-in?next=${encodeURIComponent(here)}` : "sign-in");
}

/** To a place below /ui/; to nowhere else, whatever `place` says. */
export function go(place) {
  const target = new URL(place, ui);
  location.assign(target.href.startsWith(ui.href) ? target : ui);
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
