// Buttons with data-copy: they copy the text of the element with that id, or of the element just before them.
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
      // Browsers allow the clipboard only for pages that were loaded over https or from this machine.
      getSelection().selectAllChildren(source);
      say("Selected: copy it with Ctrl-C");
    }
  });
}
