// A decision about a row of a list is carried out after some seconds, in which it can be undone. The row stays in its
// place until then, so that a second click does not hit another row.
import { refresh } from "./live.js";

const SECONDS = 5;
const SECOND_CLICK = 600; // ms in which a click may be meant for the button that was in this place before
const waiting = new Map(); // row -> {carryOut, timer}

/** Calls `act`, which returns whether it succeeded, after the seconds, and shows the text `doing` until then. */
export function decide(button, doing, act) {
  const cell = button.parentElement;
  const row = button.closest("[data-key]") ?? cell;
  const note = document.createElement("span");
  const undo = document.createElement("button");
  note.append(`${doing}… `, undo);
  note.className = "undo";
  Object.assign(undo, { type: "button", className: "button small", textContent: "Undo" });
  undo.setAttribute("aria-label", `Undo: ${button.getAttribute("aria-label") ?? button.textContent}`);
  const focused = button === document.activeElement;
  const restore = () => {
    clearTimeout(waiting.get(row)?.timer);
    waiting.delete(row);
    delete row.dataset.decided;
    note.remove();
    hide(cell, false);
  };
  const carryOut = async () => {
    clearTimeout(waiting.get(row)?.timer);
    waiting.delete(row);
    undo.remove();
    if (await act()) {
      // The page updates the row from now on; most lists no longer have it.
      delete row.dataset.decided;
      await refresh();
    } else {
      restore();
    }
  };
  const from = performance.now();
  undo.addEventListener("click", (event) => {
    if (event.detail < 2 && performance.now() - from > SECOND_CLICK) {
      restore();
      button.focus();
    }
  });
  row.dataset.decided = "";
  hide(cell, true);
  cell.append(note);
  if (focused) {
    undo.focus({ preventScroll: true });
  }
  waiting.set(row, { carryOut, timer: setTimeout(carryOut, SECONDS * 1000) });
}

function hide(cell, hidden) {
  for (const other of cell.querySelectorAll(":scope > :not(.undo)")) {
    other.hidden = hidden;
  }
}

function carryOutAll() {
  for (const { carryOut } of [...waiting.values()]) {
    carryOut();
  }
}

/** Carries out all decisions when the page is left or hidden. */
export function watchDecisions() {
  addEventListener("pagehide", carryOutAll);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      carryOutAll();
    }
  });
}
