"""What is counted over all projects: closed and held tasks of workers, and the sums of all projects."""

import asyncio
import random

import pytest

from broker.errors import Unavailable
from broker.store.worker_stats import PAGE
from tests.store.conftest import StoreFleet, new


async def count(fleet: StoreFleet) -> None:
    await fleet.store.counting.note()
    await fleet.store.counting.round(10)


async def counted(fleet: StoreFleet, *workers: int) -> list[tuple[int, int]]:
    """(closed, held) of each."""
    await count(fleet)
    return [(row.closed, row.held) for row in await fleet.store.worker_stats.of(workers)]


async def closes(fleet: StoreFleet, project: int, worker: int, tasks: int) -> None:
    await fleet.submit(project, worker, *(new() for _ in range(tasks)))
    for task in await fleet.take(project, worker, tasks):
        assert await fleet.release(project, worker, task.id) == "closed"


async def test_a_worker_is_counted_over_all_projects(fleet: StoreFleet) -> None:
    first, second = await fleet.project(), await fleet.project()
    one, two = await fleet.worker(first, second), await fleet.worker(first)
    await closes(fleet, first, one, 2)
    await closes(fleet, second, one, 3)
    await fleet.submit(first, two, *(new() for _ in range(4)))
    (held, *_) = await fleet.take(first, two, 4)

    assert await counted(fleet, one, two) == [(5, 0), (0, 4)]
    await fleet.release(first, two, held.id)
    assert await counted(fleet, one, two) == [(5, 0), (1, 3)]
    await closes(fleet, second, one, 1)
    assert await counted(fleet, one, two) == [(6, 0), (1, 3)]
    assert [row.closed for row in await fleet.store.worker_stats.page(0, PAGE, first)] == [2, 1]
    assert [row.closed for row in await fleet.store.worker_stats.page(0, PAGE, second)] == [4, 0]


async def test_what_is_reclaimed_is_held_no_longer_though_no_call_of_this_process_says_so(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new(seconds=60))
    await fleet.take(project, worker)
    assert await counted(fleet, worker) == [(0, 1)]

    fleet.passes(61)
    await fleet.store.tasks.reclaim(project, 100)
    fleet.store.calls.changed.clear()

    assert await counted(fleet, worker) == [(0, 0)]


async def test_a_project_that_is_deleted_leaves_what_its_workers_closed_and_nothing_that_they_hold(
    fleet: StoreFleet,
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await closes(fleet, project, worker, 2)
    await fleet.submit(project, worker, new())
    await fleet.take(project, worker)
    assert await counted(fleet, worker) == [(2, 1)]
    await fleet.submit(project, worker, new())
    (task,) = await fleet.take(project, worker)
    await fleet.release(project, worker, task.id)

    await fleet.store.maintenance.delete(fleet.manager, project)
    await fleet.store.maintenance.finish_delete(project)

    assert await counted(fleet, worker) == [(3, 0)]


async def test_counts_that_run_at_once_or_die_in_between_count_each_task_once(
    fleet: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await fleet.project()
    workers = [await fleet.worker(project) for _ in range(5)]
    call, chance, dies = fleet.store.calls.call, random.Random(5), True

    async def dying(script: str, *args: object) -> object:
        if dies and script in {"closed_take", "closed_count", "held_count", "counted"} and chance.random() < 0.3:
            if chance.random() < 0.5:
                await call(script, *args)  # type: ignore[arg-type]
            raise Unavailable("it died")
        return await call(script, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(fleet.store.calls, "call", dying)
    for _ in range(20):
        worker = chance.choice(workers)
        await closes(fleet, project, worker, 3)
        await fleet.store.counting.note()
        await asyncio.gather(fleet.store.counting.round(1), fleet.store.counting.round(1))
    dies = False

    everybody = await counted(fleet, *workers)

    assert sum(closed for closed, _ in everybody) == 60
    assert [closed for closed, _ in everybody] == [
        closed for closed, _ in await fleet.store.workers.closed_by(project, workers)
    ]


async def test_a_walk_finds_what_a_process_that_died_had_not_noted(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await closes(fleet, project, worker, 1)
    fleet.store.calls.changed.clear()
    assert await counted(fleet, worker) == [(0, 0)]

    await fleet.store.counting.walk()

    assert await counted(fleet, worker) == [(1, 0)]


async def test_what_changes_while_it_is_counted_is_counted_again(
    fleet: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await closes(fleet, project, worker, 1)
    call = fleet.store.calls.call
    changes = [True]

    async def changing(script: str, *args: object) -> object:
        if script == "counted" and changes.pop():
            changes.append(False)
            await closes(fleet, project, worker, 1)
            await fleet.store.calls.command("ZADD", fleet.store.keys.changed, 10**13, project)
            fleet.store.calls.changed.clear()
        return await call(script, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(fleet.store.calls, "call", changing)
    await count(fleet)
    monkeypatch.setattr(fleet.store.calls, "call", call)

    assert await counted(fleet, worker) == [(2, 0)]


async def test_nothing_is_asked_of_a_project_in_which_nothing_has_changed(fleet: StoreFleet) -> None:
    projects = [await fleet.project() for _ in range(30)]
    worker = await fleet.worker(*projects)
    await count(fleet)
    for project in projects[:2]:
        await closes(fleet, project, worker, 1)

    metrics = fleet.store.metrics.calls
    await fleet.store.counting.note()
    before = sum(metrics.total.buckets)
    await fleet.store.counting.round(10)

    # Each: stats, two batches of closed tasks, one of which is empty, who held them, and the note that it was counted.
    assert sum(metrics.total.buckets) - before <= 2 + 2 * 7
