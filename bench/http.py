"""How many calls a second, and how soon is each answered? ``python -m bench.http --help``

Each load takes turns with the no-op on the same server, so that a slow machine slows both. With ``--against``, it takes
turns with the broker of another checkout: what has a change saved?
"""

import argparse
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import command
from bench.load import Job
from bench.measure import drive, fill
from bench.results import Curve, Http, Measured, Pairs
from bench.servers import Broker, Server, broker, noop

HOT = ("submit", "get_release", "turn_of_one", "poll", "batch", "bulk_submit", "bulk_submit_unhashed")
"""Those that leave hundreds of thousands of tasks behind come last: a store that is large is slower at everything."""
DEEP = ("submit", "get_release")
CROWDED = 256
"""Connections for the latency."""

_NEEDED = {"get_release": 0.5, "turn_of_one": 0.1, "batch": 3.0}
"""Waiting tasks for each call of the no-op, so that the load always finds some."""

_CURVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Rates of the latency curve, of the rate of the closed loop."""

Measure = Callable[[], Measured]


class Bench:
    """The same settings for every run."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.seconds: float = arguments.seconds
        self.rounds: int = arguments.rounds
        self.drivers: int = arguments.drivers
        self.quickest = 50_000.0
        """Calls of the no-op a second, the most that was seen: a slow first run must not let a load run dry."""

    def noop(self, idle: Server) -> Measured:
        run = drive(idle, Job(port=idle.port, load="noop", seconds=self.seconds), drivers=self.drivers)
        self.quickest = max(self.quickest, run.calls)
        return run

    def run(self, served: Broker, load: str, project: int, connections: int = 32) -> Measured:
        """Closed loop."""
        fill(served, project, int(_NEEDED.get(load, 0) * self.quickest * self.seconds))
        return drive(served, served.job(load, self.seconds, [project], connections=connections), drivers=self.drivers)

    def at_rate(self, served: Broker, project: int, rate: float) -> Measured:
        """Submit, open loop."""
        job = served.job("submit", self.seconds * 3, [project], connections=CROWDED, rate=rate)
        run = drive(served, job, drivers=self.drivers)
        at = ", ".join(f"{name} {value:.2f}" for name, value in run.latency.items())
        command.say(f"  submit at {rate:,.0f}/s: {at} ms")
        return run

    def pairs(self, title: str, base: Measure, run: Measure) -> Pairs:
        """``rounds`` times the base and a run, and the base once more; says what came of it, if it has a title."""
        pairs = Pairs([base()], [])
        for _ in range(self.rounds):
            pairs.runs.append(run())
            pairs.base.append(base())
        if title:
            _say(title, pairs)
        return pairs


def hot(bench: Bench, idle: Server, served: Broker) -> dict[str, Pairs]:
    """Each hot call against the no-op."""
    # The first run of each pays for what is only loaded when it is used.
    bench.noop(idle)
    projects = _projects(served)
    return {
        load: bench.pairs(load, partial(bench.noop, idle), partial(bench.run, served, load, projects[load]))
        for load in HOT
    }


def _projects(served: Broker) -> dict[str, int]:
    """A project for each load; some share one."""
    single, turn, batch, bulk, empty = (served.project() for _ in range(5))
    return dict(zip(HOT, (single, single, turn, empty, batch, bulk, bulk), strict=True))


def depth(bench: Bench, served: Broker, queued: int) -> tuple[dict[str, Pairs], float]:
    """Submit and get + release with so many tasks queued against few; and how quickly those were submitted."""
    few, many = served.project(), served.project()
    rate = fill(served, many, queued)
    command.say(f"  {queued:,} tasks submitted, {rate:,.0f}/s")
    runs = {load: [partial(bench.run, served, load, project) for project in (few, many)] for load in DEEP}
    return {load: bench.pairs(f"{load}, deep", *both) for load, both in runs.items()}, rate


def latency(bench: Bench, served: Broker) -> tuple[Measured, Measured]:
    """Submit at the highest rate, and at half of it."""
    project = served.project()
    saturated = bench.run(served, "submit", project, CROWDED)
    return saturated, bench.at_rate(served, project, saturated.calls / 2)


def processes(bench: Bench, served: Broker) -> Pairs:
    """Submit with two server processes against one."""
    with broker(processes=2) as two:
        base = partial(bench.run, served, "submit", served.project(), CROWDED)
        return bench.pairs("submit, 2 processes", base, partial(bench.run, two, "submit", two.project(), CROWDED))


def curve(bench: Bench, served: Broker) -> Curve:
    """Latency of submit against its rate, from a tenth of what the closed loop reaches on."""
    project = served.project()
    most = bench.run(served, "submit", project, CROWDED).calls
    return Curve([bench.at_rate(served, project, most * part) for part in _CURVE])


def against(bench: Bench, checkout: Path) -> None:
    """Prints what each call costs here and there, in CPU of the server process and of the store, and the ratios."""
    print(f"CPU us a call, there: {checkout}")
    print(f"{'load':<22}{'server':>10}{'there':>8}{'ratio':>8}{'store':>10}{'there':>8}{'ratio':>8}{'calls/s':>12}")
    with broker() as here, broker(checkout=checkout) as there:
        projects, others = _projects(here), _projects(there)
        for load in HOT:
            base, run = partial(bench.run, there, load, others[load]), partial(bench.run, here, load, projects[load])
            # The first run of each pays for what is only loaded when it is used.
            base(), run()
            pairs = bench.pairs("", base, run)
            server = _compared(pairs, lambda run: run.server_us)
            store = _compared(pairs, lambda run: run.store_us)
            calls = pairs.ratio(lambda run: run.calls, lambda base: base.calls)
            print(f"{load:<22}{server}{store}{calls:>12.2f}{_errors(pairs)}", flush=True)


def _compared(pairs: Pairs, cost: Callable[[Measured], float]) -> str:
    here, there = pairs.median(cost), Pairs(pairs.runs, pairs.base).median(cost)
    return f"{here:>10.1f}{there:>8.1f}{pairs.ratio(cost, cost):>8.2f}"


def _say(title: str, pairs: Pairs) -> None:
    of_tasks = pairs.ratio(lambda run: run.tasks, lambda base: base.calls)
    of_calls = pairs.ratio(lambda run: run.calls, lambda base: base.calls)
    server, store = pairs.median(lambda run: run.server_us), pairs.median(lambda run: run.store_us)
    of_base = pairs.ratio(lambda run: run.server_us, lambda base: base.server_us)
    last = pairs.runs[-1]
    command.say(
        f"  {title:<22} {pairs.calls():>9,.0f} calls/s ({of_calls:.2f}) {pairs.tasks():>9,.0f} tasks/s "
        f"({of_tasks:.2f})  CPU a call: server {server:,.1f} us ({of_base:.2f}), store {store:,.1f} us  "
        f"cores: server {last.server_share:.2f} "
        f"store {last.store_share:.2f} driver {last.driver_share:.2f} others {last.other_share:.2f}{_errors(pairs)}"
    )


def _errors(pairs: Pairs) -> str:
    errors = sum((Counter(run.errors) for run in [*pairs.base, *pairs.runs]), Counter[str]())
    return f"  ERRORS {dict(errors)}" if errors else ""


def main() -> int:
    parser = command.parser("bench.http", __doc__, seconds=1.0)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each load (default: 5)")
    parser.add_argument("--drivers", type=int, default=1, metavar="N", help="driver processes (default: 1)")
    parser.add_argument("--queued", type=int, default=1_000_000, metavar="N", help="tasks of a deep project")
    parser.add_argument("--curve", action="store_true", help="only the latency of submit against its rate")
    parser.add_argument(
        "--against",
        type=command.checkout,
        metavar="FOLDER",
        help="only compare with the broker of this checkout; keep no results",
    )
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Http | Curve | None:
    bench = Bench(arguments)
    if arguments.against:
        against(bench, arguments.against)
        return None
    with noop() as idle, broker() as served:
        if arguments.curve:
            return curve(bench, served)
        made = hot(bench, idle, served)
        saturated, half = latency(bench, served)
        deep, rate = depth(bench, served, arguments.queued)
        two = processes(bench, served)
    return Http(hot=made, depth=deep, queued=arguments.queued, fill=rate, saturated=saturated, half=half, processes=two)


if __name__ == "__main__":
    raise SystemExit(main())
