// Loaded by every page: forms and buttons that call the API, regions that update themselves, times, copying.
import { api } from "./api.js";
import { watchCopying } from "./copy.js";
import { watchSearchKey } from "./search.js";
import { enable, watchForms } from "./forms.js";
import { watchLive } from "./live.js";
import { watchTimes } from "./times.js";
import { watchDecisions } from "./undo.js";

for (const place of document.querySelectorAll('[data-fill="api"]')) {
  place.textContent = api.href;
}
watchForms();
watchSearchKey();
watchDecisions();
watchCopying();
watchTimes();
watchLive();
// Buttons are disabled until now: without its handler, a form would be sent to a page that does not accept it.
enable('[data-wait=""]');
document.documentElement.dataset.ready = "";
