"""Maintenance below HTTP: what a process that dies in the middle leaves is finished by the sweeper."""

import asyncio
from typing import Any

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.redis.keys import Keys
from broker.store.task_fields import TaskFields
from broker.sweeper import sweep
from tests.store.conftest import StoreFleet, new
from tests.stores import commands_of, keys_like, looking_into

SOME = 1200  # more than two steps of a drain take
MILLION = 1_000_000


async def states(store_fleet: StoreFleet, project: int) -> tuple[int, int, int, int]:
    """Waiting, verifying, assigned, failed."""
    stats = await store_fleet.store.monitoring.stats(project)
    return stats.waiting, stats.verifying, stats.assigned, stats.failed


async def submit(
    store_fleet: StoreFleet, project: int, worker: int, count: int, *, votes: int = 1, hashes_from: int = 1
) -> None:
    tasks = [new(f"r{n}", votes=votes, hash64=n) for n in range(hashes_from, hashes_from + count)]
    for start in range(0, count, 500):
        ids = await store_fleet.submit(project, worker, *tasks[start : start + 500])
        assert None not in ids


async def take(store_fleet: StoreFleet, project: int, worker: int, count: int) -> list[int]:
    sizes = [min(500, count - taken) for taken in range(0, count, 500)]
    return [task.id for size in sizes for task in await store_fleet.take(project, worker, size)]


async def release(store_fleet: StoreFleet, project: int, worker: int, tasks: list[int], result: int) -> None:
    for start in range(0, len(tasks), 500):
        some = [(task, result, 5) for task in tasks[start : start + 500]]
        await store_fleet.store.tasks.release(project, worker, some)


async def all_of_each(store_fleet: StoreFleet) -> tuple[int, int]:
    """A project with SOME tasks waiting, as many assigned and as many failed; and a worker."""
    project = await store_fleet.project()
    worker = await store_fleet.worker(project)
    await submit(store_fleet, project, worker, 3 * SOME)
    await release(store_fleet, project, worker, await take(store_fleet, project, worker, SOME), 1)
    await take(store_fleet, project, worker, SOME)
    assert await states(store_fleet, project) == (SOME, 0, SOME, SOME)
    return project, worker


def keys_of(settings: Settings, project: int) -> dict[str, int]:
    with looking_into(settings.redis_url) as redis:
        found = keys_like(redis, f"{settings.prefix}:{{project:{project}}}*")
        return {str(key): int(redis.ttl(key)) for key in found}


@pytest.mark.parametrize(
    ("operation", "concerned", "after"),
    [
        ("reset_failed", SOME, (2 * SOME, 0, SOME, 0)),
        ("reclaim_assigned", SOME, (2 * SOME, 0, 0, SOME)),
        ("hard_reset", 3 * SOME, (0, 0, 0, 0)),
    ],
)
async def test_maintenance_that_only_began_is_finished_by_the_sweeper(
    store_fleet: StoreFleet, operation: str, concerned: int, after: tuple[int, int, int, int]
) -> None:
    project, _ = await all_of_each(store_fleet)

    assert await store_fleet.store.maintenance.begin_drain(project, operation) == concerned
    assert sum(await states(store_fleet, project)) == 3 * SOME - concerned
    assert (await store_fleet.store.active.due(project)).drains
    await sweep(store_fleet.store)

    assert await states(store_fleet, project) == after
    assert not (await store_fleet.store.active.due(project)).drains


async def test_sweepers_that_overlap_work_each_task_off_once(store_fleet: StoreFleet, settings: Settings) -> None:
    project, worker = await all_of_each(store_fleet)
    others = [open_store(settings) for _ in range(3)]
    await store_fleet.store.maintenance.begin_drain(project, "reset_failed")
    await store_fleet.store.maintenance.begin_drain(project, "reclaim_assigned")

    await asyncio.gather(*(sweep(store) for store in (store_fleet.store, *others)))

    assert await states(store_fleet, project) == (3 * SOME, 0, 0, 0)
    assert len(set(await take(store_fleet, project, worker, 3 * SOME))) == 3 * SOME
    for store in others:
        await store.close()


async def test_a_task_on_its_way_back_can_neither_be_released_nor_taken_twice(store_fleet: StoreFleet) -> None:
    project = await store_fleet.project()
    worker = await store_fleet.worker(project)
    (id,) = await store_fleet.submit(project, worker, new())
    await store_fleet.take(project, worker)

    await store_fleet.store.maintenance.begin_drain(project, "reclaim_assigned")

    assert await store_fleet.release(project, worker, id) == "not_held"
    assert await store_fleet.store.tasks.extend(project, worker, [id or 0], 60) == [False]
    assert await store_fleet.take(project, worker) == []
    await sweep(store_fleet.store)
    assert [task.id for task in await store_fleet.take(project, worker)] == [id]
    assert await store_fleet.release(project, worker, id) == "closed"


async def test_what_is_submitted_after_a_reset_began_survives_with_its_hash(store_fleet: StoreFleet) -> None:
    project, worker = await all_of_each(store_fleet)

    await store_fleet.store.maintenance.begin_drain(project, "hard_reset")
    await submit(store_fleet, project, worker, 100)
    assert await store_fleet.submit(project, worker, new(hash64=1)) == [None]
    await sweep(store_fleet.store)

    assert await states(store_fleet, project) == (100, 0, 0, 0)
    assert await store_fleet.submit(project, worker, new(hash64=1)) == [None]
    assert await store_fleet.submit(project, worker, new(hash64=SOME)) != [None]


@pytest.mark.parametrize("before", ["reset_failed", "reclaim_assigned"])
async def test_a_hard_reset_also_takes_what_other_maintenance_was_putting_back(
    store_fleet: StoreFleet, before: str
) -> None:
    project, worker = await all_of_each(store_fleet)

    await store_fleet.store.maintenance.begin_drain(project, before)
    await store_fleet.store.maintenance.begin_drain(project, "hard_reset")
    await sweep(store_fleet.store)

    assert await states(store_fleet, project) == (0, 0, 0, 0)
    assert await store_fleet.take(project, worker) == []


@pytest.mark.parametrize("before", ["reset_failed", "reclaim_assigned", "hard_reset"])
async def test_a_deleted_project_leaves_nothing_even_while_other_maintenance_goes_on(
    store_fleet: StoreFleet, settings: Settings, before: str
) -> None:
    project, _ = await all_of_each(store_fleet)
    await store_fleet.store.maintenance.begin_drain(project, before)

    await store_fleet.store.maintenance.delete(store_fleet.manager, project)
    await sweep(store_fleet.store)

    left = keys_of(settings, project)
    assert set(left) == {f"{settings.prefix}:{{project:{project}}}"}
    assert all(0 < seconds <= 86_400 for seconds in left.values())


async def many_wait(fleet: StoreFleet) -> tuple[int, int]:
    """A project with 5,000 tasks, and a worker: more than one step of a drain takes."""
    project = await fleet.project()
    worker = await fleet.worker(project)
    await submit(fleet, project, worker, 5000)
    return project, worker


async def nothing_goes_on(fleet: StoreFleet, project: int) -> None:
    """Until the maintenance of a project is done, without a sweep."""
    for _ in range(1000):
        if not (await fleet.store.active.due(project)).drains:
            return
        await asyncio.sleep(0.02)
    pytest.fail("maintenance goes on for ever")


async def test_a_hard_reset_answers_before_its_work_is_done_and_goes_on_without_a_sweep(
    store_fleet: StoreFleet, settings: Settings
) -> None:
    project, worker = await many_wait(store_fleet)

    assert await store_fleet.store.maintenance.run(project, "hard_reset") == 5000
    assert (await store_fleet.store.active.due(project)).drains
    # A second one comes on top of what goes on.
    await submit(store_fleet, project, worker, 10)
    assert await store_fleet.store.maintenance.run(project, "hard_reset") == 10

    await nothing_goes_on(store_fleet, project)
    assert not [key for key in keys_of(settings, project) if ":tasks:" in key or ":drain" in key]


async def test_a_reset_that_a_stop_cuts_short_is_finished_by_the_sweeper(
    store_fleet: StoreFleet, settings: Settings
) -> None:
    project, _ = await many_wait(store_fleet)
    stopped = open_store(settings)
    await stopped.maintenance.run(project, "hard_reset")
    await stopped.close()
    assert (await store_fleet.store.active.due(project)).drains

    await sweep(store_fleet.store)

    assert not [key for key in keys_of(settings, project) if ":tasks:" in key or ":drain" in key]


async def test_a_reset_deletes_votes_and_tallies(store_fleet: StoreFleet, settings: Settings) -> None:
    project = await store_fleet.project()
    worker = await store_fleet.worker(project)
    await submit(store_fleet, project, worker, 10, votes=3)
    await release(store_fleet, project, worker, await take(store_fleet, project, worker, 10), 0)
    assert await states(store_fleet, project) == (0, 10, 0, 0)

    assert await store_fleet.store.maintenance.run(project, "hard_reset") == 10
    await nothing_goes_on(store_fleet, project)

    assert not [
        key
        for key in keys_of(settings, project)
        if ":votes:" in key or ":tally:" in key or ":drain" in key or ":voted" in key
    ]
    assert await store_fleet.submit(project, worker, new(votes=3, hash64=1)) != [None]
    assert len(await store_fleet.take(project, worker)) == 1


async def test_a_deletion_that_only_the_directory_knows_is_finished_by_the_sweeper(
    store_fleet: StoreFleet, settings: Settings
) -> None:
    project, worker = await all_of_each(store_fleet)
    source = await store_fleet.project(chain=project)

    await store_fleet.store.projects.delete(store_fleet.manager, project)
    await sweep(store_fleet.store)

    assert set(keys_of(settings, project)) == {f"{settings.prefix}:{{project:{project}}}"}
    assert (await store_fleet.store.projects.get(source)).fields["chain"] == "0"
    assert await store_fleet.store.projects.pending("deleted", 10) == []
    with pytest.raises(BrokerError, match="project"):
        await store_fleet.submit(project, worker, new())


async def test_the_number_of_a_deleted_project_is_never_given_again(store_fleet: StoreFleet) -> None:
    first = await store_fleet.project(name="a name")
    await store_fleet.store.maintenance.delete(store_fleet.manager, first)

    assert await store_fleet.project(name="a name") > first


async def test_a_late_copy_does_not_bring_a_deleted_project_back(store_fleet: StoreFleet, settings: Settings) -> None:
    project = await store_fleet.project(public=True)
    current = await store_fleet.store.projects.get(project)
    await store_fleet.store.maintenance.delete(store_fleet.manager, project)

    keys = Keys(settings.prefix).project(project)
    await store_fleet.store.calls.call("copy", keys, [current.revision + 1, "public", "1", "paused", "0"])

    with pytest.raises(BrokerError, match="project"):
        await store_fleet.take(project, 1)


async def million(store: Store, project: int, worker: int) -> None:
    async def some(first: int) -> None:
        for start in range(first, MILLION, 8 * 500):
            tasks = [TaskFields("recipe", hash64=n + 1) for n in range(start, start + 500)]
            await store.tasks.submit(project, worker, tasks)

    await asyncio.gather(*(some(n * 500) for n in range(8)))


@pytest.mark.slow
async def test_maintenance_of_a_million_tasks_begins_in_a_few_commands(
    store_fleet: StoreFleet, settings: Settings
) -> None:
    project = await store_fleet.project()
    worker = await store_fleet.worker(project)
    await million(store_fleet.store, project, worker)
    assert await states(store_fleet, project) == (MILLION, 0, 0, 0)

    await take(store_fleet, project, worker, MILLION // 2)
    assert await begun(store_fleet, settings, project, "reclaim_assigned") == MILLION // 2
    assert await states(store_fleet, project) == (MILLION, 0, 0, 0)

    await release(store_fleet, project, worker, await take(store_fleet, project, worker, MILLION // 2), 1)
    assert await begun(store_fleet, settings, project, "reset_failed") == MILLION // 2
    assert await states(store_fleet, project) == (MILLION, 0, 0, 0)

    await take(store_fleet, project, worker, MILLION // 4)
    assert await begun(store_fleet, settings, project, "hard_reset") == MILLION
    assert await states(store_fleet, project) == (0, 0, 0, 0)
    assert await store_fleet.submit(project, worker, new(hash64=1)) != [None]


async def begun(store_fleet: StoreFleet, settings: Settings, project: int, operation: str) -> int:
    with looking_into(settings.redis_url) as redis:
        before = worked(redis)
        count = await store_fleet.store.maintenance.begin_drain(project, operation)
        commands, microseconds = (now - then for now, then in zip(worked(redis), before, strict=True))
    # One script with a handful of commands, and the INFO that looks at it.
    assert commands <= 50
    assert microseconds < 100_000
    while (await store_fleet.store.active.due(project)).drains:
        await sweep(store_fleet.store)
    return count


def worked(redis: Any) -> tuple[int, int]:
    """Commands so far, those inside scripts as well, and the microseconds that they took."""
    rows = [row for stats in commands_of(redis) for row in stats.values()]
    return sum(row["calls"] for row in rows), sum(row["usec"] for row in rows)
