"""Known hashes stand in buckets that split as they grow: each in one, whatever clients send."""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store.task_fields import TaskFields
from broker.store.tasks import CHUNK
from tests.store.conftest import StoreFleet
from tests.stores import keys_like, looking_into

MANY = 20_000
SHAPES = {
    "random": [hash64 - 2**63 for hash64 in map(random.Random(1).getrandbits, [64] * MANY)],
    "in order": range(1, MANY + 1),
    "below zero": range(-MANY, 0),
    "largest": range(2**63 - MANY, 2**63),
    "smallest": range(-(2**63), -(2**63) + MANY),
    **{f"times {name}": range(step, (MANY + 1) * step, step) for name, step in (("2^20", 2**20), ("2^40", 2**40))},
    **{f"times 10^{n}": range(10**n, (min(MANY, 9 * 10 ** (18 - n)) + 1) * 10**n, 10**n) for n in (8, 9, 15)},
}


def submits(hashes: Iterable[int]) -> Iterator[list[TaskFields]]:
    tasks = [TaskFields("r", hash64) for hash64 in hashes]
    for i in range(0, len(tasks), CHUNK):
        yield tasks[i : i + CHUNK]


async def submit_all(fleet: StoreFleet, project: int, worker: int, hashes: Iterable[int]) -> list[int | None]:
    return [id for tasks in submits(hashes) for id in await fleet.submit(project, worker, *tasks)]


async def close_all(fleet: StoreFleet, project: int, worker: int) -> None:
    while held := await fleet.take(project, worker, CHUNK):
        await fleet.store.tasks.release(project, worker, [(task.id, 0, 0) for task in held])


class Buckets:
    """What a project's family of hashes has, read as an operator would."""

    def __init__(self, redis: Any, base: str, name: str) -> None:
        text = redis.hget(base, f"{name}_hashes")
        self.gen, self.level, self.split, self.salt = map(int, text.split()) if text else (0, 1, 0, 0)
        self.ways = 2 if name == "recent" else 4
        self.buckets: dict[int, set[int]] = {}
        for key in keys_like(redis, f"{base}:{name}:{self.gen}:*"):
            members = redis.hkeys(key) if name == "recent" else redis.smembers(key)
            self.buckets[int(key.rpartition(":")[2])] = {int(member) for member in members}
        self.hashes = [hash64 for bucket in self.buckets.values() for hash64 in bucket]
        self.sample = int(redis.hget(base, f"{name}_sample") or 0)

    def number(self, hash64: int) -> int:
        text, salt = str(hash64), self.salt
        low, high = int(text[-8:]), int(text[:-8]) if text[:-8] not in ("", "-") else 0
        return (low * salt + high) % 2147483647 * (1048577 + 2 * (salt * 7919 % 524287)) % 2147483647

    def bucket_of(self, hash64: int) -> int:
        k = self.number(hash64) % self.level
        return self.number(hash64) % (self.ways * self.level) if k < self.split else k

    def check(self, expected: Iterable[int]) -> None:
        assert sorted(self.hashes) == sorted(expected)
        assert all(self.bucket_of(hash64) == k for k, bucket in self.buckets.items() for hash64 in bucket)
        assert self.sample == sum(self.number(hash64) < 2**27 for hash64 in self.hashes)


@pytest.mark.parametrize("shape", SHAPES)
async def test_hashes_of_every_shape_are_spread_over_small_buckets(
    fleet: StoreFleet, settings: Settings, shape: str
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)

    redis, base = looking_into(settings.redis_url), f"{settings.prefix}:{{project:{project}}}"
    # Not drawn: of some thousand salts, one is bad for one of the shapes, and a bucket gets 1,000.
    redis.hset(base, "known_hashes", "0 1 0 8635521")

    assert None not in await submit_all(fleet, project, worker, SHAPES[shape])

    known = Buckets(redis, base, "known")
    known.check(SHAPES[shape])
    # About 312 are in each that was not split yet; up to 512 stay integers.
    assert max(map(len, known.buckets.values())) < 512
    assert set(await submit_all(fleet, project, worker, SHAPES[shape])) == {None}


@pytest.mark.parametrize(("remember", "family"), [(-1, "closed"), (3600, "recent"), (0, None)])
async def test_a_hash_moves_when_its_task_closes_and_is_never_in_two_places(
    fleet: StoreFleet, settings: Settings, remember: int, family: str | None
) -> None:
    project = await fleet.project(remember_closed=remember)
    worker = await fleet.worker(project)
    closing, waiting = range(1, 5001), range(-3000, 0)
    await submit_all(fleet, project, worker, closing)
    await close_all(fleet, project, worker)
    await submit_all(fleet, project, worker, waiting)

    redis, base = looking_into(settings.redis_url), f"{settings.prefix}:{{project:{project}}}"

    Buckets(redis, base, "known").check(waiting)
    for name in ("closed", "recent"):
        Buckets(redis, base, name).check(closing if name == family else ())
    again = await submit_all(fleet, project, worker, closing)
    assert set(again) == {None} if remember else None not in again


@pytest.mark.parametrize("remember", [-1, 3600])
async def test_a_project_that_has_lost_the_field_of_live_hashes_still_refuses_what_it_has_closed(
    fleet: StoreFleet, settings: Settings, remember: int
) -> None:
    project = await fleet.project(remember_closed=remember)
    worker = await fleet.worker(project)
    redis, base = looking_into(settings.redis_url), f"{settings.prefix}:{{project:{project}}}"
    await submit_all(fleet, project, worker, range(1, 3001))
    await close_all(fleet, project, worker)

    # By a hand in redis-cli; nothing was live.
    redis.hdel(base, "known_hashes")

    assert set(await submit_all(fleet, project, worker, range(1, 3001))) == {None}
    assert None not in await submit_all(fleet, project, worker, range(3001, 6001))
    await close_all(fleet, project, worker)
    assert set(await submit_all(fleet, project, worker, range(1, 6001))) == {None}
    Buckets(redis, base, "closed" if remember == -1 else "recent").check(range(1, 6001))


async def test_memory_that_is_full_in_the_middle_of_splits_loses_no_hash(fleet: StoreFleet, settings: Settings) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    redis, base = looking_into(settings.redis_url), f"{settings.prefix}:{{project:{project}}}"
    taken: list[int] = []
    limit = redis.config_get("maxmemory")["maxmemory"]
    try:
        for n, tasks in enumerate(submits(SHAPES["random"])):
            # Each second call finds the memory full.
            redis.config_set("maxmemory", 1 if n % 2 else 0)
            if n % 2:
                with pytest.raises(BrokerError, match="full"):
                    await fleet.submit(project, worker, *tasks)
            else:
                assert None not in await fleet.submit(project, worker, *tasks)
                taken += [int(task.hash64) for task in tasks]
    finally:
        redis.config_set("maxmemory", limit)

    assert len(taken) == MANY / 2
    Buckets(redis, base, "known").check(taken)


async def test_late_hashes_are_trimmed_bucket_by_bucket_while_others_come(
    fleet: StoreFleet, settings: Settings
) -> None:
    project = await fleet.project(remember_closed=800)
    worker = await fleet.worker(project)
    redis, base = looking_into(settings.redis_url), f"{settings.prefix}:{{project:{project}}}"
    early, late = range(1, 3001), range(-3000, 0)
    await submit_all(fleet, project, worker, early)
    await close_all(fleet, project, worker)
    fleet.passes(900)
    assert (await fleet.store.active.due(project)).expired

    removed, more, steps = 0, True, 0
    await submit_all(fleet, project, worker, late)
    while more:
        gone, more = await fleet.store.tasks.expire_hashes(project, 100)
        removed, steps = removed + gone, steps + 1
        held = await fleet.take(project, worker, 100)
        await fleet.store.tasks.release(project, worker, [(task.id, 0, 0) for task in held])

    assert (removed, steps > 20) == (len(early), True)
    Buckets(redis, base, "recent").check(range(-3000, min(0, -3000 + 100 * steps)))
    assert not (await fleet.store.active.due(project)).expired


async def test_a_hard_reset_leaves_the_buckets_to_a_drain_and_new_hashes_are_apart_from_them(
    fleet: StoreFleet, settings: Settings
) -> None:
    project = await fleet.project(remember_closed=-1)
    worker = await fleet.worker(project)
    redis, base = looking_into(settings.redis_url), f"{settings.prefix}:{{project:{project}}}"
    await submit_all(fleet, project, worker, range(1, 3001))
    await close_all(fleet, project, worker)
    await submit_all(fleet, project, worker, range(3001, 6001))

    await fleet.store.maintenance.begin_drain(project, "hard_reset")
    assert None not in await submit_all(fleet, project, worker, range(1, 6001))
    while (await fleet.store.maintenance.drain(project, 500))[1]:
        pass

    Buckets(redis, base, "known").check(range(1, 6001))
    assert len([*keys_like(redis, f"{base}:known:*")]) == len(Buckets(redis, base, "known").buckets)
    assert not [*keys_like(redis, f"{base}:closed:*")]
