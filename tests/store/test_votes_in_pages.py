"""How many votes a page of tasks reads and gives."""

import pytest

from broker.store.project_tasks import TaskFilter
from broker.store.task_fields import Row, TaskFields
from broker.store.transfer import ImportedTask
from tests.store.conftest import StoreFleet

TASKS = 60


@pytest.fixture
async def project(fleet: StoreFleet) -> int:
    """With tasks that have 600 votes each."""
    project = await fleet.project()
    votes = ",".join(f"{worker}:{worker}" for worker in range(1, 601))
    fields = TaskFields("r", verification_count=1000)
    for start in range(0, TASKS, 10):
        some = [ImportedTask(start + n + 1, "", (0, 0, 1), votes, fields) for n in range(10)]
        await fleet.store.imports.tasks(project, "file", some)
    return project


def check(rows: list[Row]) -> None:
    assert len(rows) == 50
    assert {row.vote_count for row in rows} == {600}
    assert all(row.votes for row in rows[:5])
    # A scan gives some more than it is asked for.
    assert 1000 <= sum(len(row.votes) for row in rows) < 2000
    assert max(len(row.votes) for row in rows) < 600


async def test_a_page_of_a_state_bounds_the_votes_of_all_its_tasks(fleet: StoreFleet, project: int) -> None:
    total, rows = await fleet.store.project_tasks.page(project, "verifying", 0, 50, longest=100)

    assert total == TASKS
    check(rows)


async def test_a_page_of_tasks_that_match_bounds_the_votes_of_all_its_tasks(fleet: StoreFleet, project: int) -> None:
    _, rows = await fleet.store.project_tasks.find(
        project, TaskFilter("verifying"), newest=False, entry=None, limit=50, longest=100
    )

    check(rows)


async def test_a_single_task_gives_some_of_its_votes(fleet: StoreFleet, project: int) -> None:
    _, (first, *_) = await fleet.store.project_tasks.page(project, "verifying", 0, 1, longest=0)

    _, row = await fleet.store.project_tasks.get(project, first.id)

    assert row.vote_count == 600
    assert 100 <= len(row.votes) < 600
