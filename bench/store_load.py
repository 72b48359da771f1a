"""Calls of scripts, sent as the broker sends them, with some always in flight; and what they cost the store."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from redis import Redis

from bench import BenchError
from bench.results import Script
from bench.servers import settle
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.redis.scripts import load
from broker.store.task_fields import TaskFields
from broker.store.tasks import CHUNK

IN_FLIGHT = 32
_HOLD = 3_600
"""Seconds for which a task is assigned."""

_numbers = itertools.count(1)
T = TypeVar("T")


async def gather(calls: Iterable[Awaitable[T]], in_flight: int = IN_FLIGHT) -> list[T]:
    """Their answers, in no order. A call is made when an earlier one was answered."""
    coming = iter(calls)

    async def one_by_one() -> list[T]:
        return [await call for call in coming]

    return [answer for some in await asyncio.gather(*(one_by_one() for _ in range(in_flight))) for answer in some]


class Project:
    """On the store, below HTTP, with a worker that may submit to it and take from it."""

    def __init__(self, store: Store, project: int, worker: int, groups: int) -> None:
        self.store = store
        self.id = project
        self.worker = worker
        self.groups = groups
        """How many its tasks have, in turn; 0 for none."""
        self._turns = itertools.count()

    @classmethod
    async def create(cls, store: Store, manager: int, *, groups: int = 0, **configuration: float) -> Self:
        project = await store.projects.create(manager, {"name": f"bench {next(_numbers)}", **configuration})
        worker = (await store.workers.create("bench"))[0].id
        await store.workers.request_access(project, worker, assign=True, submit=True)
        await store.workers.grant(project, worker)
        return cls(store, project, worker, groups)

    async def submit(self, count: int, recipe: int = 30) -> None:
        """So many tasks in one call, each with a hash and a recipe of so many bytes."""
        tasks = [self._task(recipe) for _ in range(count)]
        if None in await self.store.tasks.submit(self.id, self.worker, tasks):
            raise BenchError("two random hashes were the same")

    def _task(self, recipe: int) -> TaskFields:
        group = f"host{next(self._turns) % self.groups}.example" if self.groups else ""
        return TaskFields(f"{next(_numbers):0{recipe}d}", random.getrandbits(63) or 1, group=group)

    async def assign(self, count: int) -> list[int]:
        """The tasks' ids."""
        assigned = await self.store.tasks.assign(self.id, self.worker, count, _HOLD)
        return [task.id for task in assigned.tasks]

    async def release(self, ids: Sequence[int]) -> None:
        """As ok."""
        released = await self.store.tasks.release(self.id, self.worker, [(id, 0, 0) for id in ids])
        if set(released.outcomes) != {"closed"}:
            raise BenchError(f"released, and the outcome was {set(released.outcomes)}")

    async def fill(self, count: int, recipe: int = 30) -> None:
        await gather((self.submit(CHUNK, recipe) for _ in range(-(-count // CHUNK))), in_flight=4)

    async def close(self, count: int) -> None:
        """Submits so many tasks, and releases them."""

        async def some() -> None:
            await self.submit(CHUNK)
            await self.release(await self.assign(CHUNK))

        await gather((some() for _ in range(-(-count // CHUNK))), in_flight=4)


async def manager(store: Store, redis: Redis) -> int:
    """The first account of a store, which learns all scripts."""
    for script in load().values():
        redis.script_load(script.source)
    return (await store.managers.register("bench", "a long password", open_to_all=True)).id


async def growth(
    settings: Settings,
    redis: Redis,
    tasks: int,
    add: Callable[[Project], Awaitable[None]],
    *,
    groups: int = 0,
    **configuration: float,
) -> float:
    """Bytes by which the store grows, by task."""
    opened = open_store(settings)
    try:
        project = await Project.create(opened, await manager(opened, redis), groups=groups, **configuration)
        before = _used(redis)
        await add(project)
        return round((_used(redis) - before) / tasks, 1)
    finally:
        await opened.close()


def _used(redis: Redis) -> int:
    """Bytes, without what waits to be written to the append-only file."""
    settle(redis)
    seen = redis.info("memory")
    return int(seen["used_memory"] - seen["mem_aof_buffer"])


class Costs:
    """Adds up what each script has cost. Only one may run while it is measured."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._schedstat = Path(f"/proc/{redis.info('server')['process_id']}/schedstat")
        self.scripts: dict[str, Script] = {}
        # A rewrite of the append-only file slows whatever it meets: the latency in bench.http shows what that costs.
        redis.config_set("auto-aof-rewrite-percentage", 0)
        # The largest is the last percentile.
        redis.config_set("latency-tracking-info-percentiles", "99 100")

    async def measure(self, name: str, calls: Iterable[Awaitable[T]], tasks: int = 0) -> list[T]:
        """The answers of calls, whose cost is added to that of ``name``; ``tasks``: how many all are about."""
        settle(self._redis)
        self._redis.config_resetstat()
        before, waited = main_thread_cpu(self._redis), self._waited()
        answers = await gather(calls)
        used, waited = main_thread_cpu(self._redis) - before, self._waited() - waited
        seen: dict[str, Any] = self._redis.info("commandstats").get("cmdstat_evalsha", {})
        slowest = self._redis.info("latencystats").get("latency_percentiles_usec_evalsha", {})
        if seen.get("calls") != len(answers):
            raise BenchError(f"{name}: {len(answers)} calls, but the store saw {seen.get('calls', 0)}")
        script = self.scripts.setdefault(name, Script())
        script.calls += len(answers)
        script.tasks += tasks
        script.script_us += seen["usec"]
        script.cpu_us += used * 1e6
        script.p99_us = max(script.p99_us, slowest["p99"])
        script.worst_us = max(script.worst_us, slowest["p100"])
        # It may have waited in another call than this one: over short rounds, the largest difference is close.
        script.own_worst_us = max(script.own_worst_us, slowest["p100"] - waited)
        return answers

    def _waited(self) -> float:
        """Microseconds for which the store's main thread has been ready to run while others had the cores."""
        return int(self._schedstat.read_text().split()[1]) / 1000


def main_thread_cpu(redis: Redis) -> float:
    """Seconds that the store's main thread has used: without the thread that syncs the append-only file."""
    cpu = redis.info("cpu")
    return float(cpu["used_cpu_user_main_thread"]) + float(cpu["used_cpu_sys_main_thread"])
