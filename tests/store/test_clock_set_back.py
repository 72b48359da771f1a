"""The store's clock is set back by an hour: nothing stops, and nothing waits for an hour."""

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store.managers import ATTEMPTS
from broker.store.tasks import Tasks
from broker.sweeper import EACH_ROUND, sweep
from tests.store.conftest import NOON, Yard, new
from tests.stores import looking_into

HOUR = 3600


async def taken_back(yard: Yard, project: int) -> int:
    """How many tasks a sweep takes from their workers."""
    before = (await yard.store.monitoring.stats(project)).counters.get("reclaimed", 0)
    await sweep(yard.store, EACH_ROUND)
    return (await yard.store.monitoring.stats(project)).counters.get("reclaimed", 0) - before


async def times(yard: Yard, project: int) -> list[int]:
    return [row["time_stamp"] async for row in yard.store.monitoring.snapshots(project, None, None)]


async def test_held_tasks_come_back_after_their_time_whatever_else_is_held(yard: Yard) -> None:
    project = await yard.project()
    slow, other = await yard.worker(project), await yard.worker(project)
    await sweep(yard.store, EACH_ROUND)
    await yard.submit(project, slow, *(new(seconds=600) for _ in range(700)), new(seconds=36_000))
    for count in (500, 201):
        await yard.take(project, slow, count)

    yard.passes(-HOUR)
    (late,) = await yard.submit(project, other, new(seconds=300))
    assert [task.id for task in await yard.take(project, other)] == [late]
    assert await taken_back(yard, project) == 0

    yard.passes(300)
    assert await taken_back(yard, project) == 1
    yard.passes(299.999)
    assert await taken_back(yard, project) == 0
    yard.passes(0.001)
    assert await taken_back(yard, project) == 700
    yard.passes(36_000)
    assert await taken_back(yard, project) == 1


async def test_a_deadline_that_was_moved_holds_for_as_long_from_the_new_time(yard: Yard) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    await sweep(yard.store, EACH_ROUND)
    (task,) = await yard.submit(project, worker, new(seconds=600))
    await yard.take(project, worker)
    assert await yard.store.tasks.extend(project, worker, [task or 0], 60) == [True]

    yard.passes(-HOUR)
    assert await taken_back(yard, project) == 0
    yard.passes(60)

    assert await taken_back(yard, project) == 1


async def test_a_sweep_that_could_not_come_to_a_project_does_it_again(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    await sweep(yard.store, EACH_ROUND)
    await yard.submit(project, worker, new(seconds=60))
    await yard.take(project, worker)
    yard.passes(-HOUR)

    async def away(*_: object) -> None:
        raise BrokerError("unavailable", "away")

    with monkeypatch.context() as patch:
        patch.setattr(Tasks, "rebase", away)
        await sweep(yard.store, EACH_ROUND)
    assert await taken_back(yard, project) == 0
    yard.passes(60)

    assert await taken_back(yard, project) == 1


async def test_remembered_hashes_are_forgotten_after_their_time(yard: Yard) -> None:
    project = await yard.project(remember_closed=60)
    worker = await yard.worker(project)
    await sweep(yard.store, EACH_ROUND)
    (task,) = await yard.submit(project, worker, new(hash64=7))
    await yard.take(project, worker)
    await yard.release(project, worker, task)

    yard.passes(-HOUR)
    await sweep(yard.store, EACH_ROUND)
    assert await yard.submit(project, worker, new(hash64=7)) == [None]
    yard.passes(60)

    assert await yard.submit(project, worker, new(hash64=7)) != [None]


async def test_snapshots_go_on_and_those_of_later_times_are_dropped(yard: Yard, settings: Settings) -> None:
    project = await yard.project()
    take = yard.store.monitoring.take_snapshot
    now = NOON // 1000
    for _ in range(3):
        assert await take(project)
        yard.passes(settings.snapshot_interval)
    assert await take(project)

    yard.passes(-settings.snapshot_interval - 5)
    assert await take(project) is False
    yard.passes(5)
    assert await take(project)
    assert await times(yard, project) == [now + 240, now + 120, now]
    yard.passes(-HOUR)
    assert [await take(project), await take(project)] == [True, False]
    yard.passes(settings.snapshot_interval)
    assert await take(project)

    assert await times(yard, project) == [now + 360 - HOUR, now + 240 - HOUR]
    # A small correction drops nothing.
    yard.passes(-1)
    assert await take(project) is False
    assert len(await times(yard, project)) == 2


async def test_however_many_snapshots_there_are_the_next_one_is_made(
    yard: Yard, redis_url: str, settings: Settings
) -> None:
    project = await yard.project()
    counts = dict.fromkeys(("new", "failed", "closed", "access", "awaiting"), 1)
    ids = [(NOON // 1000 + n * 120) * 1000 for n in range(-1200, 0)]
    with looking_into(redis_url) as redis:
        for id in [*ids, *(id + 500_000_000 for id in ids)]:
            redis.xadd(f"{settings.prefix}:{{project:{project}}}:snapshots", counts, id=f"{id}-0")

    assert await yard.store.monitoring.take_snapshot(project)

    assert await times(yard, project) == [id // 1000 for id in [NOON, *reversed(ids)]]


async def test_a_name_that_was_locked_for_a_minute_is_free_at_once(yard: Yard) -> None:
    check = yard.store.managers.check_password
    for _ in range(ATTEMPTS):
        with pytest.raises(BrokerError):
            await check("boss", "wrong password", "127.0.0.1")
    with pytest.raises(BrokerError) as locked:
        await check("boss", "a long password", "127.0.0.1")
    assert (locked.value.code, locked.value.delay) == ("rate_limited", 60)

    yard.passes(-HOUR)

    assert (await check("boss", "a long password", "127.0.0.1")).id == yard.manager
    yard.passes(HOUR + 60)
    assert (await check("boss", "a long password", "127.0.0.1")).id == yard.manager


async def test_wrong_passwords_of_a_name_count_for_a_minute(yard: Yard) -> None:
    check = yard.store.managers.check_password
    for _ in range(ATTEMPTS):
        with pytest.raises(BrokerError):
            await check("boss", "wrong password", "127.0.0.1")

    yard.passes(59.999)
    with pytest.raises(BrokerError) as locked:
        await check("boss", "a long password", "127.0.0.1")
    assert locked.value.delay == 1
    yard.passes(0.001)

    assert (await check("boss", "a long password", "127.0.0.1")).id == yard.manager


async def test_workers_that_wait_for_tasks_are_told_of_them(yard: Yard, redis_url: str, settings: Settings) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    await yard.store.tasks.awaited(project, 5)

    yard.passes(-HOUR)
    await yard.store.tasks.awaited(project, 5)
    with looking_into(redis_url) as redis, redis.pubsub() as channel:
        channel.subscribe(f"{settings.prefix}:{{project:{project}}}:wake")
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        await yard.submit(project, worker, new())

        assert channel.get_message(timeout=5)["data"] == "1 0"
