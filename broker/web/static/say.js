// The status line: what has just happened, for eyes and screen readers.

const line = document.getElementById("status");
let timer;

export function say(text, kind = "good") {
  clearTimeout(timer);
  line.textContent = text;
  line.dataset.kind = kind;
  timer = setTimeout(() => {
    line.textContent = "";
  }, kind === "bad" ? 12000 : 5000);
}
