// Regions with data-live update themselves: the page is read again, and what has changed in them is changed here.
import { signIn, ui } from "./api.js";
import { morph } from "./morph.js";
import { updateTimes } from "./times.js";

const every = Number(document.body.dataset.every ?? 0) * 1000;
const connection = document.getElementById("connection");
const AIMING = 4000; // ms after the last move of the pointer in which it may be about to press a button
let timer;
let reading = 0;
let moved = -Infinity;
let typed = null; // what applies a filter that somebody is still typing
let filtered = null; // the page is being read for a filter

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

/** When the page shows what its filters say: what a button means may depend on that. */
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

/** Reads the page again. Of several at once the last one counts. `gently`: what the pointer aims at stays in its place. */
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
      // It was deleted meanwhile; the page that says so has other regions.
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

/** Whether the pointer may be about to press a button of a row, which would otherwise move away below it. */
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

/** Fields with data-find: what they hold is searched on the server, and the choices beside them are those found. */
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
    // It is a field of a form that does something else.
    if (event.key === "Enter" && event.target.matches("[data-find]")) {
      event.preventDefault();
    }
  });
}

/** A form whose fields are the query of the page. */
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
