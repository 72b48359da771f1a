"""The store's clock is set back by an hour: nothing stops, and nothing waits for an hour."""

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store.managers import ATTEMPTS
from broker.store.tasks import Tasks
from broker.sweeper import sweep
from tests.store.conftest import NOON, StoreFleet, new
from tests.stores import looking_into

HOUR = 3600


async def taken_back(fleet: StoreFleet, project: int) -> int:
    """How many tasks a sweep takes from their workers."""
    before = (await fleet.store.monitoring.stats(project)).counters.get("reclaimed", 0)
    await sweep(fleet.store)
    return (await fleet.store.monitoring.stats(project)).counters.get("reclaimed", 0) - before


async def times(fleet: StoreFleet, project: int) -> list[int]:
    return [row.time async for row in fleet.store.monitoring.snapshots(project, None, None)]


async def test_held_tasks_come_back_after_their_time_whatever_else_is_held(fleet: StoreFleet) -> None:
    project = await fleet.project()
    slow, other = await fleet.worker(project), await fleet.worker(project)
    await sweep(fleet.store)
    await fleet.submit(project, slow, *(new(seconds=600) for _ in range(700)), new(seconds=36_000))
    for count in (500, 201):
        await fleet.take(project, slow, count)

    fleet.passes(-HOUR)
    (late,) = await fleet.submit(project, other, new(seconds=300))
    assert [task.id for task in await fleet.take(project, other)] == [late]
    assert await taken_back(fleet, project) == 0

    fleet.passes(300)
    assert await taken_back(fleet, project) == 1
    fleet.passes(299.999)
    assert await taken_back(fleet, project) == 0
    fleet.passes(0.001)
    assert await taken_back(fleet, project) == 700
    fleet.passes(36_000)
    assert await taken_back(fleet, project) == 1


async def test_a_deadline_that_was_moved_holds_for_as_long_from_the_new_time(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await sweep(fleet.store)
    (task,) = await fleet.submit(project, worker, new(seconds=600))
    await fleet.take(project, worker)
    assert await fleet.store.tasks.extend(project, worker, [task or 0], 60) == [True]

    fleet.passes(-HOUR)
    assert await taken_back(fleet, project) == 0
    fleet.passes(60)

    assert await taken_back(fleet, project) == 1


async def test_a_sweep_that_could_not_come_to_a_project_does_it_again(
    fleet: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await sweep(fleet.store)
    await fleet.submit(project, worker, new(seconds=60))
    await fleet.take(project, worker)
    fleet.passes(-HOUR)

    async def away(*_: object) -> None:
        raise BrokerError("unavailable", "away")

    with monkeypatch.context() as patch:
        patch.setattr(Tasks, "rebase", away)
        await sweep(fleet.store)
    assert await taken_back(fleet, project) == 0
    fleet.passes(60)

    assert await taken_back(fleet, project) == 1


async def test_remembered_hashes_are_forgotten_after_their_time(fleet: StoreFleet) -> None:
    project = await fleet.project(remember_closed=60)
    worker = await fleet.worker(project)
    await sweep(fleet.store)
    (task,) = await fleet.submit(project, worker, new(hash64=7))
    await fleet.take(project, worker)
    await fleet.release(project, worker, task)

    fleet.passes(-HOUR)
    await sweep(fleet.store)
    assert await fleet.submit(project, worker, new(hash64=7)) == [None]
    fleet.passes(60)

    assert await fleet.submit(project, worker, new(hash64=7)) != [None]


async def test_snapshots_go_on_and_those_of_later_times_are_dropped(fleet: StoreFleet, settings: Settings) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    now = NOON // 1000

    async def take(project: int) -> bool:
        await fleet.submit(project, worker, new())
        return await fleet.store.monitoring.take_snapshot(project)

    for _ in range(3):
        assert await take(project)
        fleet.passes(settings.snapshot_interval)
    assert await take(project)

    fleet.passes(-settings.snapshot_interval - 5)
    assert await take(project) is False
    fleet.passes(5)
    assert await take(project)
    assert await times(fleet, project) == [now + 240, now + 120, now]
    fleet.passes(-HOUR)
    assert [await take(project), await take(project)] == [True, False]
    fleet.passes(settings.snapshot_interval)
    assert await take(project)

    assert await times(fleet, project) == [now + 360 - HOUR, now + 240 - HOUR]
    # A small correction drops nothing.
    fleet.passes(-1)
    assert await take(project) is False
    assert len(await times(fleet, project)) == 2


async def test_however_many_snapshots_there_are_the_next_one_is_made(
    fleet: StoreFleet, redis_url: str, settings: Settings
) -> None:
    project = await fleet.project()
    counts = dict.fromkeys(("new", "failed", "closed", "access", "awaiting"), 1)
    ids = [(NOON // 1000 + n * 120) * 1000 for n in range(-1200, 0)]
    with looking_into(redis_url) as redis:
        for id in [*ids, *(id + 500_000_000 for id in ids)]:
            redis.xadd(f"{settings.prefix}:{{project:{project}}}:snapshots", counts, id=f"{id}-0")

    assert await fleet.store.monitoring.take_snapshot(project)

    assert await times(fleet, project) == [id // 1000 for id in [NOON, *reversed(ids)]]


async def test_a_name_that_was_locked_for_a_minute_is_free_at_once(fleet: StoreFleet) -> None:
    check = fleet.store.managers.check_password
    for _ in range(ATTEMPTS):
        with pytest.raises(BrokerError):
            await check("boss", "wrong password", "127.0.0.1")
    with pytest.raises(BrokerError) as locked:
        await check("boss", "a long password", "127.0.0.1")
    assert (locked.value.code, locked.value.delay) == ("rate_limited", 60)

    fleet.passes(-HOUR)

    assert (await check("boss", "a long password", "127.0.0.1")).id == fleet.manager
    fleet.passes(HOUR + 60)
    assert (await check("boss", "a long password", "127.0.0.1")).id == fleet.manager


async def test_wrong_passwords_of_a_name_count_for_a_minute(fleet: StoreFleet) -> None:
    check = fleet.store.managers.check_password
    for _ in range(ATTEMPTS):
        with pytest.raises(BrokerError):
            await check("boss", "wrong password", "127.0.0.1")

    fleet.passes(59.999)
    with pytest.raises(BrokerError) as locked:
        await check("boss", "a long password", "127.0.0.1")
    assert locked.value.delay == 1
    fleet.passes(0.001)

    assert (await check("boss", "a long password", "127.0.0.1")).id == fleet.manager


async def test_workers_that_wait_for_tasks_are_told_of_them(
    fleet: StoreFleet, redis_url: str, settings: Settings
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.store.tasks.awaited(project, 5)

    fleet.passes(-HOUR)
    await fleet.store.tasks.awaited(project, 5)
    with looking_into(redis_url) as redis, redis.pubsub() as channel:
        channel.subscribe(f"{settings.prefix}:{{project:{project}}}:wake")
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        await fleet.submit(project, worker, new())

        assert channel.get_message(timeout=5)["data"] == "1 0"
