"""``broker check``: each kind of damage is found and repaired; a fleet at work is no damage."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest

from broker.settings import Settings
from broker.store.project_check import ProjectCheck
from tests.store.conftest import StoreFleet, new
from tests.stores import keys_like, looking_into, lose_record


class Hand:
    """What an operator may do in redis-cli."""

    def __init__(self, redis: Any, prefix: str, project: int, ids: list[int]) -> None:
        self.redis, self.prefix, self.ids = redis, prefix, ids
        self.base = f"{prefix}:{{project:{project}}}"

    def hash_key(self, hash64: int) -> str:
        keys = keys_like(self.redis, f"{self.base}:known:*")
        return next(key for key in keys if self.redis.sismember(key, hash64))


async def differences(fleet: StoreFleet, project: int, *, repair: bool = False) -> dict[str, set[str]]:
    check = fleet.store.check(project, repair=repair)
    async for _ in check.run():
        pass
    return {what: which for what, which in check.differences.items() if which}


@pytest.fixture
async def damaged(fleet: StoreFleet, settings: Settings) -> Hand:
    """A project with tasks in every state, before any damage: waiting 0 and 1, voted 2, failed 3, held 4 and 5 (voted),
    failed with a vote 6.
    """
    project = await fleet.project(remember_closed=-1)
    worker, other = await fleet.worker(project), await fleet.worker(project)
    fields = [(0, 1), (0, 1), (9, 3), (8, 1), (1, 1), (7, 3), (6, 2)]
    tasks = [new(priority=priority, votes=votes, hash64=10 + n) for n, (priority, votes) in enumerate(fields)]
    ids = [id or 0 for id in await fleet.submit(project, worker, *tasks)]
    (closing,) = await fleet.submit(project, worker, new("x" * 2000, priority=99, hash64=9))
    await fleet.take(project, worker, 5)
    for id, result in ((ids[2], 0), (ids[3], 1), (ids[5], 0), (ids[6], 0), (closing, 0)):
        await fleet.release(project, worker, id, result, 77)
    await fleet.take(project, other, 3)
    await fleet.release(project, other, ids[6], 1)
    await fleet.release(project, other, ids[2], 2)
    assert [task.id for task in await fleet.take(project, worker)] == [ids[4]]
    return Hand(looking_into(settings.redis_url), settings.prefix, project, ids)


def lose_holders(hand: Hand) -> None:
    hand.redis.hset(f"{hand.base}:holders", mapping={str(hand.ids[4]): "9999 5", str(hand.ids[0]): "1 5"})
    hand.redis.hdel(f"{hand.base}:holders", str(hand.ids[5]))


def lose_records(hand: Hand) -> None:
    for id in hand.ids:
        lose_record(hand.redis, hand.prefix, id)


class Damage(NamedTuple):
    make: Callable[[Hand], Any]
    what: str
    tasks: list[int]
    """Which of them differ. Hashes are 10 and more."""


DAMAGE = {
    "no records": Damage(lose_records, "record", [*range(7)]),
    "a record that cannot be read": Damage(
        lambda hand: hand.redis.hset(f"{hand.base}:tasks:0", "1", "damaged"), "record", [0]
    ),
    "sets that are gone": Damage(
        lambda hand: hand.redis.delete(f"{hand.base}:queue", f"{hand.base}:failed"), "nowhere", [0, 1, 3, 6]
    ),
    "tasks in two sets": Damage(
        lambda hand: hand.redis.zadd(f"{hand.base}:queue", {str(id): 1 for id in hand.ids}), "state", [*range(2, 7)]
    ),
    "a task that lost its votes": Damage(
        lambda hand: hand.redis.delete(f"{hand.base}:votes:{hand.ids[2]}"), "state", [2]
    ),
    "a task that two workers hold": Damage(
        lambda hand: hand.redis.zadd(f"{hand.base}:assigned", {f"{hand.ids[4]}:9": 1}), "state", [4]
    ),
    "wrong and missing holders": Damage(lose_holders, "holder", [0, 4, 5]),
    "a wrong tally": Damage(lambda hand: hand.redis.hset(f"{hand.base}:tally:{hand.ids[2]}", "77", "2"), "votes", [2]),
    "no tally": Damage(lambda hand: hand.redis.delete(f"{hand.base}:tally:{hand.ids[5]}"), "votes", [5]),
    "votes that are not marked": Damage(lambda hand: hand.redis.delete(f"{hand.base}:voted"), "voted", [2, 5]),
    "marks without votes": Damage(
        lambda hand: hand.redis.sadd(f"{hand.base}:voted", *hand.ids), "voted", [0, 1, 3, 4, 6]
    ),
    "a last number that is too small": Damage(
        lambda hand: hand.redis.hset(hand.base, "seq", 3), "number", [3, 4, 5, 6]
    ),
    "no last place": Damage(lambda hand: hand.redis.hdel(hand.base, "place"), "number", [0, 1, 2]),
    "a hash that is not known": Damage(lambda hand: hand.redis.srem(hand.hash_key(10), 10), "known", [0]),
    "no record of the buckets of hashes": Damage(
        lambda hand: hand.redis.hdel(hand.base, "known_hashes", "known_sample"), "known", [*range(7)]
    ),
    "hashes of no task": Damage(lambda hand: hand.redis.sadd(hand.hash_key(10), 99, -99, "odd"), "leftover", []),
    "wrong samples": Damage(
        lambda hand: hand.redis.hset(hand.base, mapping={"known_sample": 50, "closed_sample": -1}), "sample", []
    ),
}
NO_TASKS = {"leftover": {"99", "-99", "odd"}, "sample": {"known", "closed"}}


@pytest.mark.parametrize("name", DAMAGE)
async def test_damage_is_found_and_repaired(fleet: StoreFleet, damaged: Hand, name: str) -> None:
    make, what, tasks = DAMAGE[name]
    project, wanted = damaged.ids[0] % 100_000, {str(damaged.ids[n]) for n in tasks} or NO_TASKS[what]
    assert await differences(fleet, project) == {}
    make(damaged)

    found = await differences(fleet, project)
    assert found[what] == wanted
    assert await differences(fleet, project) == found
    assert (await differences(fleet, project, repair=True))[what] >= (wanted if what != "number" else set())

    assert await differences(fleet, project) == {}


async def test_a_repaired_project_goes_on(fleet: StoreFleet, damaged: Hand) -> None:
    project = damaged.ids[0] % 100_000
    worker = await fleet.worker(project)
    lose_record(damaged.redis, damaged.prefix, damaged.ids[0])
    damaged.redis.delete(f"{damaged.base}:queue", f"{damaged.base}:failed")
    damaged.redis.srem(damaged.hash_key(14), 14)

    await differences(fleet, project, repair=True)

    # The hash of the task that is gone is free, that of a task that lives is not.
    assert [id is None for id in await fleet.submit(project, worker, new(hash64=10), new(hash64=14))] == [False, True]
    taken = {task.id for task in await fleet.take(project, worker, 10)}
    assert {damaged.ids[n] for n in (1, 2, 3, 6)} < taken
    assert damaged.ids[0] not in taken
    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.verifying, stats.failed) == (0, 0, 0)


@pytest.mark.parametrize("operation", ["reset_failed", "reclaim_assigned", "hard_reset"])
async def test_what_maintenance_has_not_worked_off_yet_is_no_damage(
    fleet: StoreFleet, damaged: Hand, operation: str
) -> None:
    project = damaged.ids[0] % 100_000
    await fleet.store.maintenance.begin_drain(project, operation)

    more = True
    while more:
        assert await differences(fleet, project) == {}
        assert await differences(fleet, project, repair=True) == {}
        _, more = await fleet.store.maintenance.drain(project, 1)

    assert await differences(fleet, project) == {}


async def work(fleet: StoreFleet, project: int, worker: int, seed: int) -> None:
    """Random calls that change tasks; hashes are used again."""
    chance = random.Random(seed)
    while True:
        match chance.randrange(20):
            case 0 | 1 | 2 | 3 | 4:
                hashes = [chance.randrange(5000) for _ in range(100)]
                fields = [new(votes=chance.choice((1, 1, 2)), hash64=hash64 or "") for hash64 in hashes]
                await fleet.submit(project, worker, *fields)
            case 5:
                operation = chance.choice((*["reset_failed", "reclaim_assigned"] * 3, "hard_reset"))
                await fleet.store.maintenance.begin_drain(project, operation)
            case 6 | 7 | 8 | 9:
                await fleet.store.maintenance.drain(project, 200)
            case _:
                held = await fleet.take(project, worker, 80)
                results = [(task.id, chance.choice((0, 0, 1, 2)), chance.choice((1, 2))) for task in held]
                await fleet.store.tasks.release(project, worker, results[: chance.randrange(81)])


@pytest.mark.parametrize("remember", [0, -1, 3600])
async def test_a_fleet_at_work_is_no_damage(fleet: StoreFleet, remember: int) -> None:
    project = await fleet.project(remember_closed=remember)
    workers = [asyncio.create_task(work(fleet, project, await fleet.worker(project), seed)) for seed in range(4)]
    try:
        for n in range(10):
            assert await differences(fleet, project, repair=n % 2 == 1) == {}
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    while (await fleet.store.maintenance.drain(project, 500))[1]:
        pass
    assert await differences(fleet, project) == {}


async def trimming(fleet: StoreFleet, project: int, check: ProjectCheck) -> AsyncIterator[str]:
    """Where the count of hashes that expire was. They are trimmed when it has seen the first of them."""
    async for where in check.run():
        if where.startswith("recent hashes"):
            while (await fleet.store.tasks.expire_hashes(project, 500))[1]:
                pass
            yield where


async def test_hashes_that_are_trimmed_while_they_are_counted_are_no_damage(fleet: StoreFleet) -> None:
    project = await fleet.project(remember_closed=800)
    worker = await fleet.worker(project)
    for first in range(1, 3000, 500):
        await fleet.submit(project, worker, *(new(hash64=first + n) for n in range(500)))
        held = await fleet.take(project, worker, 500)
        await fleet.store.tasks.release(project, worker, [(task.id, 0, 0) for task in held])
    fleet.passes(900)

    check = fleet.store.check(project, repair=False)
    counted = [where async for where in trimming(fleet, project, check)]

    assert len(counted) > 1
    assert (await fleet.store.active.due(project)).expired is False
    assert check.differences["sample"] == set()
    assert await differences(fleet, project) == {}


@pytest.mark.parametrize("votes", [1, 2])
@pytest.mark.parametrize("rests", [False, True])
async def test_a_group_that_has_lost_its_ticket_has_one_again(
    fleet: StoreFleet, settings: Settings, votes: int, rests: bool
) -> None:
    project = await fleet.project(group_delay=60)
    worker, other = await fleet.worker(project), await fleet.worker(project)
    ids = await fleet.submit(project, worker, *(new(votes=votes)._replace(group="a") for _ in range(2)))
    if votes == 2 or rests:
        await fleet.take(project, worker)
        await fleet.release(project, worker, ids[0] or 0, 0 if votes == 2 else 2)
    if not rests:
        fleet.passes(60)
        await fleet.store.tasks.promote(project, 10)
    assert await differences(fleet, project) == {}
    with looking_into(settings.redis_url) as redis:
        base = fleet.store.keys.project(project)[0]
        redis.delete(f"{base}:ready", f"{base}:ready_voted", f"{base}:due")
    assert await fleet.take(project, other) == []

    assert set(await differences(fleet, project)) == {"ticket"}
    assert set(await differences(fleet, project, repair=True)) == {"ticket"}
    assert await differences(fleet, project) == {}

    assert len(await fleet.take(project, other)) == 1
