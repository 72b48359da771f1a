// The charts of a project: its snapshots, in a range that can be chosen, drawn by Chart.js.
import { get } from "./api.js";

const MOST = 400; // points that a line has; a screen shows no more
const box = document.getElementById("timeline");
const note = document.getElementById("timeline-note");
const ranges = [...document.querySelectorAll(".ranges a[data-seconds]")];
let seconds = Number(document.querySelector(".ranges a[aria-current]").dataset.seconds);
let snapshots = [];
let charts = [];
let asked = 0;

const now = () => Math.floor(Date.now() / 1000);

/** All snapshots of the range, or only those since the last one. */
async function load(all) {
  const mine = ++asked;
  const last = snapshots.at(-1)?.time_stamp ?? 0;
  const from = all || !last ? (seconds ? now() - seconds : 0) : last + 1;
  const path = `project/monitoring-between/${box.dataset.project}?from=${from}&to=${now() + 60}`;
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
  if (!all && !fresh.length && snapshots.length) {
    return;
  }
  snapshots = (all ? [] : snapshots).concat(fresh).filter((one) => !seconds || one.time_stamp >= now() - seconds);
  draw(all);
}

function thinned() {
  const step = Math.ceil(snapshots.length / MOST);
  // Counted from the last, which is always there.
  return snapshots.filter((_, index) => (snapshots.length - 1 - index) % step === 0);
}

function draw(anew) {
  const points = thinned();
  box.dataset.points = String(points.length);
  const enough = points.length > 1;
  note.textContent = enough
    ? `${snapshots.length.toLocaleString("en")} snapshots`
    : "Not enough snapshots in this range yet: the broker takes one every few minutes.";
  for (const figure of box.querySelectorAll("figure")) {
    figure.hidden = !enough;
  }
  const of = (name) => points.map((point) => ({ x: point.time_stamp * 1000, y: point[name] }));
  const pace = points.slice(1).map((point, index) => {
    const before = points[index];
    const closed = Math.max(0, point.closed_task_count - before.closed_task_count);
    return { x: point.time_stamp * 1000, y: closed / Math.max(1, point.time_stamp - before.time_stamp) };
  });
  const series = [[of("new_task_count"), of("awaiting_verification_count"), of("failed_task_count")], [pace]];
  if (anew && charts.length === 0) {
    charts = [
      chart("chart-tasks", [
        ["waiting or assigned", "--waiting", []],
        ["awaiting verification", "--verifying", [6, 3]],
        ["failed", "--failed", [2, 2]],
      ]),
      chart("chart-closed", [["closed", "--closed", []]]),
    ];
  }
  charts.forEach((made, at) => {
    made.data.datasets.forEach((set, index) => {
      set.data = series[at][index];
      // A line needs two points; a single one is shown as such.
      set.pointRadius = set.data.length < 2 ? 3 : 0;
    });
    const highest = Math.max(0, ...series[at].flat().map((point) => point.y));
    made.options.scales.y.suggestedMax = highest ? undefined : 1;
    made.options.scales.x.min = seconds ? (now() - seconds) * 1000 : undefined;
    made.options.scales.x.max = seconds ? now() * 1000 : undefined;
    made.update("none");
  });
}

function chart(id, lines) {
  const muted = colour("--muted");
  const scale = { grid: { color: colour("--line") }, border: { display: false }, ticks: { color: muted, maxTicksLimit: 6 } };
  return new window.Chart(document.getElementById(id), {
    type: "line",
    data: {
      datasets: lines.map(([label, name, dash]) => ({
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
        x: { ...scale, type: "time", time: { displayFormats: { minute: "HH:mm", hour: "HH:mm", day: "d MMM" }, tooltipFormat: "d MMM HH:mm:ss" }, ticks: { ...scale.ticks, maxRotation: 0 } },
        y: { ...scale, beginAtZero: true },
      },
    },
  });
}

/** What the lines are under the pointer: beside the title of the chart, so that it covers none of them. */
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
document.addEventListener("refreshed", () => load(false));
await load(true);
delete document.body.dataset.late;
