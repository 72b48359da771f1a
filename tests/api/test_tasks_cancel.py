"""Workers cancel tasks that nobody holds."""

import pytest

from tests.client import Fleet, WorkerCaller
from tests.manage.bulk import live, stats


def cancelled(worker: WorkerCaller, *tasks: int) -> list[bool]:
    flags: list[bool] = worker.post("/task/cancel", {"task_ids": tasks}).content()["cancelled"]
    return flags


def test_a_task_can_be_cancelled_in_any_state_but_assigned_whoever_submitted_it(fleet: Fleet) -> None:
    project = fleet.project()
    worker, other = fleet.worker(project), fleet.worker(project)
    failed = worker.submit(project, priority=3)
    assert worker.take(project)["id"] == failed
    worker.release(failed, 1)
    voted = worker.submit(project, verification_count=2, priority=2)
    worker.take(project)
    worker.release(voted, 0, 7)
    held = worker.submit(project, priority=1)
    assert worker.take(project)["id"] == held
    waiting, grouped = worker.submit(project), worker.submit(project, group="example.org")
    assert live(worker, project) == {"waiting": 2, "verifying": 1, "assigned": 1, "failed": 1}

    asked = [failed, held, voted, waiting, grouped, waiting, 0, -1, 2**63 - 1, waiting + 100_000]
    assert cancelled(other, *asked) == [True, False, True, True, True, False, False, False, False, False]

    assert live(worker, project) == {"assigned": 1}
    assert stats(worker, project)["counters"]["removed"] == 4
    assert worker.release(held) is True
    assert cancelled(other, *asked) == [False] * len(asked)


def test_the_hash_of_a_cancelled_task_is_free_at_once(fleet: Fleet) -> None:
    project = fleet.project(remember_closed=-1)
    worker = fleet.worker(project)
    task = worker.submit(project, unique_string="a")

    assert cancelled(worker, task) == [True]

    again = worker.submit(project, unique_string="a")
    assert worker.take(project)["id"] == again


@pytest.mark.parametrize("may", ["assign", ""])
def test_a_worker_without_submit_cancels_nothing(fleet: Fleet, may: str) -> None:
    project, own = fleet.project(), fleet.project()
    worker = fleet.worker(project)
    other = fleet.worker(*[project] if may else [], may=may)
    fleet.admin.post(f"/project/update/{project}", {"public": True}).content()
    other.post("/project/request_access", {"project": own, "submit": True}).content()
    pending, task = fleet.worker(own).submit(own), worker.submit(project)

    assert cancelled(other, task, pending) == [False, False]

    assert live(worker, project) == {"waiting": 1}


def test_tasks_of_many_projects_are_cancelled_in_one_call(fleet: Fleet) -> None:
    projects = [fleet.project() for _ in range(20)]
    worker = fleet.worker(*projects)
    tasks = [worker.submit(project) for _ in range(3) for project in projects]

    assert cancelled(worker, *tasks) == [True] * 60

    assert all(live(worker, project) == {} for project in projects)


def test_a_thousand_tasks_can_be_cancelled_at_once_and_no_more(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    requests = [{"project": project, "recipe": "r", "group": f"host {n % 7}", "hash64": n + 1} for n in range(1001)]
    tasks = worker.post("/task/bulk_submit", {"requests": requests}).content()["outcomes"]

    refused = worker.post("/task/cancel", {"task_ids": tasks})
    assert (refused.status, refused.message) == (400, "task_ids: must have 1 to 1000 entries")
    assert cancelled(worker, *tasks[:1000]) == [True] * 1000
    assert live(worker, project) == {"waiting": 1}
    assert worker.take(project)["id"] == tasks[1000]


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "task_ids"), ({"task_ids": []}, "task_ids"), ({"task_ids": [1, "2"]}, "task_ids[1]"), (5, "body")],
)
def test_an_invalid_cancel_names_the_field(fleet: Fleet, body: object, field: str) -> None:
    answer = fleet.worker().post("/task/cancel", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)


def test_a_cancel_leaves_a_full_group_as_it_is(fleet: Fleet) -> None:
    project = fleet.project(group_limit=1)
    worker = fleet.worker(project)
    first, second, third = (worker.submit(project, group="a") for _ in range(3))
    assert worker.take(project)["id"] == first

    assert cancelled(worker, second, first) == [True, False]

    assert worker.get(f"/task/get/{project}").code == "no_task"
    assert worker.release(first) is True
    assert worker.take(project)["id"] == third
