"""Does every count agree after a whole life of a project? ``python -m bench.fleet --help``

Workers submit, take and release over HTTP. Some tasks fail, some are skipped, some are abandoned and come back, some
need two votes, some are submitted twice. At the end every task has been closed or has failed once, the broker has
counted what the workers have, and no key is left in the store.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvloop

from bench import BenchError, command
from bench.load import Connection
from bench.results import Fleet
from bench.servers import Broker, broker
from broker.cli.output import Progress

_IDLE = 0.05
"""Seconds until a worker asks again after a get without a task."""

_KEPT = {"", ":access", ":closed", ":counted", ":snapshots"}
"""What a project without tasks keeps, after its base key; and ``:seen:<worker>``, which expires."""

_COUNTERS = ("submitted", "duplicates", "assigned", "voted", "closed", "failed", "retried", "skipped")

FAILS_ONCE, FAILS, SKIPPED, ABANDONED, TWO_VOTES, TWICE = range(6)
"""What is special about a task, by its number modulo 20: it is released as failed once, or each time; skipped once; not
released by the first worker; closed by two votes; submitted twice. The other 14 of 20 are plain."""

_FIELDS: dict[int, dict[str, int]] = {
    FAILS_ONCE: {"max_retries": 3},
    FAILS: {"max_retries": 2},
    ABANDONED: {"max_assign_time": 1},
    TWO_VOTES: {"verification_count": 2},
}


def kind_of(number: int) -> int:
    return number % 20


@dataclass
class Ledger:
    """What the workers saw."""

    total: int
    counts: Counter[str] = field(default_factory=Counter)
    """By the names of the broker's counters."""
    closed: Counter[int] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)
    """By a task's number, how often."""
    taken: Counter[int] = field(default_factory=Counter)
    abandoned: list[tuple["Crawler", int]] = field(default_factory=list)
    """Who abandoned which task id."""
    late: int = 0
    """Releases of abandoned tasks that were still accepted."""
    calls: int = 0

    @property
    def done(self) -> int:
        return self.closed.total() + self.failed.total()


class Crawler:
    """A worker with a connection of its own. What it does with a task follows from the task's number."""

    def __init__(self, connection: Connection, project: int, ledger: Ledger) -> None:
        self._connection = connection
        self._project = project
        self._ledger = ledger

    async def work(self, to_submit: Iterator[int]) -> None:
        """Submits a task and takes one, until all that were submitted have come to their end."""
        await self._connection.open()
        while self._ledger.done < self._ledger.total:
            number = next(to_submit, None)
            if number is not None:
                await self._submit(number)
            _, answer = await self._call(f"GET /task/get/{self._project}")
            if answer["ok"]:
                await self._act(answer["content"]["task"])
            elif number is None:
                await asyncio.sleep(_IDLE)

    async def release_late(self, task: int) -> None:
        """Releases a task that was reclaimed since: that must change nothing."""
        self._ledger.late += await self._release(task, 0)

    async def _call(self, request: str, body: object = None) -> tuple[int, dict[str, Any]]:
        self._ledger.calls += 1
        return await self._connection.call(request, body)

    async def _submit(self, number: int) -> None:
        kind = kind_of(number)
        task = {"project": self._project, "recipe": str(number), "unique_string": str(number), **_FIELDS.get(kind, {})}
        for _ in range(2 if kind == TWICE else 1):
            status, _ = await self._call("POST /task/submit", task)
            self._ledger.counts["submitted" if status == 200 else "duplicates"] += 1

    async def _act(self, task: dict[str, Any]) -> None:
        ledger, number = self._ledger, int(task["recipe"])
        kind, first = kind_of(number), not ledger.taken[number]
        ledger.taken[number] += 1
        ledger.counts["assigned"] += 1
        if kind == ABANDONED and first:
            ledger.abandoned.append((self, task["id"]))
        elif kind == FAILS or (kind == FAILS_ONCE and first):
            await self._fail(number, task)
        elif kind == SKIPPED and first:
            await self._release(task["id"], 2)
            ledger.counts["skipped"] += 1
        else:
            ledger.counts["voted"] += kind == TWO_VOTES
            if await self._release(task["id"], 0):
                ledger.counts["closed"] += 1
                ledger.closed[number] += 1

    async def _fail(self, number: int, task: dict[str, Any]) -> None:
        await self._release(task["id"], 1)
        if task["retries"] + 1 < task["max_retries"]:
            self._ledger.counts["retried"] += 1
        else:
            self._ledger.counts["failed"] += 1
            self._ledger.failed[number] += 1

    async def _release(self, task: int, result: int) -> bool:
        """Whether it was updated."""
        _, answer = await self._call("POST /task/release", {"task_id": task, "result": result, "verification": 1})
        updated: bool = answer["content"]["updated"]
        return updated


async def perform(served: Broker, project: int, ledger: Ledger, seconds: float) -> float:
    """All workers at work, until everything is done or the time is over; how long it took."""
    crawlers = [Crawler(Connection(served.port, worker), project, ledger) for worker in served.workers]
    progress = asyncio.create_task(_show_progress(ledger))
    to_submit = iter(range(ledger.total))
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(crawler.work(to_submit) for crawler in crawlers))
    except TimeoutError:
        raise BenchError(f"{ledger.done} of {ledger.total} tasks done after {seconds:.0f} s") from None
    finally:
        progress.cancel()
    took = time.monotonic() - began
    for crawler, task in ledger.abandoned:
        await crawler.release_late(task)
    return took


async def _show_progress(ledger: Ledger) -> None:
    progress = Progress(sys.stderr)
    try:
        while True:
            counts = ", ".join(f"{name} {ledger.counts[name]:,}" for name in ("submitted", "closed", "failed"))
            progress.show(f"  {ledger.done / ledger.total:.0%}: {counts}, abandoned {len(ledger.abandoned):,}")
            await asyncio.sleep(0.1)
    finally:
        progress.clear()


def discrepancies(ledger: Ledger, stats: dict[str, Any]) -> Iterator[str]:
    """The differences between the counts, one line each. ``stats``: states and totals, as the broker counts them."""
    for number in range(ledger.total):
        ends = ledger.closed[number], ledger.failed[number]
        if ends != ((0, 1) if kind_of(number) == FAILS else (1, 0)):
            yield f"task {number} was closed {ends[0]} times and failed {ends[1]} times"
    counters: dict[str, int] = stats["counters"]
    for name in _COUNTERS:
        if counters.get(name, 0) != ledger.counts[name]:
            yield f"{name}: the broker counts {counters.get(name, 0)}, the workers {ledger.counts[name]}"
    if counters.get("reclaimed", 0) != len(ledger.abandoned):
        yield f"{len(ledger.abandoned)} tasks were abandoned, {counters.get('reclaimed', 0)} reclaimed"
    if ledger.late:
        yield f"{ledger.late} abandoned tasks were released by a worker that had lost them"
    for state, expected in (("waiting", 0), ("verifying", 0), ("assigned", 0), ("failed", ledger.failed.total())):
        if stats[state] != expected:
            yield f"{stats[state]} tasks are {state}, not {expected}"


def leaks(served: Broker, project: int, failed: int) -> Iterator[str]:
    """Keys of a project that should not be there, when all its tasks are closed but for so many that failed."""
    base = f"broker:{{project:{project}}}"
    keys = {key.removeprefix(base) for key in served.redis.scan_iter(match=f"{base}*", count=1000)}
    buckets = {key for key in keys if key.startswith(":tasks:")}
    known = {key for key in keys if key.startswith(":known:")}
    records = sum(served.redis.hlen(base + key) for key in buckets)
    hashes = sum(served.redis.scard(base + key) for key in known)
    for kind, count in (("tasks", records), ("hashes", hashes)):
        if count != failed:
            yield f"{count} {kind} in the store, {failed} tasks failed"
    kept = _KEPT | buckets | known | ({":failed", ":errors"} if failed else set())
    if strange := sorted(key for key in keys - kept if not key.startswith(":seen:")):
        yield f"{len(strange)} keys are left: {', '.join(strange[:5])}"


def after_delete(served: Broker, project: int, seconds: float = 10) -> Iterator[str]:
    """Keys that stay when a deleted project should be gone. What expires by itself goes: the mark of the deletion."""
    deadline, staying = time.monotonic() + seconds, ["unknown"]
    while staying and time.monotonic() < deadline:
        keys = served.redis.scan_iter(match=f"broker:{{project:{project}}}*", count=1000)
        staying = sorted(key for key in keys if served.redis.ttl(key) == -1)
        time.sleep(0.1)
    if staying:
        yield f"{len(staying)} keys outlive the project: {', '.join(staying[:5])}"


def main() -> int:
    parser = command.parser("bench.fleet", __doc__, seconds=300.0)
    parser.add_argument("--workers", type=int, default=200, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=50_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="server processes (default: %(default)s)")
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Fleet:
    ledger = Ledger(arguments.tasks)
    with broker(arguments.processes, arguments.workers) as served:
        project = served.project()
        took = uvloop.run(perform(served, project, ledger, arguments.seconds))
        stats = served.stats(project)
        wrong = [*discrepancies(ledger, stats), *leaks(served, project, ledger.failed.total())]
        served.maintain(project, "hard_reset")
        wrong += leaks(served, project, 0)
        served.maintain(project, "delete")
        wrong += after_delete(served, project)
    made = Fleet(
        workers=arguments.workers,
        tasks=arguments.tasks,
        seconds=round(took, 2),
        calls=ledger.calls,
        counters=stats["counters"],
        wrong=wrong,
    )
    command.say(f"  {', '.join(f'{name} {count:,}' for name, count in made.counters.items())}")
    command.say(f"  {made.line()}")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
