// The page of the manager's own account: creates tokens for programs.
import { enable } from "./forms.js";
import { createsTokens } from "./new_token.js";

createsTokens("account/tokens", ({ name, expires_in: expires }) => ({
  name: name.value,
  expires_in: Number(expires.value),
}));
enable("[data-wait=late]");
delete document.body.dataset.late;
