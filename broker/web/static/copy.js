// Buttons with data-copy: they copy the element that they name, or the one just before them.
import { say } from "./say.js";

export function watchCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) {
      return;
    }
    const source = button.dataset.copy ? document.getElementById(button.dataset.copy) : button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(source.dataset.value ?? source.textContent);
      say("Copied");
    } catch {
      // Only pages that came over https or from this machine may write to the clipboard.
      getSelection().selectAllChildren(source);
      say("Selected: copy it with Ctrl-C");
    }
  });
}
