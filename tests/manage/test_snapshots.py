"""Snapshots of the counts, below HTTP, with a clock."""

import asyncio

from broker.settings import Settings
from broker.store import open_store
from broker.store.monitoring import Snapshot
from broker.store.task_fields import TaskFields
from broker.sweeper import sweep
from tests.store.conftest import NOON, StoreFleet, new

# Seconds, as the settings have them by default.
INTERVAL, HISTORY = 120, 400 * 3600


async def snapshots(
    store_fleet: StoreFleet, project: int, newest: int | None = None, oldest: int | None = None
) -> list[Snapshot]:
    return [one async for one in store_fleet.store.monitoring.snapshots(project, newest, oldest)]


async def counts(store_fleet: StoreFleet, project: int) -> tuple[int | None, ...]:
    """new, failed, closed, access, awaiting: of a snapshot taken now."""
    store_fleet.passes(INTERVAL)
    assert await store_fleet.store.monitoring.take_snapshot(project)
    snapshot = (await snapshots(store_fleet, project))[0]
    assert snapshot.time == store_fleet.now // 1000
    return snapshot[1:6]


async def test_a_snapshot_has_the_counts_of_every_state(store_fleet: StoreFleet) -> None:
    project = await store_fleet.project()
    assert await counts(store_fleet, project) == (0, 0, 0, 0, 0)
    one, two, three = [await store_fleet.worker(project) for _ in range(3)]
    assert await counts(store_fleet, project) == (0, 0, 0, 3, 0)

    await store_fleet.submit(project, one, *[new() for _ in range(6)])
    assert await counts(store_fleet, project) == (6, 0, 0, 3, 0)
    first, second, third = (task.id for task in await store_fleet.take(project, one, 3))
    assert await counts(store_fleet, project) == (6, 0, 0, 3, 0)
    await store_fleet.release(project, one, first)
    await store_fleet.release(project, one, second, 1)
    await store_fleet.release(project, one, third, 2)
    assert await counts(store_fleet, project) == (4, 1, 1, 3, 0)

    await store_fleet.submit(project, one, new(votes=2, priority=5))
    (held,) = await store_fleet.take(project, one)
    assert await counts(store_fleet, project) == (5, 1, 1, 3, 0)
    assert await store_fleet.release(project, one, held.id, 0, 7) == "voted"
    assert await counts(store_fleet, project) == (4, 1, 1, 3, 1)
    await store_fleet.take(project, two)
    assert await counts(store_fleet, project) == (4, 1, 1, 3, 1)
    assert await store_fleet.release(project, two, held.id, 0, 8) == "voted"
    assert await counts(store_fleet, project) == (4, 1, 1, 3, 1)
    await store_fleet.take(project, three)
    assert await store_fleet.release(project, three, held.id, 0, 8) == "closed"
    assert await counts(store_fleet, project) == (4, 1, 2, 3, 0)
    await store_fleet.store.workers.revoke(project, three)
    assert await counts(store_fleet, project) == (4, 1, 2, 2, 0)


async def test_a_snapshot_says_who_holds_what_and_how_much_has_come_and_failed(store_fleet: StoreFleet) -> None:
    target = await store_fleet.project()
    project = await store_fleet.project(chain=target, group_limit=5)
    worker = await store_fleet.worker(project)
    await store_fleet.submit(
        project, worker, *[new()] * 4, TaskFields("r", group="g"), TaskFields("r", start="+9000000")
    )
    held = [task.id for task in await store_fleet.take(project, worker, 3)]
    await store_fleet.release(project, worker, held[0])
    await store_fleet.release(project, worker, held[1], 1)
    await store_fleet.store.chain.flush(project)

    async def newest(project: int) -> tuple[int | None, ...]:
        store_fleet.passes(INTERVAL)
        assert await store_fleet.store.monitoring.take_snapshot(project)
        return (await snapshots(store_fleet, project))[0][6:]

    # Waiting, assigned; submitted, failed, reclaimed so far.
    assert await newest(project) == (2, 1, 6, 1, 0)
    assert await newest(target) == (1, 0, 1, 0, 0)


async def test_a_task_with_votes_that_fails_and_is_reset_awaits_again(store_fleet: StoreFleet) -> None:
    project = await store_fleet.project()
    one, two = [await store_fleet.worker(project) for _ in range(2)]
    await store_fleet.submit(project, one, new(votes=2))
    (held,) = await store_fleet.take(project, one)
    await store_fleet.release(project, one, held.id, 0, 7)
    await store_fleet.take(project, two)
    assert await store_fleet.release(project, two, held.id, 1) == "failed"
    assert await counts(store_fleet, project) == (0, 1, 0, 2, 0)

    await store_fleet.store.maintenance.run(project, "reset_failed")
    assert await counts(store_fleet, project) == (0, 0, 0, 2, 1)
    await store_fleet.store.maintenance.run(project, "hard_reset")
    assert await counts(store_fleet, project) == (0, 0, 0, 2, 0)
    assert len(await snapshots(store_fleet, project)) == 3


async def test_a_snapshot_in_the_middle_of_maintenance_counts_no_task_below_zero(store_fleet: StoreFleet) -> None:
    project = await store_fleet.project()
    one, two = [await store_fleet.worker(project) for _ in range(2)]
    await store_fleet.submit(project, one, *[new(votes=2) for _ in range(5)], *[new(priority=-1) for _ in range(2)])
    for task in await store_fleet.take(project, one, 5):
        await store_fleet.release(project, one, task.id, 0, 7)
    assert len(await store_fleet.take(project, two, 5)) == 5
    assert await counts(store_fleet, project) == (2, 0, 0, 2, 5)

    await store_fleet.store.maintenance.begin_drain(project, "reclaim_assigned")
    in_the_middle = await counts(store_fleet, project)
    await sweep(store_fleet.store)

    assert in_the_middle == (2, 0, 0, 2, 5)
    assert await counts(store_fleet, project) == (2, 0, 0, 2, 5)


async def test_a_second_snapshot_too_soon_is_none(store_fleet: StoreFleet) -> None:
    project = await store_fleet.project()
    assert await store_fleet.store.monitoring.take_snapshot(project)
    store_fleet.passes(INTERVAL - 0.001)
    assert not await store_fleet.store.monitoring.take_snapshot(project)
    store_fleet.passes(0.001)
    assert await store_fleet.store.monitoring.take_snapshot(project)

    assert [one.time for one in await snapshots(store_fleet, project)] == [
        NOON // 1000 + INTERVAL,
        NOON // 1000,
    ]


async def test_many_processes_at_once_make_one_snapshot(store_fleet: StoreFleet, settings: Settings) -> None:
    project = await store_fleet.project()
    stores = [open_store(settings) for _ in range(8)]
    for store in stores:
        store.set_clock(store_fleet.now)

    taken = await asyncio.gather(*(store.monitoring.take_snapshot(project) for store in stores))

    assert taken.count(True) == 1
    assert len(await snapshots(store_fleet, project)) == 1
    for store in stores:
        await store.close()


async def test_snapshots_that_are_too_old_go(store_fleet: StoreFleet) -> None:
    project = await store_fleet.project()
    worker = await store_fleet.worker(project)
    for _ in range(3):
        await store_fleet.submit(project, worker, new())
        await store_fleet.store.monitoring.take_snapshot(project)
        store_fleet.passes(INTERVAL)
    store_fleet.passes(HISTORY - 2 * INTERVAL)
    assert await store_fleet.store.monitoring.take_snapshot(project)

    times = [one.time - NOON // 1000 for one in await snapshots(store_fleet, project)]
    # Between the last two nothing was stored, as nothing has changed.
    assert times == list(range(HISTORY + INTERVAL, 0, -INTERVAL))


async def test_snapshots_between_two_moments_include_both(store_fleet: StoreFleet) -> None:
    project, start = await store_fleet.project(), NOON // 1000
    for _ in range(1200):
        await store_fleet.store.monitoring.take_snapshot(project)
        store_fleet.passes(INTERVAL)

    async def between(oldest: int, newest: int) -> list[int]:
        found = await snapshots(store_fleet, project, start + newest, start + oldest)
        return [one.time - start for one in found]

    assert await between(INTERVAL, 3 * INTERVAL) == [3 * INTERVAL, 2 * INTERVAL, INTERVAL]
    assert await between(INTERVAL + 1, 3 * INTERVAL - 1) == [2 * INTERVAL]
    assert await between(3 * INTERVAL, INTERVAL) == []
    assert await between(-start, 10**9) == [n * INTERVAL for n in reversed(range(1201))]
