"""Walks over the tasks that match a filter, with few of many left."""

import random

import pytest

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
