// The page of a project's access: accepts all selected requests with one call, and shows a new join token once.
import { post } from "./api.js";
import { enable } from "./forms.js";
import { refresh } from "./live.js";
import { createsTokens } from "./new_token.js";
import { say } from "./say.js";

const requests = document.querySelector("[data-live=requests]");
const form = document.getElementById("token-form");
const { project } = form.dataset;

const boxes = () => [...requests.querySelectorAll("tbody tr:not([data-decided]) input[data-select]")];

/** Updates the button and the box in the head of the table to what is selected; called also when the rows change. */
function follow() {
  const button = document.getElementById("accept-selected");
  const all = requests.querySelector("input[data-select-all]");
  const selected = boxes().filter((box) => box.checked).length;
  if (button) {
    button.disabled = !selected;
    button.textContent = selected ? `Accept ${selected} selected` : "Accept selected";
  }
  if (all) {
    all.checked = selected > 0 && selected === boxes().length;
    all.indeterminate = selected > 0 && !all.checked;
  }
}

requests.addEventListener("change", ({ target }) => {
  if ("selectAll" in target.dataset) {
    for (const box of boxes()) {
      box.checked = target.checked;
    }
  }
  follow();
});
document.addEventListener("refreshed", follow);

requests.addEventListener("click", async (event) => {
  const button = event.target.closest("#accept-selected");
  if (!button || event.detail > 1) {
    return;
  }
  const workers = boxes().filter((box) => box.checked).map((box) => Number(box.value));
  button.disabled = true;
  try {
    const { accepted } = await post(`project/accept_requests/${project}`, { workers });
    say(`${accepted} ${accepted === 1 ? "request" : "requests"} accepted`);
    await refresh();
  } catch (error) {
    say(error.message, "bad");
  }
  follow();
});

createsTokens(`project/join_tokens/${project}`, ({ assign, submit, expires_in: expires, uses }) => ({
  assign: assign.checked,
  submit: submit.checked,
  expires_in: Number(expires.value),
  uses: Number(uses.value),
}));

follow();
enable("[data-wait=late]");
