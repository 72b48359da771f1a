"""Prints a results file as Markdown, and draws it: ``python -m bench.report``, by default the newest file.

The Markdown goes beside the results as well, and with matplotlib (``pip install '.[bench]'``) a chart, as PNG.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Any

from bench import BenchError, command, results
from bench.results import Groups, Growth, Measured, Pairs, Results
from bench.targets import ROWS, Row

GROUPED = ("submit 1", "assign 1", "release 1", "assign none")
"""Calls that are drawn with and without groups."""

_NOISE = 0.15
"""Of a core, taken by other programs, from which ratios are doubtful."""

_SATURATED = 0.9
"""Of a core, used by the driver, from which it may be what limits."""

_HOT_HEAD = ("load", "calls/s", "tasks/s", "CPU: server us", "store us", "server", "store", "driver", "others")
_LOAD_HEAD = ("load", "calls/s", "tasks/s", "server us", "store us", "server", "store", "driver", "others")
_SCRIPT_HEAD = ("script", "calls", "in the script", "whole server", "a call, p99", "its own worst", "worst")
_calls, _tasks, _server_us, _store_us = map(attrgetter, ("calls", "tasks", "server_us", "store_us"))
_MEASURED, _MUST, _PLAIN = "#2a6f97", "#d1495b", "#9aa5b1"


def reach(made: Results) -> str:
    """The table of goals."""
    return _table(
        ("what, one process", "measured", "must", "aim", "", "others"), (_reach_row(row, made) for row in ROWS)
    )


def _reach_row(row: Row, made: Results) -> tuple[str, ...]:
    unit = f" {row.unit}" if row.unit else ""
    figure, absolute = row.figure(made), row.absolute(made)
    measured = row.show(figure) + (unit if figure is not None else "")
    if absolute is not None:
        measured += f" ({absolute:,.0f}/s)"
    aim = "" if row.aim is None else f"{row.aim:g}{unit}"
    return row.what, measured, f"{row.must:g}{unit}", aim, row.verdict(made), row.others


def markdown(made: Results) -> str:
    """Everything in the file."""
    return "\n".join(_parts(made)) + "\n"


def _parts(made: Results) -> Iterator[str]:
    yield f"# {made.commit}, {made.made}\n"
    yield ", ".join(made.machine.values()) + "; " + ", ".join(f"{k} {v}" for k, v in made.versions.items()) + "\n"
    yield reach(made)
    yield from _doubts(made)
    if made.http:
        yield _section("http: each load by turns with the no-op", _HOT_HEAD, map(_hot_row, made.http.hot.items()))
    for queued, scripts in made.scripts.sizes.items() if made.scripts else ():
        rows = (
            (
                name,
                f"{s.calls:,}",
                *(f"{us:.1f}" for us in (s.alone(), s.each())),
                *(f"{us:,.0f}" for us in (s.p99_us, s.own_worst_us, s.worst_us)),
            )
            for name, s in scripts.items()
        )
        yield _section(f"scripts, {int(queued):,} tasks queued: microseconds", _SCRIPT_HEAD, rows)
    if made.curve:
        head = ("calls/s wanted", "got", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "driver late, p99 ms")
        late = ((f"{run.rate:,.0f}", *_latencies(run), f"{run.late['p99']:.2f}") for run in made.curve.runs)
        yield _section("Latency of submit by rate, 256 connections", head, late)
    if made.growth:
        yield from _growth(made.growth)
    if made.scale:
        yield _section("scale", made.scale.head(), made.scale.rows())
    if made.cluster:
        base, *_ = made.cluster.costs
        costs = (
            (kind, f"{median(costs):.1f}", f"{made.cluster.ratio(kind, base):.2f}")
            for kind, costs in made.cluster.costs.items()
        )
        yield _section("cluster", ("store", "CPU of the primaries, us a call", "of one server's"), costs)
    if made.groups:
        yield from _groups(made.groups)
    if made.turns:
        yield "\n## turns\n\n" + "\n".join(f"- {line}" for line in made.turns.lines())
    if made.scrapy:
        yield "\n## scrapy\n\n" + "\n".join(f"- {line}" for line in made.scrapy.lines())
    for waiters in (made.waiters, made.groupwaiters):
        if waiters:
            yield f"\n## waiters\n\n{waiters.line()}."
    if made.fleet:
        yield f"\n## fleet\n\n{made.fleet.line()}."
    yield f"\nTook {', '.join(f'{name} {seconds:.0f} s' for name, seconds in made.seconds.items())}."


def _hot_row(hot: tuple[str, Pairs]) -> tuple[str, ...]:
    """Medians of a load, and to the no-op's calls and CPU in brackets."""
    load, pairs = hot
    rates = (f"{pairs.median(rate):,.0f} ({pairs.ratio(rate, _calls):.2f})" for rate in (_calls, _tasks))
    server = f"{pairs.median(_server_us):,.1f} ({pairs.ratio(_server_us, _server_us):.2f})"
    return load, *rates, server, f"{pairs.median(_store_us):,.1f}", *_shares(pairs.runs[-1])


def _load_row(name: str, run: Measured) -> tuple[str, ...]:
    costs = f"{run.server_us:,.1f}", f"{run.store_us:,.1f}"
    return name, f"{run.calls:,.0f}", f"{run.tasks:,.0f}", *costs, *_shares(run)


def _shares(run: Measured) -> tuple[str, ...]:
    return tuple(f"{s:.2f}" for s in (run.server_share, run.store_share, run.driver_share, run.other_share))


def _latencies(run: Measured) -> tuple[str, ...]:
    return f"{run.calls:,.0f}", *(f"{ms:.2f}" for ms in run.latency.values())


def _growth(growth: Growth) -> Iterator[str]:
    for title, grown in {"queued tasks": growth.queued, "server processes": growth.processes}.items():
        rows = ((f"{int(n):,}", *_load_row(load, run)) for n, loads in grown.items() for load, run in loads.items())
        yield _section(f"By {title}", (title, *_LOAD_HEAD), rows)
    runs = ((f"{int(n):,}", *_latencies(run)) for n, run in growth.connections.items())
    yield _section("By connections", ("connections", "calls/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms"), runs)


def _groups(groups: Groups) -> Iterator[str]:
    rows = (
        (
            f"{int(count):,}",
            name,
            *(f"{costs[count][name].each():.1f}" for costs in (groups.sizes, groups.plain)),
            f"{groups.ratio(count, name):.2f}",
        )
        for count, scripts in groups.sizes.items()
        for name in scripts
    )
    head = ("groups", "script", "us", "without groups, us", "ratio")
    yield _section("groups: CPU of the store a task or call", head, rows)
    used = {f"a task in groups of {each}" if int(each) else "a task without": b for each, b in groups.memory.items()}
    used |= {f"a {name}": b for name, b in groups.entries.items()}
    yield _section("groups: memory", ("what", "bytes"), ((what, f"{b:.0f}") for what, b in used.items()))


def _doubts(made: Results) -> Iterator[str]:
    """Reasons to doubt the numbers, one line each."""
    if made.http is None:
        return
    pairs = {**made.http.hot, **{f"{load}, deep": deep for load, deep in made.http.depth.items()}}
    for name, pair in pairs.items():
        runs = [*pair.base, *pair.runs]
        if pair.errors():
            yield f"\n{name}: {pair.errors():,} wrong answers: {runs[-1].errors or pair.runs[-1].errors}"
        if max(run.driver_share for run in runs) > _SATURATED:
            yield f"\n{name}: the driver was busy all the time; what it measured is itself"
        others = sum(run.other_share for run in runs) / len(runs)
        if others > _NOISE:
            yield f"\n{name}: other programs took {others:.2f} of a core"


def _section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return f"\n## {title}\n\n{_table(head, rows)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(made: Results, path: Path) -> None:
    """How much of the no-op each call reaches, how soon answers come, and what groups cost, as PNG."""
    # Not imported by name: it is an extra, and the rest of the bench is typed without it.
    figure: Any = import_module("matplotlib.figure").Figure(layout="constrained")
    count = sum(part is not None for part in (made.http, made.curve, made.groups))
    figure.set_size_inches(5.5 * max(2, count), 4.2)
    axes = iter(figure.subplots(1, max(1, count), squeeze=False)[0])
    if made.http:
        _draw_rates(next(axes), made)
    if made.curve:
        _draw_curve(next(axes), made.curve.runs)
    if made.groups:
        _draw_groups(next(axes), made.groups)
    cores = made.machine.get("cores", "?")
    figure.suptitle(f"task-broker {made.commit}, one server process, {cores} cores", fontsize=11)
    figure.savefig(path, dpi=110)


def _draw_rates(axes: Any, made: Results) -> None:
    """Horizontal bars, and what must be reached as a mark on each."""
    rows = [(row, figure) for row in ROWS if row.more and row.absolute(made) and (figure := row.figure(made))]
    heights = range(len(rows))
    axes.barh(heights, [figure for _, figure in rows], color=_MEASURED, height=0.55, label="measured")
    axes.plot([row.must for row, _ in rows], heights, "|", color=_MUST, markersize=22, markeredgewidth=2, label="must")
    axes.axvline(1, color=_PLAIN, linewidth=1)
    axes.text(1, 1.01, "no-op", color=_PLAIN, ha="center", fontsize=8, transform=axes.get_xaxis_transform())
    for height, (row, figure) in enumerate(rows):
        unit = "tasks/s" if "tasks/s" in row.what else "calls/s"
        text = f" {row.absolute(made) or 0:,.0f} {unit}"
        axes.annotate(text, (max(figure, row.must), height), va="center", fontsize=8)
    axes.set_yticks(heights, [row.what.removesuffix(", tasks/s") for row, _ in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3 * max([1.0, *(max(figure, row.must) for row, figure in rows)]))
    axes.set_xlabel("of the calls/s of a no-op on the same server")
    axes.legend(loc="lower right", fontsize=8, frameon=False)


def _draw_curve(axes: Any, runs: list[Measured]) -> None:
    for name, width in (("p50", 2.0), ("p99", 1.5), ("p99.9", 1.0)):
        latencies = [run.latency[name] for run in runs]
        axes.plot([run.rate for run in runs], latencies, "o-", markersize=3, linewidth=width, label=name)
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_xlabel("submits a second, 256 connections")
    axes.set_ylabel("milliseconds, from when a request was due")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, frameon=False)


def _draw_groups(axes: Any, groups: Groups) -> None:
    """A line for each call, by the number of groups."""
    for name, marker in zip(GROUPED, "osd^", strict=True):
        ratios = [groups.ratio(count, name) for count in groups.sizes]
        axes.plot([int(count) for count in groups.sizes], ratios, f"{marker}-", markersize=4, label=name)
    axes.axhline(1, color=_PLAIN, linewidth=1)
    axes.text(1.01, 1, "without\ngroups", color=_PLAIN, va="center", fontsize=8, transform=axes.get_yaxis_transform())
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("groups, 99 % of them resting")
    axes.set_ylabel("CPU of the store a call, to that without groups")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False, ncols=2)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a results file (default: the newest)")
    parser.add_argument("--table", action="store_true", help="only the table of what was to be reached; write nothing")
    arguments = parser.parse_args()
    try:
        path = arguments.file or results.newest()
        made = results.load(path)
    except (BenchError, OSError) as error:
        command.say(f"bench: {error}")
        return 1
    if arguments.table:
        print(reach(made))
        return 0
    text = markdown(made)
    path.with_suffix(".md").write_text(text)
    print(text)
    if find_spec("matplotlib"):
        draw(made, path.with_suffix(".png"))
        command.say(f"drawn in {path.with_suffix('.png')}")
    else:
        command.say("no chart: pip install '.[bench]' brings matplotlib")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
