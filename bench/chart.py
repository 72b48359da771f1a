"""The chart of a results file: how much of the no-op each call reaches, and how soon answers come."""

from importlib import import_module
from pathlib import Path
from typing import Any

from bench.figures import Results
from bench.targets import ROWS, Row

_MEASURED, _MUST, _PLAIN = "#2a6f97", "#d1495b", "#9aa5b1"
_CALLS, _TASKS = "calls/s", "tasks/s"


def draw(made: Results, path: Path) -> None:
    """As PNG."""
    # Not imported by name: it is an extra, and the rest of the bench is typed without it.
    figure: Any = import_module("matplotlib.figure").Figure(figsize=(11, 4.2), layout="constrained")
    panels = 2 if made.curve else 1
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw_rates(axes[0], made)
    if made.curve:
        _draw_curve(axes[1], made)
    figure.suptitle(
        f"task-broker {made.commit}, one server process, {made.machine.get('cores', '?')} cores", fontsize=11
    )
    figure.savefig(path, dpi=110)


def _draw_rates(axes: Any, made: Results) -> None:
    """Horizontal bars, and what must be reached as a mark on each."""
    rows: list[tuple[Row, float]] = [
        (row, figure) for row in ROWS if row.more and row.absolute(made) and (figure := row.figure(made)) is not None
    ]
    places = range(len(rows))
    axes.barh(places, [figure for _, figure in rows], color=_MEASURED, height=0.55, label="measured")
    axes.plot([row.must for row, _ in rows], places, "|", color=_MUST, markersize=22, markeredgewidth=2, label="must")
    axes.axvline(1, color=_PLAIN, linewidth=1)
    axes.text(1, 1.01, "no-op", color=_PLAIN, ha="center", fontsize=8, transform=axes.get_xaxis_transform())
    for place, (row, figure) in enumerate(rows):
        unit = _TASKS if _TASKS in row.what else _CALLS
        axes.annotate(
            f" {row.absolute(made) or 0:,.0f} {unit}", (max(figure, row.must), place), va="center", fontsize=8
        )
    axes.set_yticks(places, [row.what.removesuffix(f", {_TASKS}") for row, _ in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3 * max([1.0, *(max(figure, row.must) for row, figure in rows)]))
    axes.set_xlabel("of the calls/s of a no-op on the same server")
    axes.legend(loc="lower right", fontsize=8, frameon=False)


def _draw_curve(axes: Any, made: Results) -> None:
    runs = made.curve.runs if made.curve else []
    rates = [run.rate for run in runs]
    for name, width in (("p50", 2.0), ("p99", 1.5), ("p99.9", 1.0)):
        axes.plot(rates, [run.latency[name] for run in runs], "o-", markersize=3, linewidth=width, label=name)
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_xlabel("submits a second, 256 connections")
    axes.set_ylabel("milliseconds, from when a request was due")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, frameon=False)
