// The secrets of a project. They are read from the API, so that no stored or cached page contains them.
import { api, get } from "./api.js";
import { ask } from "./ask.js";
import { enable, show } from "./forms.js";

const secretForm = document.getElementById("secret-form");
const webhookForm = document.getElementById("webhook-form");
const secret = document.getElementById("secret");
const webhook = document.getElementById("webhook_secret");
const note = document.getElementById("secret-note");
const { project } = secretForm.dataset;
let sure = false;

function problem() {
  try {
    JSON.parse(secret.value);
    return null;
  } catch (error) {
    return error.message;
  }
}

function check() {
  const wrong = problem();
  note.textContent = wrong ? `Not JSON: ${wrong}` : "Valid JSON";
  note.dataset.kind = wrong ? "warn" : "good";
}

function fill() {
  for (const place of document.querySelectorAll('[data-fill="url"]')) {
    place.textContent = new URL("git/receivehook", api).href;
  }
  for (const place of document.querySelectorAll('[data-fill="secret"]')) {
    place.dataset.value = webhook.value;
    place.textContent = webhook.type === "password" ? "•".repeat(12) : webhook.value;
  }
}

secret.addEventListener("input", check);
webhook.addEventListener("input", fill);
new MutationObserver(fill).observe(webhook, { attributeFilter: ["type"] });

secretForm.addEventListener("sending", async (event) => {
  if (problem() && !sure) {
    event.preventDefault();
    sure = await ask("Save it as it is", "The secret is not JSON. Older workers expect JSON.", "Save anyway");
    if (sure) {
      secretForm.requestSubmit();
    }
  } else {
    sure = false;
  }
});

document.getElementById("generate").addEventListener("click", () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  webhook.value = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  fill();
});

try {
  const [one, other, events] = await Promise.all(
    ["secret", "webhook_secret", "notify_secret"].map((name) => get(`project/${name}/${project}`)),
  );
  secret.value = one.secret;
  webhook.value = other.webhook_secret;
  document.getElementById("notify_secret").value = events.notify_secret;
  check();
  fill();
  enable("[data-wait=late]");
} catch (error) {
  show(error, webhookForm);
}
delete document.body.dataset.late;
