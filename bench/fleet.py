"""Do the books balance after a whole life of a project? ``python -m bench.fleet --help``

Workers submit, take and release over HTTP. Some tasks fail, some are skipped, some are abandoned and come back, some
need two votes, some are submitted twice. At the end every task has been closed or has failed once, the broker has
counted what the workers have, and no key is left in the store.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator

import uvloop

from bench import command
from bench.crew import FAILS, Books, Simulated, kind_of
from bench.crowd import Crowd
from bench.errors import BenchError
from bench.figures import Fleet
from bench.servers import Broker, broker
from broker.cli.progress import Progress

_BAR = 30
"""Characters."""

_KEPT = {"", ":access", ":closed", ":snapshots"}
"""What a project without tasks keeps, after its base key; and ``:seen:<worker>``, which expires."""

_COUNTERS = ("submitted", "duplicates", "assigned", "voted", "closed", "failed", "retried", "skipped")


async def perform(crowd: Crowd, project: int, books: Books, seconds: float) -> float:
    """All workers at work, until everything is done or the time is over; how long it took."""
    crew = [Simulated(crowd.broker.port, worker, project, books) for worker in crowd.workers]
    await asyncio.gather(*(worker.connect() for worker in crew))
    watching = asyncio.create_task(_watch(books))
    to_submit = iter(range(books.total))
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(worker.work(to_submit) for worker in crew))
    except TimeoutError:
        raise BenchError(f"{books.done} of {books.total} tasks done after {seconds:.0f} s") from None
    finally:
        watching.cancel()
    took = time.monotonic() - began
    for worker, task in books.abandoned:
        await worker.release_late(task)
    return took


async def _watch(books: Books) -> None:
    progress = Progress(sys.stderr)
    try:
        while True:
            full = _BAR * books.done // books.total
            counts = ", ".join(f"{name} {books.counts[name]:,}" for name in ("submitted", "closed", "failed"))
            progress.show(f"  [{'#' * full}{'.' * (_BAR - full)}] {counts}, abandoned {len(books.abandoned):,}")
            await asyncio.sleep(0.1)
    finally:
        progress.clear()


def discrepancies(books: Books, stats: dict[str, int], counters: dict[str, int]) -> Iterator[str]:
    """What does not balance, one line each. ``stats``: tasks in each state, as the broker says."""
    for number in range(books.total):
        ends = books.closed[number], books.failed[number]
        if ends != ((0, 1) if kind_of(number) == FAILS else (1, 0)):
            yield f"task {number} was closed {ends[0]} times and failed {ends[1]} times"
    for name in _COUNTERS:
        if counters.get(name, 0) != books.counts[name]:
            yield f"{name}: the broker counts {counters.get(name, 0)}, the workers {books.counts[name]}"
    if counters.get("reclaimed", 0) != len(books.abandoned):
        yield f"{len(books.abandoned)} tasks were abandoned, {counters.get('reclaimed', 0)} reclaimed"
    if books.late:
        yield f"{books.late} abandoned tasks were released by a worker that had lost them"
    for state, expected in (("waiting", 0), ("verifying", 0), ("assigned", 0), ("failed", books.failed.total())):
        if stats[state] != expected:
            yield f"{stats[state]} tasks are {state}, not {expected}"


def leaks(served: Broker, project: int, failed: int) -> Iterator[str]:
    """Keys of a project that should not be there, when all its tasks are closed but for so many that failed."""
    base = f"broker:{{project:{project}}}"
    keys = {key.removeprefix(base) for key in served.redis.scan_iter(match=f"{base}*", count=1000)}
    tasks = {key for key in keys if key.startswith(":task:") and key.count(":") == 2}
    if len(tasks) != failed:
        yield f"{len(tasks)} tasks in the store, {failed} failed"
    hashes = served.redis.scard(f"{base}:hashes")
    if hashes != failed:
        yield f"{hashes} hashes in the store, {failed} tasks failed"
    known = _KEPT | tasks | ({":failed", ":hashes"} if failed else set())
    strange = sorted(key for key in keys - known if not key.startswith(":seen:"))
    if strange:
        yield f"{len(strange)} keys are left: {', '.join(strange[:5])}"


def after_delete(served: Broker, project: int, seconds: float = 10) -> Iterator[str]:
    """Keys that stay when a deleted project should be gone. What expires by itself goes: the mark of the deletion."""
    deadline = time.monotonic() + seconds
    while True:
        keys = served.redis.scan_iter(match=f"broker:{{project:{project}}}*", count=1000)
        staying = sorted(key for key in keys if served.redis.ttl(key) == -1)
        if not staying:
            return
        if time.monotonic() > deadline:
            yield f"{len(staying)} keys outlive the project: {', '.join(staying[:5])}"
            return
        time.sleep(0.1)


def main() -> int:
    parser = command.parser("bench.fleet", __doc__, seconds=300.0)
    parser.add_argument("--workers", type=int, default=200, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=50_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="server processes (default: %(default)s)")
    return command.run(_ask, parser.parse_args())


def _ask(arguments: argparse.Namespace) -> Fleet:
    books = Books(arguments.tasks)
    with broker(workers=arguments.processes) as served, Crowd(served, workers=arguments.workers) as crowd:
        project = crowd.project()
        took = uvloop.run(perform(crowd, project, books, arguments.seconds))
        stats = crowd.stats(project)
        counters: dict[str, int] = stats["counters"]
        wrong = [*discrepancies(books, stats, counters), *leaks(served, project, books.failed.total())]
        crowd.maintain(project, "hard_reset")
        wrong += leaks(served, project, 0)
        crowd.maintain(project, "delete")
        wrong += after_delete(served, project)
    command.say(f"  {', '.join(f'{name} {count:,}' for name, count in counters.items())}")
    command.say(f"  {took:.1f} s, {books.calls / took:,.0f} calls/s; {'; '.join(wrong[:20]) or 'the books balance'}")
    return Fleet(
        workers=arguments.workers,
        tasks=arguments.tasks,
        seconds=round(took, 2),
        calls=books.calls,
        counters=counters,
        wrong=wrong,
    )


if __name__ == "__main__":
    raise SystemExit(main())
