"""What does a call cost as things grow: tasks, projects, connections, processes? ``python -m bench.scale --help``

One thing grows at a time; everything else is as in ``bench.http``.
"""

import argparse
import time
from collections.abc import Sequence

from bench import command
from bench.crowd import Crowd
from bench.figures import Measured, Scale
from bench.measure import drive
from bench.meter import Meter
from bench.servers import broker

QUEUED = 1_000, 10_000, 100_000, 1_000_000
PROJECTS = 1, 10, 100, 1_000
CONNECTIONS = 1, 4, 16, 64, 256, 1_024, 4_096
PROCESSES = 1, 2

_ENOUGH = 15_000
"""Tasks a second that get + release may take."""

Loads = dict[str, Measured]


def by_queued(crowd: Crowd, sizes: Sequence[int], seconds: float) -> dict[str, Loads]:
    """Submit, and get + release, with so many tasks waiting in the project."""
    project = crowd.project()
    made: dict[str, Loads] = {}
    for size in sizes:
        crowd.fill(project, size)
        made[str(size)] = _both(crowd, f"{size:,} queued", [project], seconds)
    return made


def by_projects(sizes: Sequence[int], seconds: float) -> tuple[dict[str, Loads], dict[str, float]]:
    """The same with calls spread over so many projects; and what a broker takes that nobody calls."""
    made: dict[str, Loads] = {}
    idle: dict[str, float] = {}
    # One worker with access to all: a thousand projects for each of many would take longer than the measurement.
    with broker() as served, Crowd(served, workers=1) as crowd:
        projects: list[int] = []
        for size in sizes:
            projects += [crowd.project() for _ in range(size - len(projects))]
            # Whole seconds: each project is looked at once in one.
            pause = max(1, round(seconds))
            meter = Meter(served)
            time.sleep(pause)
            used = meter.read()
            idle[str(size)] = round((used.server + used.store) / pause, 4)
            command.say(f"  {size:,} projects, no calls: {idle[str(size)]:.3f} of a core")
            made[str(size)] = _both(crowd, f"{size:,} projects", projects, seconds)
    return made, idle


def by_connections(crowd: Crowd, sizes: Sequence[int], seconds: float) -> Loads:
    """Submit over so many connections, each with a request under way."""
    project = crowd.project()
    return {
        str(size): _said(
            f"{size:,} connections",
            drive(crowd.broker, crowd.job("submit", seconds, [project], connections=size)),
        )
        for size in sizes
    }


def by_processes(sizes: Sequence[int], seconds: float) -> dict[str, Loads]:
    """Submit, and get + release, with so many server processes."""
    made: dict[str, Loads] = {}
    for size in sizes:
        with broker(workers=size) as served, Crowd(served) as crowd:
            made[str(size)] = _both(crowd, f"{size} processes", [crowd.project()], seconds, connections=64)
    return made


def _both(crowd: Crowd, title: str, projects: list[int], seconds: float, connections: int = 32) -> Loads:
    """Submits first, and tops up, so that get + release does not run dry."""
    made = {}
    for load in ("submit", "get_release"):
        if load == "get_release":
            crowd.spread(projects, int(_ENOUGH * seconds) + 2 * len(projects))
        run = drive(crowd.broker, crowd.job(load, seconds, projects, connections=connections))
        made[load] = _said(f"{title}, {load}", run)
    return made


def _said(title: str, run: Measured) -> Measured:
    command.say(
        f"  {title:<32} {run.calls:>8,.0f} calls/s  server {run.server_us:>6.1f} us  store {run.store_us:>5.1f} us  "
        f"p99 {run.latency['p99']:>7.2f} ms  {run.errors or ''}"
    )
    return run


def main() -> int:
    parser = command.parser("bench.scale", __doc__, seconds=2.0)
    for name, sizes in (
        ("queued", QUEUED),
        ("projects", PROJECTS),
        ("connections", CONNECTIONS),
        ("processes", PROCESSES),
    ):
        shown = " ".join(map(str, sizes))
        parser.add_argument(
            f"--{name}", type=int, nargs="+", default=sizes, metavar="N", help=f"numbers of them (default: {shown})"
        )
    return command.run(_ask, parser.parse_args())


def _ask(arguments: argparse.Namespace) -> Scale:
    seconds = arguments.seconds
    with broker() as served, Crowd(served) as crowd:
        connections = by_connections(crowd, arguments.connections, seconds)
        queued = by_queued(crowd, arguments.queued, seconds)
    projects, idle = by_projects(arguments.projects, seconds)
    processes = by_processes(arguments.processes, seconds)
    return Scale(queued=queued, projects=projects, idle=idle, connections=connections, processes=processes)


if __name__ == "__main__":
    raise SystemExit(main())
