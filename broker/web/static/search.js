// The key / moves the focus to the search field of the page.

export function watchSearchKey() {
  const field = document.querySelector("input[type=search]");
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (field && event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  });
  if (field) {
    field.title = "Press / to search";
  }
}
