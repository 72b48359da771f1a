// The question before an action that cannot be undone.

const dialog = document.getElementById("ask");
const input = document.getElementById("ask-input");
const yes = document.getElementById("ask-yes");

/** Returns whether the answer was yes. With `typed`, yes is possible only after these words were typed. */
export function ask(title, text, label, typed) {
  document.getElementById("ask-title").textContent = `${title}?`;
  document.getElementById("ask-text").textContent = text;
  document.getElementById("ask-typed").hidden = !typed;
  yes.textContent = label ?? title;
  input.value = "";
  input.required = Boolean(typed);
  if (typed) {
    document.querySelector("#ask-typed label").textContent = `Type “${typed}” to continue`;
  }
  const check = () => {
    yes.disabled = Boolean(typed) && input.value.trim() !== typed;
  };
  check();
  input.addEventListener("input", check);
  dialog.returnValue = "";
  dialog.showModal();
  (typed ? input : dialog.querySelector("button[value='']")).focus();
  return new Promise((resolve) => {
    const pressed = (event) => {
      // Enter in the field means yes. By default it presses the first button of the form, which is no.
      if (event.key === "Enter") {
        event.preventDefault();
        if (!yes.disabled) {
          dialog.close("yes");
        }
      }
    };
    input.addEventListener("keydown", pressed);
    const closed = () => {
      input.removeEventListener("input", check);
      input.removeEventListener("keydown", pressed);
      resolve(dialog.returnValue === "yes");
    };
    dialog.addEventListener("close", closed, { once: true });
  });
}
