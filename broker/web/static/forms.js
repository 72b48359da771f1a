// Forms and buttons with data-call: sends their values to the API as JSON, and shows an error beside its field.
import { go, post } from "./api.js";
import { ask } from "./ask.js";
import { refresh, settled } from "./live.js";
import { say } from "./say.js";
import { decide } from "./undo.js";

export function watchForms() {
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-call]")) {
      event.preventDefault();
      send(event.target, event.target, body(event.target));
    }
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-call]");
    // The second click of a double click may be on another button, which replaced the first.
    if (button && event.detail < 2) {
      press(button);
    }
    const reveal = event.target.closest("button[data-reveal]");
    if (reveal) {
      const field = document.getElementById(reveal.dataset.reveal);
      // A textarea has no type "password".
      const hides = field.matches("textarea") ? field.classList.toggle("masked") : field.type !== "password";
      if (field.matches("input")) {
        field.type = hides ? "password" : "text";
      }
      reveal.setAttribute("aria-pressed", String(!hides));
      reveal.textContent = hides ? "Show" : "Hide";
    }
  });
  for (const box of document.querySelectorAll("[data-unlimited]")) {
    const field = document.getElementById(box.dataset.unlimited);
    const follow = () => {
      field.disabled = box.checked;
      field.required = !box.checked;
    };
    box.addEventListener("change", follow);
    follow();
  }
}

/** Enables buttons, once the module that handles them is loaded. */
export function enable(which) {
  for (const button of document.querySelectorAll(which)) {
    button.disabled = false;
  }
}

async function press(button) {
  await settled();
  if (!button.isConnected) {
    return;
  }
  // A copy: the page may update the button before the question is answered.
  const said = { ...button.dataset };
  const { confirm, yes, typed, undo } = said;
  if (confirm && !(await ask(button.getAttribute("aria-label") ?? yes, confirm, yes, typed))) {
    return;
  }
  const act = () => send(button, null, said.body ? JSON.parse(said.body) : undefined, said);
  await (undo ? decide(button, undo, act) : act());
}

/** Makes the call of `owner`, a form or a button. Returns whether it succeeded. A listener of `sending` may stop it. */
async function send(owner, form, values, said = { ...owner.dataset }) {
  const { call, done, pending, then, next } = said;
  if (owner.dataset.busy || (form && !form.dispatchEvent(new CustomEvent("sending", { cancelable: true })))) {
    return false;
  }
  owner.dataset.busy = "yes";
  clear(form);
  try {
    const content = await post(call, values);
    if ("leave" in said) {
      forgetConsole();
    }
    if (done) {
      say(filled((content.pending && pending) || done, content));
    }
    await follow(filled(then ?? "stay", content), next);
    return true;
  } catch (error) {
    show(error, form);
    return false;
  } finally {
    delete owner.dataset.busy;
  }
}

async function follow(then, next) {
  if (then === "next") {
    go(next ?? "");
  } else if (then.startsWith("go:")) {
    go(then.slice(3));
  } else if (then === "reload") {
    location.reload();
  } else if (then === "refresh") {
    await refresh();
  }
}

/** The values of a form as the API takes them, disabled fields included. */
export function body(form) {
  const values = {};
  for (const field of form.elements) {
    const { name, value } = field;
    if (!name) {
      continue;
    }
    switch (field.dataset.kind) {
      case "integer":
        values[name] = Number.parseInt(value, 10);
        break;
      case "flag":
        values[name] = field.checked;
        break;
      case "rate":
        values[name] = field.disabled ? 0 : Number(value);
        break;
      case "own":
        // Empty means the project's setting, which is -1 in the API.
        values[name] = value === "" ? -1 : Number(value);
        break;
      case "bit":
        values[name] = (values[name] ?? 0) + (field.checked ? Number(value) : 0);
        break;
      case "visibility":
        if (field.checked) {
          values.public = value === "public";
          values.hidden = value === "hidden";
        }
        break;
      default:
        values[name] = value;
    }
  }
  return values;
}

function clear(form) {
  for (const place of form?.querySelectorAll(".error") ?? []) {
    place.hidden = true;
  }
  for (const field of form?.querySelectorAll("[aria-invalid]") ?? []) {
    field.removeAttribute("aria-invalid");
  }
}

/** Shows an error at the field that it is about, or else in the status line. */
export function show(error, form) {
  const codes = Object.fromEntries((form?.dataset.codes ?? "").split(" ").map((pair) => pair.split("=")));
  const name = error.field ?? codes[error.code];
  const field = name && form?.elements.namedItem(name);
  const place = (name && form?.querySelector(`#${CSS.escape(name)}-error`)) || form?.querySelector(".error[role=alert]");
  if (!place) {
    say(error.message, "bad");
    return;
  }
  place.textContent = error.message;
  place.hidden = false;
  if (field instanceof HTMLElement) {
    field.setAttribute("aria-invalid", "true");
    field.focus();
  } else {
    place.scrollIntoView({ block: "nearest" });
  }
}

/** Fills in a text: `{name}` is a field of the answer, `{name tasks}` a count with its noun. */
function filled(text, content) {
  return text.replace(/\{(\w+)( \w+)?\}/g, (whole, name, noun = "") => {
    const value = content[name];
    const shown = typeof value === "number" && !text.startsWith("go:") ? value.toLocaleString("en") : String(value ?? "");
    return shown + (value === 1 ? noun.replace(/s$/, "") : noun);
  });
}

/** The console's worker belongs to the manager who signs out. */
function forgetConsole() {
  for (const key of Object.keys(localStorage).filter((key) => key.startsWith("console-worker:"))) {
    localStorage.removeItem(key);
  }
}
