"""What does a call cost as things grow: tasks, connections, processes? ``python -m bench.growth --help``

One thing grows at a time; everything else is as in ``bench.http``.
"""

import argparse
from collections.abc import Sequence

from bench import command
from bench.load import Job
from bench.measure import drive, fill
from bench.results import Growth, Measured
from bench.servers import Broker, broker

SIZES = {
    "queued": (1_000, 10_000, 100_000, 1_000_000),
    "connections": (1, 4, 16, 64, 256, 1_024, 4_096),
    "processes": (1, 2),
}

_ENOUGH = 15_000
"""Tasks a second that get + release may take."""

Loads = dict[str, Measured]


def by_queued(served: Broker, sizes: Sequence[int], seconds: float) -> dict[str, Loads]:
    """Submit, and get + release, with so many tasks waiting in the project."""
    project = served.project()
    made: dict[str, Loads] = {}
    for size in sizes:
        fill(served, project, size)
        made[str(size)] = _both(served, f"{size:,} queued", project, seconds)
    return made


def by_connections(served: Broker, sizes: Sequence[int], seconds: float) -> Loads:
    """Submit over so many connections, each with a request under way."""
    project = served.project()
    return {
        str(size): _drive(served, f"{size:,} connections", served.job("submit", seconds, [project], connections=size))
        for size in sizes
    }


def by_processes(sizes: Sequence[int], seconds: float) -> dict[str, Loads]:
    """Submit, and get + release, with so many server processes."""
    made: dict[str, Loads] = {}
    for size in sizes:
        with broker(processes=size) as served:
            made[str(size)] = _both(served, f"{size} processes", served.project(), seconds, connections=64)
    return made


def _both(served: Broker, title: str, project: int, seconds: float, connections: int = 32) -> Loads:
    """Submits first, and adds tasks, so that get + release always finds some."""
    made = {}
    for load in ("submit", "get_release"):
        if load == "get_release":
            fill(served, project, int(_ENOUGH * seconds))
        job = served.job(load, seconds, [project], connections=connections)
        made[load] = _drive(served, f"{title}, {load}", job)
    return made


def _drive(served: Broker, title: str, job: Job) -> Measured:
    run = drive(served, job)
    command.say(
        f"  {title:<32} {run.calls:>8,.0f} calls/s  server {run.server_us:>6.1f} us  store {run.store_us:>5.1f} us  "
        f"p99 {run.latency['p99']:>7.2f} ms  {run.errors or ''}"
    )
    return run


def main() -> int:
    parser = command.parser("bench.growth", __doc__, seconds=2.0)
    for name, sizes in SIZES.items():
        shown = " ".join(map(str, sizes))
        parser.add_argument(
            f"--{name}", type=int, nargs="+", default=sizes, metavar="N", help=f"numbers of them (default: {shown})"
        )
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Growth:
    seconds = arguments.seconds
    with broker() as served:
        connections = by_connections(served, arguments.connections, seconds)
        queued = by_queued(served, arguments.queued, seconds)
    processes = by_processes(arguments.processes, seconds)
    return Growth(queued=queued, connections=connections, processes=processes)


if __name__ == "__main__":
    raise SystemExit(main())
