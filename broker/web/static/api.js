// Calls of the broker's HTTP API.

/** The URLs of the pages and of the API. Both may be below a path of a proxy. */
export const ui = new URL(document.documentElement.dataset.ui, location.href);
export const api = new URL("../", ui);

/** An error of the API. `field` is the field of the body that the message names, or null. */
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

/** Returns `content` of the answer. Throws `Refused`. */
export async function call(method, path, body, headers = {}) {
  const sent = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  let response;
  try {
    // With keepalive, a call also arrives when the page is left meanwhile. Browsers allow it for 64 kB in all.
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

/** Goes to the sign-in page, which leads back here. */
export function signIn() {
  const here = location.href.slice(ui.href.length);
  go(here ? `sign-in?next=${encodeURIComponent(here)}` : "sign-in");
}

/** Goes to a place below /ui/. A `place` elsewhere leads to the overview, for safety. */
export function go(place) {
  const target = new URL(place, ui);
  location.assign(target.href.startsWith(ui.href) ? target : ui);
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
