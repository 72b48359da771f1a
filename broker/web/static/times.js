// Times are relative to now, and are updated while the page is open. On hover they are absolute, in the reader's zone.

const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

export function watchTimes() {
  updateTimes();
  setInterval(updateTimes, 10000);
}

export function updateTimes() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime);
    if (Number.isNaN(at)) {
      continue;
    }
    const text = relative(at / 1000);
    if (time.textContent !== text) {
      time.textContent = text;
    }
    const title = absolute.format(at);
    if (time.title !== title) {
      time.title = title;
    }
  }
}

/** The same text as formats.py makes. */
function relative(moment) {
  const ahead = moment - Date.now() / 1000;
  const size = Math.abs(ahead);
  const unit = UNITS.find(([length]) => size >= length);
  if (!unit || size < 5) {
    return "now";
  }
  const count = ahead > 0 ? Math.ceil(size / unit[0]) : Math.floor(size / unit[0]);
  const text = `${count.toLocaleString("en")} ${unit[1]}`;
  return ahead > 0 ? `in ${text}` : `${text} ago`;
}
