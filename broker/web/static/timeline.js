// The charts of a project: Chart.js draws its snapshots of a range that can be chosen.
import { get } from "./api.js";

const MOST = 400; // points of a line, at most; a screen shows no more
const box = document.getElementById("timeline");
const note = document.getElementById("timeline-note");
const ranges = [...document.querySelectorAll(".ranges a[data-seconds]")];
let seconds = Number(document.querySelector(".ranges a[aria-current]").dataset.seconds);
let snapshots = [];
let charts = [];
let asked = 0;
const LIVE = 10; // s between two of the counts that are taken from the page itself
const SHORTEST = 60; // s that a chart shows, at least
const lives = []; // the counts of the page, since it was opened

// Lines that are drawn: label, field of a snapshot, colour, dashes.
const TASKS = [
  ["waiting", "waiting_task_count", "--waiting", []],
  ["assigned", "assigned_task_count", "--assigned", [8, 2]],
  ["awaiting verification", "awaiting_verification_count", "--verifying", [6, 3]],
  ["failed", "failed_task_count", "--failed", [2, 2]],
];
const PACES = [
  ["closed", "closed_task_count", "--closed", []],
  ["submitted", "submitted_task_count", "--waiting", [6, 3]],
  ["failed", "all_failed_task_count", "--failed", [2, 2]],
  ["reclaimed", "reclaimed_task_count", "--delayed", [8, 2]],
];

const now = () => Math.floor(Date.now() / 1000);

/** Loads all snapshots of the range, or only those since the last one. */
async function load(all) {
  const mine = ++asked;
  const last = snapshots.at(-1)?.time_stamp ?? 0;
  const from = all || !last ? (seconds ? now() - seconds : 0) : last + 1;
  const path = `project/monitoring-between/${box.dataset.project}?from=${from}&to=${now() + 60}&full=1`;
  let fresh;
  try {
    fresh = (await get(path)).snapshots.reverse();
  } catch (error) {
    if (all) {
      note.textContent = error.message;
    }
    return;
  }
  if (mine !== asked) {
    return;
  }
  snapshots = (all ? [] : snapshots).concat(fresh).filter((one) => !seconds || one.time_stamp >= now() - seconds);
  draw(all);
}

/** Remembers the counts that the page shows now: the chart has nothing else before the first snapshot and after the last. */
function noteLive() {
  const live = JSON.parse(document.querySelector("[data-now]").dataset.now);
  const before = lives.at(-2);
  if (before && live.time_stamp - before.time_stamp < LIVE) {
    lives.pop();
  }
  if (live.time_stamp > (lives.at(-1)?.time_stamp ?? 0)) {
    lives.push(live);
  }
}

/** Snapshots and the page's counts since the last one, at most MOST points. */
function thinned() {
  const last = snapshots.at(-1)?.time_stamp ?? 0;
  while (lives.length > 2 && lives[0].time_stamp <= last) {
    lives.shift();
  }
  const every = snapshots.concat(lives.filter((one) => one.time_stamp > last));
  const step = Math.ceil(every.length / MOST);
  // Counted from the end, so that the last one is always kept.
  return every.filter((_, index) => (every.length - 1 - index) % step === 0);
}

/** The growth of a total per second, from point to point. */
function paces(points, name) {
  const found = [];
  let before = points[0];
  for (const point of points.slice(1)) {
    const seconds = point.time_stamp - before.time_stamp;
    if (seconds < LIVE && point !== points.at(-1)) {
      continue;
    }
    // Snapshots of earlier versions do not have every total.
    if (seconds >= LIVE / 2 && point[name] !== null && before[name] !== null) {
      found.push({ x: point.time_stamp * 1000, y: Math.max(0, point[name] - before[name]) / seconds });
    }
    before = point;
  }
  return found;
}

function draw(anew) {
  const points = thinned();
  box.dataset.points = String(points.length);
  const enough = points.length > 1;
  note.textContent = enough
    ? `${snapshots.length.toLocaleString("en")} ${snapshots.length === 1 ? "snapshot" : "snapshots"}, and the counts of now`
    : "The chart begins in a few seconds.";
  for (const figure of box.querySelectorAll("figure")) {
    figure.hidden = !enough;
  }
  const of = (name) => points.map((point) => ({ x: point.time_stamp * 1000, y: point[name] }));
  const series = [TASKS.map(([, name]) => of(name)), PACES.map(([, name]) => paces(points, name))];
  if (anew && charts.length === 0) {
    charts = [chart("chart-tasks", TASKS), chart("chart-closed", PACES)];
  }
  charts.forEach((made, at) => {
    made.data.datasets.forEach((set, index) => {
      set.data = series[at][index];
      // A line needs two points; a single one is shown as a dot.
      set.pointRadius = set.data.length < 2 ? 3 : 0;
    });
    const highest = Math.max(0, ...series[at].flat().map((point) => point.y));
    made.options.scales.y.suggestedMax = highest ? undefined : 1;
    // The range of the axis is that of the points.
    const end = points.at(-1)?.time_stamp;
    made.options.scales.x.min = Math.min(points[0]?.time_stamp, end - SHORTEST) * 1000;
    made.options.scales.x.max = end * 1000;
    made.update("none");
  });
}

function chart(id, lines) {
  const muted = colour("--muted");
  const scale = { grid: { color: colour("--line") }, border: { display: false }, ticks: { color: muted, maxTicksLimit: 6 } };
  return new window.Chart(document.getElementById(id), {
    type: "line",
    data: {
      datasets: lines.map(([label, , name, dash]) => ({
        label,
        data: [],
        borderColor: colour(name),
        backgroundColor: colour(name),
        borderDash: dash,
        borderWidth: 2,
        pointRadius: 0,
        pointHitRadius: 8,
        tension: 0,
      })),
    },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      locale: "en",
      interaction: { mode: "index", intersect: false },
      plugins: { legend: { display: false }, tooltip: { enabled: false, external: ({ tooltip }) => showValues(id, tooltip) } },
      scales: {
        x: { ...scale, type: "time", time: { minUnit: "second", displayFormats: { second: "HH:mm:ss", minute: "HH:mm", hour: "HH:mm", day: "d MMM" }, tooltipFormat: "d MMM HH:mm:ss" }, ticks: { ...scale.ticks, maxRotation: 0 } },
        y: { ...scale, beginAtZero: true },
      },
    },
  });
}

/** Shows the values under the pointer, beside the title of the chart, where they cover no line. */
function showValues(id, { opacity, title, body }) {
  const place = document.getElementById(`${id}-values`);
  place.textContent = opacity ? `${title[0]}: ${body.map(({ lines }) => lines[0]).join(", ")}` : "";
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

for (const link of ranges) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    ranges.forEach((other) => other.removeAttribute("aria-current"));
    link.setAttribute("aria-current", "true");
    history.replaceState(null, "", link.getAttribute("href"));
    seconds = Number(link.dataset.seconds);
    load(true);
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  charts.forEach((made) => made.destroy());
  charts = [];
  draw(true);
});
document.addEventListener("refreshed", () => {
  noteLive();
  load(false);
});
noteLive();
await load(true);
delete document.body.dataset.late;
