"""What do waiting workers cost, and how soon do they get a task? ``python -m bench.waiters --help``"""

import argparse
import asyncio
import resource
import time
from collections import Counter
from http import HTTPStatus
from pathlib import Path

import uvloop
from redis import Redis

from bench import BenchError, command
from bench.histogram import Histogram
from bench.load import Connection
from bench.measure import Used, cpu_of, drive
from bench.results import GroupWaiters, Waiters
from bench.servers import Broker, broker
from bench.store_load import Project, gather
from broker.settings import Settings
from broker.store import open_store
from broker.store.tasks import CHUNK

_WAIT = 60
"""Seconds, the longest possible wait."""

_AT_ONCE = 200
"""Connections that are opened together."""

_TASKS = 50
"""That come one by one, and reach one of those that wait."""

_CONNECTED = 400
"""Workers that have begun to wait after a second, at least."""

_MORE = 1.1
"""Groups that may start at once, for each that does."""

_CONNECTIONS = 64
"""Of those that get and release tasks without waiting."""

_SPARE = 200
"""Files that the bench needs besides."""


async def measure(served: Broker, waiters: int, seconds: float) -> Waiters:
    """``seconds``: how long they wait in vain, meanwhile the CPU is measured."""
    project, worker, (server,) = served.project(), served.workers[0], served.servers
    opening, answered = asyncio.Semaphore(_AT_ONCE), asyncio.Queue[float]()

    async def wait() -> None:
        connection = Connection(served.port, worker)
        async with opening:
            await connection.open()
        try:
            await connection.call(f"GET /task/get/{project}?wait={_WAIT}")
            answered.put_nowait(time.monotonic())
        finally:
            connection.close()

    async def delay() -> float:
        """Milliseconds from the submit of a task until a worker has it."""
        submitter = Connection(served.port, worker)
        begun = time.monotonic()
        await submitter.open()
        await submitter.call("POST /task/submit", {"project": project, "recipe": "r"})
        submitter.close()
        return (await asyncio.wait_for(answered.get(), _WAIT) - begun) * 1000

    memory = _memory(server)
    waiting = [asyncio.create_task(wait()) for _ in range(waiters)]
    try:
        await asyncio.sleep(max(3.0, waiters / 1000))
        grown = _memory(server) - memory
        before = cpu_of(server), cpu_of(served.store)
        await asyncio.sleep(seconds)
        shares = [(cpu_of(of) - was) / seconds for of, was in zip((server, served.store), before, strict=True)]
        for task in waiting:
            if task.done():
                task.result()
                raise BenchError("a wait ended before there was a task")
        delays = sorted([await delay() for _ in range(min(_TASKS, waiters // 2))])
    except TimeoutError:
        raise BenchError(f"no worker has a task after {_WAIT} s") from None
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return Waiters(
        waiters=waiters,
        bytes_each=round(grown / waiters),
        server_share=round(shares[0], 4),
        store_share=round(shares[1], 4),
        delay_ms=round(delays[len(delays) // 2], 1),
        worst_ms=round(delays[-1], 1),
    )


async def measure_groups(served: Broker, waiters: int, groups: int, starts: int, seconds: float) -> GroupWaiters:
    """``starts``: groups that may start a task each second, each again after ``groups / starts`` seconds."""
    project = served.project()
    due = await _begin(served, project, groups, groups / starts)
    names = [str(name) for name in served.redis.zrange(due, 0, -1)]
    free = round(starts * seconds * _MORE) + _CONNECTIONS
    _rest(served.redis, due, names[:free], 0, 0)
    job = served.job("get_release", seconds, [project], connections=_CONNECTIONS, rate=2 * starts)
    handed = drive(served, job)
    if handed.errors:
        raise BenchError(f"could not get tasks of groups: {handed.errors}")

    names, first = names[free:], time.time() + max(3.0, waiters / _CONNECTED)
    _rest(served.redis, due, names, first * 1000, 1000 / starts)
    due_at = {name: first + number / starts for number, name in enumerate(names)}
    delays, opening = Histogram(), asyncio.Semaphore(_AT_ONCE)
    working = [asyncio.create_task(_work(served, project, due_at, delays, opening)) for _ in range(waiters)]
    try:
        await asyncio.sleep(first + 1 - time.time())
        delays.buckets.clear()
        before, scripts, began = Used.by(served), _calls(served.redis), time.monotonic()
        await asyncio.sleep(seconds)
        took, used, ran = time.monotonic() - began, Used.by(served).since(before), _calls(served.redis)
        got = delays.buckets.total()
        for task in working:
            if task.done():
                task.result()
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    if not got:
        raise BenchError("no worker has a task")
    ran.subtract(scripts)
    return GroupWaiters(
        waiters=waiters,
        groups=groups,
        processes=len(served.servers),
        starts=round(got / took, 1),
        handed_share=[handed.server_share, handed.store_share],
        waiting_share=[round(used.server / took, 3), round(used.store / took, 3)],
        scripts=round(ran["evalsha"] / got, 2),
        # Each time, the script looks by HEXISTS whether the worker has access, as the project is not public.
        asked=round(ran["hexists"] / got, 2),
        delay=delays.summary(),
    )


async def _begin(served: Broker, project: int, groups: int, delay: float) -> str:
    """Each group has started a task and has another; the key that says how long they rest."""
    opened = open_store(Settings(redis_url=served.store_url))
    try:
        await opened.projects.update(None, project, {"group_delay": delay})
        grouped = Project(opened, project, served.workers[0].id, groups)
        await grouped.fill(2 * groups)
        await gather((_start(grouped) for _ in range(-(-groups // CHUNK))), in_flight=4)
        return f"{opened.keys.project(project)[0]}:due"
    finally:
        await opened.close()


async def _work(
    served: Broker, project: int, due_at: dict[str, float], delays: Histogram, opening: asyncio.Semaphore
) -> None:
    """A worker that waits for a task, releases it, and waits for the next."""
    connection = Connection(served.port, served.workers[0])
    async with opening:
        await connection.open()
    try:
        while True:
            status, answer = await connection.call(f"GET /task/get/{project}?wait={_WAIT}")
            if status == HTTPStatus.OK:
                task = answer["content"]["task"]
                # Some of those that might start at once are left.
                if (at := due_at.get(task["group"])) is not None:
                    delays.add(round((time.time() - at) * 1e9))
                await connection.call("POST /task/release", {"task_id": task["id"], "result": 0})
    finally:
        connection.close()


async def _start(project: Project) -> None:
    """As many groups as a call takes have started a task, which is closed."""
    await project.release(await project.assign(CHUNK))


def _rest(redis: Redis, due: str, names: list[str], first: float, each: float) -> None:
    """As if the groups had started at times of their own: they may again at ``first``, one each ``each`` ms."""
    for start in range(0, len(names), CHUNK):
        some = enumerate(names[start : start + CHUNK], start)
        redis.zadd(due, {name: round(first + number * each) for number, name in some}, xx=True)


def _calls(redis: Redis) -> Counter[str]:
    """How often the store has run each command."""
    seen = redis.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): its["calls"] for name, its in seen.items()})


def _memory(process: int) -> int:
    """Bytes that are in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> int:
    parser = command.parser("bench.waiters", __doc__, seconds=15.0)
    parser.add_argument("--waiters", type=int, default=10_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--groups", type=int, default=0, metavar="N", help="wait for tasks of so many groups that rest")
    parser.add_argument(
        "--starts", type=int, default=1_000, metavar="N", help="how many may start a task each second (default: 1000)"
    )
    parser.add_argument(
        "--processes", type=int, default=3, metavar="N", help="server processes, with --groups (default: %(default)s)"
    )
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Waiters | GroupWaiters:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if arguments.waiters + _SPARE > limit:
        raise BenchError(f"{arguments.waiters} connections need more open files than the {limit} that are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    made: Waiters | GroupWaiters
    if arguments.groups:
        asked = arguments.waiters, arguments.groups, arguments.starts, arguments.seconds
        with broker(workers=1, processes=arguments.processes) as served:
            made = uvloop.run(measure_groups(served, *asked))
    else:
        with broker(workers=1) as served:
            made = uvloop.run(measure(served, arguments.waiters, arguments.seconds))
    command.say(f"  {made.line()}")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
