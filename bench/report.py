"""Prints a results file as Markdown, and draws it: ``python -m bench.report``, by default the newest file.

The Markdown goes beside the results as well, and with matplotlib (``pip install '.[bench]'``) a chart, as PNG.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from bench import command, results
from bench.errors import BenchError
from bench.figures import Measured, Results
from bench.targets import ROWS, Row

_NOISE = 0.15
"""Of a core, taken by other programs, from which ratios are doubtful."""

_SATURATED = 0.9
"""Of a core, used by the driver, from which it may be what limits."""


def reach(made: Results) -> str:
    """The table of what was to be reached."""
    head = ("what, one process", "measured", "must", "aim", "", "others")
    return _table(head, (_reach_row(row, made) for row in ROWS))


def _reach_row(row: Row, made: Results) -> tuple[str, ...]:
    unit = f" {row.unit}" if row.unit else ""
    figure, absolute = row.figure(made), row.absolute(made)
    measured = row.show(figure) + (unit if figure is not None else "")
    if absolute is not None:
        measured += f" ({absolute:,.0f}/s)"
    aim = "" if row.aim is None else f"{row.aim:g}{unit}"
    return row.what, measured, f"{row.must:g}{unit}", aim, row.verdict(made), row.others


def markdown(made: Results) -> str:
    """All that the file has."""
    return "\n".join(_parts(made)) + "\n"


def _parts(made: Results) -> Iterator[str]:
    yield f"# {made.commit}, {made.made}\n"
    yield ", ".join(made.machine.values()) + "; " + ", ".join(f"{k} {v}" for k, v in made.versions.items()) + "\n"
    yield reach(made)
    yield from _doubts(made)
    if made.http:
        yield "\n## http: each load against the no-op\n"
        yield _table(_LOAD_HEAD, (_load_row(name, pairs.runs[-1]) for name, pairs in made.http.hot.items()))
    if made.scripts:
        for queued, scripts in made.scripts.sizes.items():
            yield f"\n## scripts, {int(queued):,} tasks queued: microseconds\n"
            yield _table(
                ("script", "calls", "in the script", "whole server", "a call, p99", "its own worst", "worst"),
                (
                    (
                        name,
                        f"{s.calls:,}",
                        f"{s.script_us / (s.tasks or s.calls):.1f}",
                        f"{s.each():.1f}",
                        f"{s.p99_us:,.0f}",
                        f"{s.own_worst_us:,.0f}",
                        f"{s.worst_us:,.0f}",
                    )
                    for name, s in scripts.items()
                ),
            )
    if made.curve:
        yield "\n## Latency of submit by rate, 256 connections\n"
        yield _table(_LATENCY_HEAD, (_latency_row(run) for run in made.curve.runs))
    if made.scale:
        yield from _scale(made)
    if made.cluster:
        base, *_ = made.cluster.costs
        yield "\n## cluster\n"
        yield _table(
            ("store", "CPU of the primaries, us a call", "of one server's"),
            (
                (kind, f"{median(costs):.1f}", f"{made.cluster.ratio(kind, base):.2f}")
                for kind, costs in made.cluster.costs.items()
            ),
        )
    if made.waiters:
        its = made.waiters
        yield f"\n## waiters\n\n{its.waiters:,} gets that wait: {its.bytes_each / 1024:.1f} KiB each, "
        yield f"{its.server_share:.1%} of a core, the store {its.store_share:.1%}; "
        yield f"a task reaches one in {its.delay_ms} ms, at worst {its.worst_ms}."
    if made.fleet:
        fleet = made.fleet
        yield f"\n## fleet\n\n{fleet.workers:,} workers, {fleet.tasks:,} tasks, {fleet.seconds:.1f} s, "
        yield f"{fleet.calls / fleet.seconds:,.0f} calls/s; {'; '.join(fleet.wrong) or 'the books balance'}."
    yield f"\nTook {', '.join(f'{name} {seconds:.0f} s' for name, seconds in made.seconds.items())}."


_LOAD_HEAD = ("load", "calls/s", "tasks/s", "server us", "store us", "server", "store", "driver", "others")
_LATENCY_HEAD = ("calls/s wanted", "got", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "driver late, p99 ms")


def _load_row(name: str, run: Measured) -> tuple[str, ...]:
    shares = run.server_share, run.store_share, run.driver_share, run.other_share
    costs = f"{run.server_us:,.1f}", f"{run.store_us:,.1f}"
    return name, f"{run.calls:,.0f}", f"{run.tasks:,.0f}", *costs, *(f"{share:.2f}" for share in shares)


def _latency_row(run: Measured) -> tuple[str, ...]:
    late = run.late["p99"]
    return f"{run.rate:,.0f}", f"{run.calls:,.0f}", *(f"{ms:.2f}" for ms in run.latency.values()), f"{late:.2f}"


def _scale(made: Results) -> Iterator[str]:
    if made.scale is None:
        return
    for title, grown in (
        ("queued tasks", made.scale.queued),
        ("projects", made.scale.projects),
        ("server processes", made.scale.processes),
    ):
        yield f"\n## By {title}\n"
        yield _table(
            (title, *_LOAD_HEAD),
            ((f"{int(size):,}", *_load_row(load, run)) for size, loads in grown.items() for load, run in loads.items()),
        )
    yield "\n## Doing nothing, by projects\n"
    yield _table(("projects", "share of a core"), ((f"{int(n):,}", f"{s:.3f}") for n, s in made.scale.idle.items()))
    yield "\n## By connections\n"
    yield _table(
        ("connections", "calls/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms"),
        (
            (f"{int(size):,}", f"{run.calls:,.0f}", *(f"{ms:.2f}" for ms in run.latency.values()))
            for size, run in made.scale.connections.items()
        ),
    )


def _doubts(made: Results) -> Iterator[str]:
    """What makes the numbers doubtful, one line each."""
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


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
        from bench.chart import draw  # noqa: PLC0415 - only when it can be

        draw(made, path.with_suffix(".png"))
        command.say(f"drawn in {path.with_suffix('.png')}")
    else:
        command.say("no chart: pip install '.[bench]' brings matplotlib")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
