"""What do ten thousand projects and a hundred thousand workers cost? ``python -m bench.scale --help``

Most of them do nothing. A hundred projects have tasks, and sixty of these are out of rate. Each number of server
processes has a fresh broker. Whatever takes longer than 30 seconds is ended.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection

import uvloop

from bench import BenchError, command
from bench.load import NOBODY, Job
from bench.measure import Used, busy, computing, drive
from bench.population import Population, fill, populate
from bench.results import LONGEST, Crowd, Page, Pairs, Scale, Taken
from bench.servers import Broker, broker
from broker.settings import Settings
from broker.store import open_store

LOADS = ("submit", "get_release")
"""Whose calls go to all active projects in turn."""

_TASKS = 200
"""That wait behind the limited projects."""

_OVERDUE, _HOLD = 3, 1
"""Tasks whose deadline passes, and after how many seconds."""

_OTHERS = 200.0, 16
"""Submits a second of those whose latency is measured, and their connections."""

_POLLS, _LOOKS = 20.0, 2.0
"""Calls a second of one that asks any project for a task; of a dashboard and a reader of the metrics together."""

_UNTIL_STOPPED = 600.0
"""Seconds for which a load would go on that ends with what it disturbs."""

_SETTLED = 10
"""Times at most that the broker is looked at until it does no more than it has to do always."""

_PAUSE = 2.0
"""Seconds between two times that a page is read."""

_CALM = 0.3
"""Of a core, beyond what the broker takes without calls: with less, no call is left that was given up."""


Disturber = Callable[[], AbstractContextManager[None]]


class Bench:
    """Asks a broker that has a population."""

    def __init__(self, served: Broker, population: Population, seconds: float, rounds: int) -> None:
        self._served = served
        self._population = population
        self._seconds = seconds
        self._rounds = rounds
        self._idle = 0.0
        # It would slow whatever it meets.
        served.redis.config_set("auto-aof-rewrite-percentage", 0)

    def ask(self) -> Crowd:
        self._idle = self._while_idle()
        taken = self._take()
        uvloop.run(fill(self._served, self._population))
        return Crowd(
            idle=self._idle,
            taken=taken,
            overdue=[self._reclaim() for _ in range(_OVERDUE)],
            any=drive(self._served, self._served.job("visit", self._seconds, [], connections=4, paths=["/task/get"])),
            loads={
                load: drive(self._served, self._served.job(load, self._seconds, self._population.active))
                for load in LOADS
            },
            beside={what: self._beside(jobs) for what, jobs in self._disturbers().items()},
            pages=self._pages(),
        )

    def _while_idle(self) -> float:
        """The share of a core that server and store take without calls, once what was made is counted."""
        # Whole seconds: the sweeper goes round once in one.
        seconds = max(2, round(2 * self._seconds))
        shares: list[float] = []
        while len(shares) < 3 or (min(shares[-2:]) < 0.9 * min(shares[:-2]) and len(shares) < _SETTLED):
            before = Used.by(self._served)
            time.sleep(seconds)
            used = Used.by(self._served).since(before)
            shares.append(round((used.server + used.store) / seconds, 4))
        return min(shares)

    def _take(self) -> Taken:
        """Tasks are submitted to the project behind the limited ones, and one worker gets them from any project."""
        worker = self._served.workers[0]
        job = self._served.job("submit", _UNTIL_STOPPED, [self._population.behind], calls=_TASKS, connections=8)
        began, calls, got = time.monotonic(), 0, 0
        drive(self._served, job)
        with closing(HTTPConnection("127.0.0.1", self._served.port, timeout=LONGEST)) as connection:
            while got < _TASKS and time.monotonic() - began < LONGEST:
                connection.request("GET", "/task/get", headers=worker.headers)
                answer = connection.getresponse()
                answer.read()
                calls += 1
                got += answer.status == HTTPStatus.OK
        return Taken(tasks=got, of=_TASKS, seconds=round(time.monotonic() - began, 2), calls=calls)

    def _reclaim(self) -> float:
        """Seconds from the deadline of a task until it waits again."""
        assigned, holding = uvloop.run(self._hold())
        deadline = time.monotonic() + _HOLD
        while self._served.redis.zscore(assigned, holding) is not None and time.monotonic() < deadline + LONGEST:
            time.sleep(0.01)
        return round(max(0.0, time.monotonic() - deadline), 2)

    async def _hold(self) -> tuple[str, str]:
        """A worker holds a task: the key that says so, and the member."""
        project, worker = self._population.active[0], self._served.workers[0].id
        store = open_store(Settings(redis_url=self._served.store_url))
        try:
            (task,) = (await store.tasks.assign(project, worker, 1, _HOLD)).tasks
            return f"{store.keys.project(project)[0]}:assigned", f"{task.id}:{worker}"
        finally:
            await store.close()

    def _beside(self, disturbers: list[Disturber]) -> Pairs:
        """Submits by others while these are at work; the base is without them."""
        rate, connections = _OTHERS
        first = self._population.active[:1]
        job = self._served.job("submit", 2 * self._seconds, first, rate=rate, connections=connections)
        pairs = Pairs([drive(self._served, job)], [])
        for _ in range(self._rounds):
            with ExitStack() as stack:
                for disturber in disturbers:
                    stack.enter_context(disturber())
                pairs.runs.append(drive(self._served, job))
            self._calm_down()
            pairs.base.append(drive(self._served, job))
        return pairs

    def _disturbers(self) -> dict[str, list[Disturber]]:
        # What these do to the latency is the machine's own.
        disturbers: dict[str, list[Disturber]] = {"2 programs that only compute": [computing, computing]}
        for name, jobs in self._loads().items():
            disturbers[name] = [partial(busy, job) for job in jobs]
        return disturbers

    def _loads(self) -> dict[str, list[Job]]:
        served, until = self._served, _UNTIL_STOPPED
        nobody = {"paths": ["/worker/stats"], "workers": (NOBODY,)}
        somebody = {"paths": ["/ui/", "/metrics"], "workers": (NOBODY,), "cookie": served.cookie}
        return {
            "4 bulk_submits of 1,000": [served.job("bulk_submit", until, self._population.active[1:2], connections=4)],
            "a dashboard, a get from any": [
                served.job("visit", until, [], connections=2, rate=_LOOKS, **somebody),
                served.job("visit", until, [], connections=1, rate=_POLLS, paths=["/task/get"]),
            ],
            "4 strangers that read /worker/stats": [served.job("visit", until, [], connections=4, **nobody)],
        }

    def _calm_down(self) -> None:
        """Until the broker has no call left that was given up."""
        end, share = time.monotonic() + LONGEST, 2.0
        while share > self._idle + _CALM and time.monotonic() < end:
            before = Used.by(self._served)
            time.sleep(1)
            used = Used.by(self._served).since(before)
            share = used.server + used.store

    def _pages(self) -> dict[str, Page]:
        project = f"/ui/projects/{self._population.crowded}"
        paths = {"overview": "/ui/", "workers": "/ui/workers"}
        paths |= {page: f"{project}/{page}" for page in ("access", "groups", "tasks")}
        paths["/worker/stats"] = "/worker/stats"
        return {page: self._page(path) for page, path in paths.items()}

    def _page(self, path: str) -> Page:
        """Twice, as a browser does that looks again. One that took too long is not asked for again."""
        first, cpu, size = later, _, _ = self._read(path)
        if first is not None:
            time.sleep(_PAUSE)
            later, cpu, size = self._read(path)
        return Page(first_ms=first, later_ms=later, cpu_ms=cpu, bytes=size)

    def _read(self, path: str) -> tuple[float | None, float, int]:
        """Milliseconds, none if it took too long; those of CPU, by server and store; and bytes."""
        before, began = Used.by(self._served), time.monotonic()
        connection = HTTPConnection("127.0.0.1", self._served.port, timeout=LONGEST)
        try:
            connection.request("GET", path, headers={"Cookie": self._served.cookie})
            answer = connection.getresponse()
            size = len(answer.read())
        except TimeoutError:
            self._calm_down()
            return None, 0.0, 0
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            raise BenchError(f"{path} answers {answer.status}")
        took, used = time.monotonic() - began, Used.by(self._served).since(before)
        cpu = used.server + used.store - self._idle * took
        return round(took * 1000, 1), round(max(0.0, cpu) * 1000, 1), size


def main() -> int:
    parser = command.parser("bench.scale", __doc__, seconds=2.0)
    sizes = {"projects": 10_000, "workers": 100_000, "active": 100, "limited": 60}
    meanings = "projects", "workers", "projects that have tasks", "of these, projects that are out of rate"
    for (name, default), meaning in zip(sizes.items(), meanings, strict=True):
        parser.add_argument(
            f"--{name}", type=int, default=default, metavar="N", help=f"{meaning} (default: %(default)s)"
        )
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="runs of each disturbance (default: 2)")
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[1, 2], metavar="N", help="server processes (default: 1 2)"
    )
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Scale:
    sizes = arguments.projects, arguments.workers, arguments.active, arguments.limited
    crowds: dict[str, Crowd] = {}
    for processes in arguments.processes:
        with broker(processes) as served:
            began = time.monotonic()
            population = uvloop.run(populate(served, *sizes))
            command.say(f"  {processes} processes: populated in {time.monotonic() - began:.1f} s")
            crowds[str(processes)] = Bench(served, population, arguments.seconds, arguments.rounds).ask()
    made = Scale(
        projects=arguments.projects,
        workers=arguments.workers,
        active=arguments.active,
        limited=arguments.limited,
        processes=crowds,
    )
    for row in [made.head(), *made.rows()]:
        command.say("".join(f"  {cell:<54}" if not i else f"{cell:>36}" for i, cell in enumerate(row)))
    return made


if __name__ == "__main__":
    raise SystemExit(main())
