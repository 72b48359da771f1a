"""How many calls a second, and how soon is each answered? ``python -m bench.http --help``

Each load runs by turns with the no-op on the same server, so that what slows the machine slows both.
"""

import argparse
from collections.abc import Callable
from functools import partial

from bench import command
from bench.crowd import Crowd
from bench.figures import Curve, Http, Measured, Pairs
from bench.job import Job
from bench.measure import drive
from bench.servers import Server, broker, noop

HOT = ("submit", "get_release", "poll", "batch", "bulk_submit", "bulk_submit_unhashed")
"""Those that leave hundreds of thousands of tasks behind come last: a store that is large is slower at everything."""
DEEP = ("submit", "get_release")
CROWDED = 256
"""Connections for the latency."""

_CURVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Rates of the latency curve, of the rate of the closed loop."""

Measure = Callable[[], Measured]


class Bench:
    """The same settings for every run."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.seconds: float = arguments.seconds
        self.rounds: int = arguments.rounds
        self.drivers: int = arguments.drivers
        self._wrk: bool = arguments.wrk

    def run(self, server: Server, job: Job) -> Measured:
        return drive(server, job, drivers=self.drivers, use_wrk=self._wrk)

    def pairs(self, title: str, base: Measure, run: Measure, rounds: int = 0) -> Pairs:
        """``rounds`` times the base and a run, and the base once more."""
        pairs = Pairs([base()], [])
        for _ in range(rounds or self.rounds):
            pairs.runs.append(run())
            pairs.base.append(base())
        command.say(f"  {title:<22} {_line(pairs)}")
        return pairs


def hot(bench: Bench, idle: Server, crowd: Crowd) -> dict[str, Pairs]:
    """Each hot call against the no-op."""
    single, batch, bulk, empty = (crowd.project() for _ in range(4))
    projects = {"submit": single, "get_release": single, "poll": empty, "batch": batch}
    noop_job = Job(port=idle.port, load="noop", seconds=bench.seconds)

    def base() -> Measured:
        return bench.run(idle, noop_job)

    # The first run of each pays for what is only loaded when it is used.
    quickest = base().calls
    made = {}
    for load in HOT:
        project = projects.get(load, bulk)
        needed = _needed(load, quickest * bench.seconds)

        def run(load: str = load, project: int = project, needed: int = needed) -> Measured:
            crowd.fill(project, needed)
            return bench.run(crowd.broker, crowd.job(load, bench.seconds, [project]))

        made[load] = bench.pairs(load, base, run)
    return made


def _needed(load: str, calls: float) -> int:
    """Tasks that must wait, lest a load runs dry in the time of so many calls of the no-op."""
    return int({"get_release": calls / 2, "batch": calls * 3}.get(load, 0))


def depth(bench: Bench, crowd: Crowd, queued: int) -> tuple[dict[str, Pairs], float]:
    """Submit and get + release with so many tasks queued against few; and how quickly those were submitted."""
    few, many = crowd.project(), crowd.project()
    fill = crowd.fill(many, queued)
    command.say(f"  {queued:,} tasks submitted, {fill:,.0f}/s")
    made = {}
    for load in DEEP:

        def run(project: int, load: str) -> Measured:
            crowd.fill(project, _needed(load, 50_000 * bench.seconds))
            return bench.run(crowd.broker, crowd.job(load, bench.seconds, [project]))

        made[load] = bench.pairs(f"{load}, deep", partial(run, few, load), partial(run, many, load))
    return made, fill


def latency(bench: Bench, crowd: Crowd) -> tuple[Measured, Measured]:
    """Submit as fast as can be, and at half of that rate."""
    project = crowd.project()
    saturated = bench.run(crowd.broker, crowd.job("submit", bench.seconds, [project], connections=CROWDED))
    rate = saturated.calls / 2
    half = drive(
        crowd.broker,
        crowd.job("submit", bench.seconds * 3, [project], connections=CROWDED, rate=rate),
        drivers=bench.drivers,
    )
    command.say(f"  submit at {rate:,.0f}/s: p50 {half.latency['p50']:.2f} ms, p99 {half.latency['p99']:.2f} ms")
    return saturated, half


def processes(bench: Bench, crowd: Crowd) -> Pairs:
    """Submit with two server processes against one."""
    with broker(workers=2) as two, Crowd(two) as others:
        one_project, two_project = crowd.project(), others.project()

        def base() -> Measured:
            return bench.run(crowd.broker, crowd.job("submit", bench.seconds, [one_project], connections=CROWDED))

        def run() -> Measured:
            return bench.run(two, others.job("submit", bench.seconds, [two_project], connections=CROWDED))

        return bench.pairs("submit, 2 processes", base, run)


def curve(bench: Bench, crowd: Crowd) -> Curve:
    """Latency of submit against its rate, from a tenth of what the closed loop reaches on."""
    project = crowd.project()
    top = bench.run(crowd.broker, crowd.job("submit", bench.seconds, [project], connections=CROWDED)).calls
    runs = []
    for part in _CURVE:
        job = crowd.job("submit", bench.seconds * 3, [project], connections=CROWDED, rate=top * part)
        run = drive(crowd.broker, job, drivers=bench.drivers)
        at = ", ".join(f"{name} {value:.2f}" for name, value in run.latency.items())
        command.say(f"  submit at {run.rate:,.0f}/s: {at} ms")
        runs.append(run)
    return Curve(runs)


def _line(pairs: Pairs) -> str:
    of_tasks = pairs.ratio(lambda run: run.tasks, lambda base: base.calls)
    of_calls = pairs.ratio(lambda run: run.calls, lambda base: base.calls)
    python = pairs.ratio(lambda run: run.server_us, lambda base: base.server_us)
    last = pairs.runs[-1]
    line = (
        f"{pairs.calls():>9,.0f} calls/s ({of_calls:.2f}) {pairs.tasks():>9,.0f} tasks/s ({of_tasks:.2f})  "
        f"Python x {python:.2f}  cores: server {last.server_share:.2f} store {last.store_share:.2f} "
        f"driver {last.driver_share:.2f} others {last.other_share:.2f}"
    )
    errors: dict[str, int] = {}
    for run in [*pairs.base, *pairs.runs]:
        errors |= run.errors
    return f"{line}  ERRORS {errors}" if errors else line


def main() -> int:
    parser = command.parser("bench.http", __doc__, seconds=1.0)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each load (default: 5)")
    parser.add_argument("--drivers", type=int, default=1, metavar="N", help="driver processes (default: 1)")
    parser.add_argument("--queued", type=int, default=1_000_000, metavar="N", help="tasks of a deep project")
    parser.add_argument("--wrk", action="store_true", help="closed loops by wrk, instead of our own driver")
    parser.add_argument("--curve", action="store_true", help="only the latency of submit against its rate")
    return command.run(_ask, parser.parse_args())


def _ask(arguments: argparse.Namespace) -> Http | Curve:
    bench = Bench(arguments)
    with noop() as idle, broker() as served, Crowd(served) as crowd:
        if arguments.curve:
            return curve(bench, crowd)
        made = hot(bench, idle, crowd)
        saturated, half = latency(bench, crowd)
        deep, fill = depth(bench, crowd, arguments.queued)
        two = processes(bench, crowd)
    return Http(hot=made, depth=deep, queued=arguments.queued, fill=fill, saturated=saturated, half=half, processes=two)


if __name__ == "__main__":
    raise SystemExit(main())
