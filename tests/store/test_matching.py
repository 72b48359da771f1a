"""Walks over the tasks that match a filter, with few of many left."""

import asyncio
import random
from typing import Any

import pytest

from broker.errors import BrokerError
from broker.store.project_tasks import TaskFilter
from broker.store.task_fields import TaskFields
from broker.store.tasks import CHUNK
from tests.store.conftest import StoreFleet
from tests.stores import looking_into, lose_record


async def few_of_many(fleet: StoreFleet, chance: random.Random) -> tuple[int, list[int]]:
    """A project in which runs of tasks are left, and between them buckets without any."""
    project = await fleet.project()
    worker = await fleet.worker(project)
    left: list[int] = []
    stays = False
    for _ in range(20):
        ids = [id or 0 for id in await fleet.submit(project, worker, *[TaskFields("r")] * CHUNK)]
        gone: list[int] = []
        for id in ids:
            stays = chance.random() < (0.7 if stays else 0.002)
            (left if stays else gone).append(id)
        await fleet.store.tasks.cancel(project, worker, gone)
    return project, left


@pytest.mark.parametrize("newest", [False, True])
async def test_a_walk_finds_all_that_is_left_behind_empty_buckets(fleet: StoreFleet, newest: bool) -> None:
    chance = random.Random(5)
    project, left = await few_of_many(fleet, chance)
    found: list[int] = []
    entry: int | None = None
    while True:
        entry, rows = await fleet.store.project_tasks.find(
            project,
            TaskFilter("queue", contains="r"),
            newest=newest,
            entry=entry,
            limit=chance.choice([1, 7, 500]),
            longest=0,
        )
        found += [row.id for row in rows]
        if entry is None:
            break

    assert len(left) > 20
    assert found == sorted(left, reverse=newest)


async def test_a_task_that_has_lost_its_record_is_left_out(fleet: StoreFleet, redis_url: str) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    ids = [id or 0 for id in await fleet.submit(project, worker, *[TaskFields("x" * 2000)] * 3)]
    with looking_into(redis_url) as redis:
        base = lose_record(redis, fleet.store.keys.project(project)[0].partition(":{")[0], ids[1])
        redis.hset(f"{base}:tasks:0", "no number", "no record")

    entry, rows = await fleet.store.project_tasks.find(
        project, TaskFilter("queue", contains="x"), newest=True, entry=None, limit=9, longest=0
    )

    assert (entry, [row.id for row in rows]) == (None, [ids[2], ids[0]])


async def test_two_calls_and_a_reset_of_what_failed_go_on_beside_each_other(fleet: StoreFleet, redis_url: str) -> None:
    maintenance, project = fleet.store.maintenance, await fleet.project()
    worker = await fleet.worker(project)
    for n in range(40):
        await fleet.submit(project, worker, TaskFields(f"r{n % 4}"))
    for task in await fleet.take(project, worker, 40):
        await fleet.release(project, worker, task.id, 1)

    first = await maintenance.begin_matching(project, "remove_tasks", TaskFilter("failed", contains="r1"))
    assert await maintenance.drain(project, 10) == (10, True)
    await maintenance.begin_matching(project, "retry_tasks", TaskFilter("failed", contains="r2"))
    with looking_into(redis_url) as redis:
        base = fleet.store.keys.project(project)[0]
        assert redis.hget(f"{base}:drains", first) == "remove_tasks 11 40 3 failed - @\nr1"
    # What is out of reach comes back first.
    assert await maintenance.begin_drain(project, "reset_failed") == 37
    assert await maintenance.drain(project, 500) == (37, True)
    for task in await fleet.take(project, worker, 37):
        await fleet.release(project, worker, task.id, 1)

    while (await maintenance.drain(project, 7))[1]:
        pass

    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.failed) == (10, 20)
    assert stats.counters["removed"] == 10


async def test_a_task_that_fails_again_while_the_call_goes_on_is_retried_once(fleet: StoreFleet) -> None:
    maintenance, project = fleet.store.maintenance, await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[TaskFields("r")] * 30)

    async def all_fail() -> None:
        while held := await fleet.take(project, worker, 500):
            await fleet.store.tasks.release(project, worker, [(task.id, 1, 0) for task in held])

    await all_fail()
    await maintenance.begin_matching(project, "retry_tasks", TaskFilter("failed"))
    more = True
    while more:
        _, more = await maintenance.drain(project, 7)
        await all_fail()

    assert (await fleet.store.monitoring.stats(project)).counters["failed"] == 60


@pytest.mark.parametrize("operation", ["hard_reset", "delete"])
async def test_a_reset_ends_a_call_that_goes_on(fleet: StoreFleet, operation: str) -> None:
    maintenance, project = fleet.store.maintenance, await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[TaskFields("r")] * 30)
    await maintenance.begin_matching(project, "remove_tasks", TaskFilter("queue"))
    await maintenance.drain(project, 30)

    assert await maintenance.begin_drain(project, operation) == 20
    if operation == "hard_reset":
        await fleet.submit(project, worker, TaskFields("new"))
    while (await maintenance.drain(project, 500))[1]:
        pass

    if operation == "hard_reset":
        assert len(await fleet.take(project, worker, 10)) == 1


async def test_sixteen_calls_may_go_on_in_a_project_and_no_more(fleet: StoreFleet) -> None:
    maintenance, project = fleet.store.maintenance, await fleet.project()
    for _ in range(16):
        await maintenance.begin_matching(project, "remove_tasks", TaskFilter("queue"))

    with pytest.raises(BrokerError, match="Too many calls") as refused:
        await maintenance.begin_matching(project, "remove_tasks", TaskFilter("queue"))

    assert refused.value.code == "rate_limited"
    while (await maintenance.drain(project, 500))[1]:
        pass
    assert await maintenance.run_matching(project, "remove_tasks", TaskFilter("queue")) == (0, False)


async def test_how_many_were_changed_is_told_when_another_process_has_finished_it(
    fleet: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintenance, project = fleet.store.maintenance, await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[TaskFields("r")] * 30)
    begin = maintenance.begin_matching

    async def begin_and_lose_it(*args: Any) -> str:
        call = await begin(*args)
        while (await maintenance.drain(project, 7))[1]:
            pass
        return call

    monkeypatch.setattr(maintenance, "begin_matching", begin_and_lose_it)
    assert await maintenance.run_matching(project, "remove_tasks", TaskFilter("queue")) == (30, False)


async def test_a_call_that_takes_long_answers_how_many_so_far_and_goes_on(
    fleet: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintenance, project = fleet.store.maintenance, await fleet.project()
    worker = await fleet.worker(project)
    for _ in range(6):
        await fleet.submit(project, worker, *[TaskFields("r")] * CHUNK)
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr("broker.store.maintenance.time.monotonic", lambda: next(clock))

    affected, pending = await maintenance.run_matching(project, "remove_tasks", TaskFilter("queue"))

    assert 0 < affected < 3000
    assert pending is True
    await asyncio.gather(*maintenance._background.values())
    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.counters["removed"]) == (0, 3000)


async def test_of_many_failed_tasks_the_newest_thousand_are_counted(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    for _ in range(3):
        fleet.passes(1)
        await fleet.submit(project, worker, *[TaskFields("r")] * 400)
        held = await fleet.take(project, worker, 400)
        await fleet.store.tasks.release(project, worker, [(task.id, 1, 0) for task in held])

    (failure,) = await fleet.store.project_tasks.failures(project)

    assert (failure.message, failure.count) == ("", 1000)
    assert failure.last == fleet.now // 1000
    assert failure.task_id in {task.id for task in held}


async def some_failed(fleet: StoreFleet, project: int, count: int) -> list[int]:
    """Failed tasks, each a second after the one before; of three in a row, one is in the group ``g``."""
    worker, ids = await fleet.worker(project), list[int]()
    for n in range(count):
        fleet.passes(1)
        await fleet.submit(project, worker, TaskFields(f"page {n}", group="" if n % 3 else "g"))
        (task,) = await fleet.take(project, worker)
        await fleet.release(project, worker, task.id, 1)
        ids.append(task.id)
    return ids[::-1]


async def test_failed_tasks_are_given_page_by_page_the_newest_first(fleet: StoreFleet, redis_url: str) -> None:
    project, tasks = await fleet.project(), fleet.store.project_tasks
    newest = await some_failed(fleet, project, 30)
    with looking_into(redis_url) as redis:
        lose_record(redis, fleet.store.keys.project(project)[0].partition(":{")[0], newest[4])

    pages = [await tasks.failed(project, TaskFilter("failed"), start=0, skip=n, limit=12, longest=9) for n in (0, 12)]

    assert [row.id for page in pages for row in page.rows] == newest[:4] + newest[5:24]
    assert [(page.total, page.looked) for page in pages] == [(30, 12), (30, 12)]
    assert pages[1].rows[0].fields.recipe == "page 17"
    last = await tasks.failed(project, TaskFilter("failed"), start=0, skip=30, limit=12, longest=9)
    assert (last.total, last.looked, last.rows) == (30, 0, [])


async def test_failed_tasks_that_match_are_counted_among_the_newest_and_go_on_behind_them(
    fleet: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.store.project_tasks._FAILED", 20)
    monkeypatch.setattr("broker.store.project_tasks._LOOKS", 6)
    project, tasks = await fleet.project(), fleet.store.project_tasks
    newest = await some_failed(fleet, project, 30)
    of_group = [id for n, id in enumerate(newest) if (29 - n) % 3 == 0]

    async def found(filter: TaskFilter, start: int = 0, skip: int = 0, limit: int = 50) -> tuple[int, int, list[int]]:
        page = await tasks.failed(project, filter, start=start, skip=skip, limit=limit, longest=9)
        assert page.total == 30
        return page.looked, page.matched, [row.id for row in page.rows]

    assert await found(TaskFilter("failed", group="g"), skip=2, limit=3) == (20, 6, of_group[2:5])
    assert await found(TaskFilter("failed", group="g"), start=20) == (10, 4, of_group[6:])
    assert await found(TaskFilter("failed", contains="page 2")) == (20, 10, newest[:10])
    assert await found(TaskFilter("failed", worker=77)) == (20, 0, [])


async def test_failed_tasks_that_are_long_shorten_what_is_looked_at(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    for _ in range(40):
        await fleet.submit(project, worker, TaskFields("x" * 1_000_000))
        (task,) = await fleet.take(project, worker)
        await fleet.release(project, worker, task.id, 1)

    page = await fleet.store.project_tasks.failed(
        project, TaskFilter("failed", contains="x"), start=0, skip=0, limit=50, longest=9
    )

    assert (page.total, page.looked, page.matched, len(page.rows)) == (40, 20, 20, 20)
