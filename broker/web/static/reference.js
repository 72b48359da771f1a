// The search of the API's reference: shows the calls that contain all words.

const field = document.getElementById("search");
const note = document.getElementById("search-note");
const calls = [...document.querySelectorAll("details.call")].map((box) => ({ box, text: box.textContent.toLowerCase() }));

function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const { box, text } of calls) {
    box.hidden = !words.every((word) => text.includes(word));
    count += box.hidden ? 0 : 1;
  }
  for (const section of document.querySelectorAll(".calls")) {
    section.hidden = !section.querySelector("details.call:not([hidden])");
  }
  note.textContent = words.length ? `${count} of ${calls.length} calls` : "";
}

field.addEventListener("input", search);
search();
