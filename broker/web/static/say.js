// The status line, which says what has just happened. Screen readers read it out.

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
