// Regions with data-live update themselves: the page is read again every few seconds, and its changes in them are copied.
import { signIn, ui } from "./api.js";
import { morph } from "./morph.js";
import { updateTimes } from "./times.js";

const every = Number(document.body.dataset.every ?? 0) * 1000;
const connection = document.getElementById("connection");
const AIMING = 4000; // ms after the last move of the pointer in which a button may be about to be pressed
let timer;
let reading = 0;
let moved = -Infinity;
let typed = null; // applies the filter that is being typed
let filtered = null; // the reading of the page for a filter, a promise

export function watchLive() {
  for (const form of document.querySelectorAll("form[data-filter]")) {
    watchFilter(form);
  }
  watchFind();
  document.addEventListener("pointermove", () => {
    moved = performance.now();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      refresh();
    }
  });
  plan();
}

/** Waits until the page shows what its filters say, because what a button does may depend on them. */
export async function settled() {
  typed?.();
  await filtered;
}

function plan() {
  clearTimeout(timer);
  if (every) {
    timer = setTimeout(() => (document.hidden ? plan() : refresh(true)), every);
  }
}

/** Reads the page again. Of several calls, the last one counts. `gently`: rows under the pointer stay in their place. */
export async function refresh(gently = false) {
  const mine = ++reading;
  clearTimeout(timer);
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    const page = await response.text();
    if (mine !== reading) {
      return;
    }
    if (response.redirected && response.url.startsWith(new URL("sign-in", ui).href)) {
      signIn();
      return;
    }
    if (response.status === 404) {
      // What the page shows was deleted. The page that says so has other regions.
      location.reload();
      return;
    }
    if (!response.ok) {
      throw new Error(`status ${response.status}`);
    }
    replace(new DOMParser().parseFromString(page, "text/html"), gently);
    lost(false);
  } catch {
    lost(mine === reading);
  }
  plan();
}

function replace(fresh, gently) {
  for (const region of document.querySelectorAll("[data-live]")) {
    const now = fresh.querySelector(`[data-live="${CSS.escape(region.dataset.live)}"]`);
    if (now && !(gently && isAimedAt(region))) {
      morph(region, now);
    }
  }
  updateTimes();
  document.dispatchEvent(new CustomEvent("refreshed"));
}

/** Whether a button of a row may be about to be pressed: an update could put another button under the pointer. */
function isAimedAt(region) {
  return performance.now() - moved < AIMING && region.querySelector("tr .buttons:hover") !== null;
}

function lost(away) {
  connection.hidden = !away;
  const text = away ? "No connection to the broker; retrying" : "";
  if (connection.textContent !== text) {
    connection.textContent = text;
  }
}

/** Fields with data-find: the server searches for their text, and the choices beside them are what it found. */
function watchFind() {
  let typing;
  document.addEventListener("input", ({ target }) => {
    if (target.matches("[data-find]")) {
      clearTimeout(typing);
      typing = setTimeout(() => {
        const query = new URLSearchParams(location.search);
        query.set("find", target.value);
        history.replaceState(null, "", `?${query}`);
        refresh();
      }, 200);
    }
  });
  document.addEventListener("keydown", (event) => {
    // Enter would send the form, which does something else.
    if (event.key === "Enter" && event.target.matches("[data-find]")) {
      event.preventDefault();
    }
  });
}

/** Filters the page by a form, whose fields are the query of its URL. */
function watchFilter(form) {
  let typing;
  const apply = () => {
    clearTimeout(typing);
    typed = null;
    const query = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...query]) {
      if (!value) {
        query.delete(name);
      }
    }
    history.replaceState(null, "", `?${query}`);
    filtered = refresh();
  };
  form.addEventListener("input", () => {
    clearTimeout(typing);
    typed = apply;
    typing = setTimeout(apply, 200);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
}
