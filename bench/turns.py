"""What does a crawler's page cost in one call, against three? ``python -m bench.turns --help``

A page: a task is released, ten links are submitted, the next task is got. In one ``/task/turn``, by turns with
``/task/release``, ``/task/bulk_submit`` and ``/task/get``, on the same project of the same broker.
"""

import argparse
from functools import partial

from bench import BenchError, command
from bench.http import Bench
from bench.load import BULK, KNOWN, LINKS
from bench.measure import fill
from bench.results import Turns
from bench.servers import broker

KINDS = {f"all {LINKS} links new": ("page", "turn"), f"{KNOWN} of {LINKS} known": ("page_known", "turn_known")}
"""Loads that are compared: in three calls, in one."""


def main() -> int:
    parser = command.parser("bench.turns", __doc__, seconds=1.0)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each load (default: 5)")
    parser.add_argument("--drivers", type=int, default=1, metavar="N", help="driver processes (default: 1)")
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Turns:
    bench, made = Bench(arguments), Turns({})
    with broker() as served:
        for kind, (three, one) in KINDS.items():
            # Known links stay known when their pages are closed.
            project = served.project(remember_closed=-1)
            fill(served, project, BULK)
            base, run = (partial(bench.run, served, load, project) for load in (three, one))
            # The first run of each pays for what is only loaded when it is used.
            base(), run()
            made.pages[kind] = bench.pairs("", base, run)
            if errors := made.pages[kind].errors():
                raise BenchError(f"{kind}: {errors} errors")
    for line in made.lines():
        command.say(f"  {line}")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
