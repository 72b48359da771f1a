// A form that creates a token, which the page then shows once.
import { post } from "./api.js";
import { show } from "./forms.js";
import { refresh } from "./live.js";

const form = document.getElementById("token-form");
const shown = document.getElementById("new-token");
const token = document.getElementById("token");

/** Creates a token with `call` when the form is sent. `body` makes the body of the call from the form's fields. */
export function createsTokens(call, body) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    for (const place of form.querySelectorAll(".error")) {
      place.hidden = true;
    }
    button.disabled = true;
    try {
      token.textContent = (await post(call, body(form.elements))).token;
      shown.hidden = false;
      shown.querySelector("button").focus();
      await refresh();
    } catch (error) {
      show(error, form);
    }
    button.disabled = false;
  });

  document.getElementById("token-kept").addEventListener("click", () => {
    token.textContent = "";
    shown.hidden = true;
    form.querySelector("button").focus();
  });
}
