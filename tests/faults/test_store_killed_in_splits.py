"""Buckets of known hashes split by the thousands, while the store is killed in the middle of calls, and full at times.

What was answered counts. A call that got no answer was done wholly, or not at all.
"""

import asyncio
import math
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from redis import ConnectionError as RedisConnectionError

from broker.errors import Unavailable
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.redis.embedded import EmbeddedStore
from broker.store.task_fields import Task, TaskFields
from broker.store.tasks import CHUNK
from tests.servers import until_it_answers
from tests.serving import until
from tests.store.conftest import NOON, StoreFleet
from tests.store.test_known_hashes import Buckets
from tests.stores import keys_like, looking_into

EACH = 100_000
"""New hashes that each project gets; a fifth as many come again."""

SECONDS = 150
"""For which one of them remembers, while about 250 pass."""

T = TypeVar("T")


class Full(Exception):
    pass


class Harm:
    """Kills the store, fills it, or has it rewrite its file: each after so many answers, and a moment more."""

    def __init__(self, embedded: EmbeddedStore, seed: int) -> None:
        self._embedded = embedded
        self._redis = looking_into(embedded.url)
        self._process = self._redis.info("server")["process_id"]
        self._chance = random.Random(seed)
        self._awaited = 0
        self._reached = asyncio.Event()
        self.kills = 0

    def answered(self) -> None:
        self._awaited -= 1
        if self._awaited <= 0:
            self._reached.set()

    async def _answers(self, count: int) -> None:
        self._awaited = count
        self._reached.clear()
        await self._reached.wait()

    async def run(self) -> None:
        while True:
            await self._answers(self._chance.randint(10, 80))
            await asyncio.sleep(self._chance.uniform(0, 0.02))
            match self._chance.randrange(4):
                case 0:
                    self._redis.config_set("maxmemory", 1)
                    await self._answers(self._chance.randint(1, 40))
                    self._redis.config_set("maxmemory", 0)
                case 1:
                    # Killed soon, perhaps in the middle of it.
                    if not self._redis.info("persistence")["aof_rewrite_in_progress"]:
                        self._redis.bgrewriteaof()
                case _:
                    self._kill()

    def _kill(self) -> None:
        os.kill(self._process, signal.SIGKILL)
        until(lambda: self._embedded.tend() is not None)
        until(self._is_up, 60)
        self._process = self._redis.info("server")["process_id"]
        self.kills += 1

    def _is_up(self) -> bool:
        try:
            return bool(self._redis.ping())
        except RedisConnectionError:
            return False


class Work:
    """Submits and closes tasks of a project, one call at a time, and knows which hashes must be refused."""

    def __init__(self, store: Store, harm: Harm, project: int, worker: int, remember: int) -> None:
        self._store = store
        self._harm = harm
        self.project = project
        self._worker = worker
        self._remember = remember
        self._chance = random.Random(remember)
        self._now = NOON
        store.set_clock(NOON)
        self._sent: list[int] = []
        self.live: set[int] = set()
        self.closed: dict[int, int] = {}
        """To the unix second in which its task closed."""
        self.unanswered = 0

    def counts(self, hash64: int) -> bool:
        """Whether it is that of a closed task that is remembered."""
        second = self.closed.get(hash64)
        return second is not None and (self._remember == -1 or second > self._now / 1000 - self._remember)

    async def run(self) -> None:
        while len(self._sent) < EACH:
            unanswered = self.unanswered
            # At first, many stay live.
            if self._chance.random() < (0.75 if len(self._sent) < EACH / 2 else 0.4):
                new = self._new(CHUNK * 4 // 5)
                if await self._submit(new + self._earlier(CHUNK // 5)):
                    self._sent += new
            else:
                await self._close()
                self._now += self._chance.randint(0, 2000)
                self._store.set_clock(self._now)
                await self._answer(lambda: self._store.tasks.expire_hashes(self.project, CHUNK))
            if self.unanswered > unanswered:
                await self._submit(self._earlier(CHUNK))

    def _new(self, count: int) -> list[int]:
        """Random ones, in order, and multiples of 2^20."""
        first = len(self._sent)
        shapes = (lambda _: self._chance.getrandbits(64) - 2**63, lambda n: n, lambda n: n << 20)
        return [self._chance.choice(shapes)(n) for n in range(first + 1, first + count + 1)]

    def _earlier(self, count: int) -> list[int]:
        return self._chance.sample(self._sent, min(count, len(self._sent)))

    async def _answer(self, call: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The answer, and whether the call was sent before, and got none. Raises :class:`Full` when it was not."""
        unanswered = 0
        while True:
            try:
                answer = await call()
            except Unavailable as error:
                if "full" not in error.message:
                    unanswered += 1
                    self.unanswered += 1
                    continue
                self._harm.answered()
                if not unanswered:
                    raise Full from None
            else:
                self._harm.answered()
                return answer, unanswered > 0

    async def _submit(self, hashes: list[int]) -> bool:
        """Whether it was not refused."""
        tasks, accepted = [TaskFields("r", hash64) for hash64 in hashes], set[int]()
        expected = []
        for hash64 in hashes:
            expected.append(not (hash64 in accepted or hash64 in self.live or self.counts(hash64)))
            if expected[-1]:
                accepted.add(hash64)
        try:
            ids, repeated = await self._answer(lambda: self._store.tasks.submit(self.project, self._worker, tasks))
        except Full:
            return False
        found = [id is not None for id in ids]
        assert found == expected or (repeated and not any(found))
        self.live |= accepted
        for hash64 in accepted:
            self.closed.pop(hash64, None)
        return True

    async def _close(self) -> None:
        tasks = self._store.tasks
        assigned, repeated = await self._answer(lambda: tasks.assign(self.project, self._worker, CHUNK, 3600))
        held = await self._held() if repeated else assigned.tasks
        for i in range(0, len(held), CHUNK):
            some = held[i : i + CHUNK]
            call = partial(tasks.release, self.project, self._worker, [(task.id, 0, 0) for task in some])
            released, repeated = await self._answer(call)
            assert set(released.outcomes) == {"closed"} or (repeated and set(released.outcomes) == {"not_held"})
            hashes = {int(task.fields.hash64) for task in some}
            assert hashes <= self.live
            self.live -= hashes
            if self._remember:
                self.closed |= dict.fromkeys(hashes, math.ceil(self._now / 1000))

    async def _held(self) -> list[Task]:
        held: dict[int, Task] = {}
        cursor = ""
        while cursor != "0":
            call = partial(self._store.tasks.held, self.project, self._worker, cursor or "0", CHUNK)
            (cursor, some), _ = await self._answer(call)
            held |= {task.id: task for task in some.tasks}
        return [*held.values()]

    async def check(self, redis: Any) -> int:
        """How many splits there were."""
        base = f"{Settings().prefix}:{{project:{self.project}}}"
        families = {name: Buckets(redis, base, name) for name in ("known", "closed", "recent")}
        expected = {"known": self.live, "closed": self.closed.keys() if self._remember == -1 else set()}
        # Those that count no longer are removed some time later.
        expected["recent"] = found = set(families["recent"].hashes)
        if self._remember > 0:
            assert {hash64 for hash64 in self.closed if self.counts(hash64)} <= found <= self.closed.keys()
        splits = 0
        for name, family in families.items():
            family.check(expected[name])
            assert len(keys_like(redis, f"{base}:{name}:*")) == len(family.buckets)
            splits += (family.level - 1) // (family.ways - 1) + family.split
        check = self._store.check(self.project, repair=False)
        async for _ in check.run():
            pass
        assert {what: which for what, which in check.differences.items() if which} == {}
        return splits


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """What it has answered is on the disk."""
    embedded = EmbeddedStore(Settings(data_dir=str(tmp_path), durability="always"))
    embedded.start()
    until_it_answers(embedded.url)
    yield embedded
    embedded.stop()


@pytest.fixture
async def stores(embedded: EmbeddedStore) -> AsyncIterator[list[Store]]:
    """Each with a clock of its own."""
    opened = [open_store(Settings(redis_url=embedded.url)) for _ in range(3)]
    yield opened
    for store in opened:
        await store.close()


@pytest.mark.slow
async def test_no_hash_is_lost_or_in_two_places_when_the_store_is_killed_and_full_while_buckets_split(
    embedded: EmbeddedStore, stores: list[Store]
) -> None:
    manager = await stores[0].managers.register("boss", "a long password", open_to_all=True)
    fleet, harm, works = StoreFleet(stores[0], manager.id), Harm(embedded, seed=1), []
    for store, remember in zip(stores, (0, -1, SECONDS), strict=True):
        project = await fleet.project(remember_closed=remember)
        works.append(Work(store, harm, project, await fleet.worker(project), remember))

    async with asyncio.TaskGroup() as group:
        harming = group.create_task(harm.run())
        await asyncio.gather(*(work.run() for work in works))
        harming.cancel()

    with looking_into(embedded.url) as redis:
        redis.config_set("maxmemory", 0)
        splits = [await work.check(redis) for work in works]
    assert sum(splits) > 1500
    assert harm.kills > 10
    assert all(work.unanswered > 10 for work in works)
