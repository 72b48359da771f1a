"""A look at single tasks of a project, and what can be done with one."""

import time
from typing import Any

import pytest

from tests.client import Fleet, ManagerCaller, WorkerCaller
from tests.manage.bulk import affected, live, stats


def reader(fleet: Fleet, project: int) -> ManagerCaller:
    manager = fleet.manager()
    fleet.admin.post(f"/manager/set_role_for_project/{project}", {"manager": manager.id, "role": 1}).content()
    return manager


def page(fleet: Fleet, project: int, query: str = "") -> dict[str, Any]:
    return fleet.admin.get(f"/project/tasks/{project}{query}").content()


def only(fleet: Fleet, project: int, state: str, more: str = "") -> dict[str, Any]:
    """The task in this state; there is one."""
    content = page(fleet, project, f"?state={state}{more}")
    assert (content["total"], len(content["tasks"])) == (1, 1)
    task: dict[str, Any] = content["tasks"][0]
    return task


def test_a_waiting_task_is_shown_with_all_its_fields(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    begun = int(time.time())
    fields = {
        "priority": -3,
        "max_retries": 2,
        "max_assign_time": 60,
        "verification_count": 2,
        "group": "a site",
        "hash64": -(2**63),
    }
    id = worker.submit(project, "a recipe", **fields)

    task = only(fleet, project, "waiting")

    assert begun - 1 <= task.pop("created") <= begun + 60
    assert task == {
        "id": id,
        "state": "waiting",
        "status": 1,
        "recipe": "a recipe",
        "recipe_bytes": 8,
        "retries": 0,
        "reclaims": 0,
        "round": 1,
        "error": None,
        "not_before": None,
        "assignee": None,
        "assign_time": None,
        "deadline": None,
        "fail_time": None,
        "vote_count": 0,
        "votes": [],
        **fields,
    }


def test_defaults_of_a_task_read_as_they_are_documented(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    worker.submit(project)

    task = only(fleet, project, "waiting")

    names = ("priority", "max_retries", "max_assign_time", "verification_count", "hash64")
    assert {name: task[name] for name in names} == {
        "priority": 0,
        "max_retries": 0,
        "max_assign_time": 0,
        "verification_count": 1,
        "hash64": None,
    }


def test_an_assigned_task_names_its_holder_and_its_deadline(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    id = worker.submit(project, max_assign_time=100)
    taken = worker.take(project)

    task = only(fleet, project, "assigned")

    assert (task["id"], task["state"], task["status"]) == (id, "assigned", 1)
    assert (task["assignee"], task["assign_time"]) == (worker.id, taken["assign_time"])
    assert 99 <= task["deadline"] - task["assign_time"] <= 101
    worker.post("/task/extend", {"task_id": id, "seconds": 5000}).content()
    assert only(fleet, project, "assigned")["deadline"] >= task["deadline"] + 4000


def test_a_failed_task_says_when(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    begun = int(time.time())
    id = worker.submit(project, max_retries=1)
    worker.take(project)
    assert worker.release(id, 1)

    task = only(fleet, project, "failed")

    assert (task["id"], task["state"], task["status"], task["retries"]) == (id, "failed", 2, 1)
    assert (task["assignee"], task["assign_time"], task["deadline"]) == (None, None, None)
    assert begun - 1 <= task["fail_time"] <= begun + 60


def test_votes_are_shown_as_they_were_given(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    worker.submit(project, verification_count=3)
    others = [fleet.worker(project) for _ in range(2)]
    votes = {worker: 2**63 - 1, others[0]: -5}
    for voter, vote in votes.items():
        task = voter.take(project)
        voter.release(task["id"], 0, vote)

    expected = {voter.id: vote for voter, vote in votes.items()}
    found = only(fleet, project, "verifying")
    assert (found["state"], found["verification_count"]) == ("verifying", 3)
    assert {vote["worker"]: vote["verification"] for vote in found["votes"]} == expected
    others[1].take(project)
    held = only(fleet, project, "assigned")
    assert (held["assignee"], len(held["votes"])) == (others[1].id, 2)


def test_read_is_enough_to_look_and_not_to_touch(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    manager, id = reader(fleet, project), worker.submit(project)

    assert manager.get(f"/project/tasks/{project}").content()["total"] == 1
    assert manager.post(f"/project/retry_task/{project}/{id}").status == 403
    assert manager.post(f"/project/remove_task/{project}/{id}").status == 403
    assert page(fleet, project)["total"] == 1


def test_a_failed_task_is_retried_alone_and_keeps_its_votes(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    id, other = (worker.submit(project, verification_count=2, max_retries=1) for _ in range(2))
    second, third = fleet.worker(project), fleet.worker(project)
    assert worker.take(project)["id"] == id
    worker.release(id, 0, 9)
    held = [second.take(project)["id"] for _ in range(2)]
    assert sorted(held) == [id, other]
    assert second.release(id, 1)
    assert second.release(other, 1)
    assert live(worker, project) == {"failed": 2}

    assert fleet.admin.post(f"/project/retry_task/{project}/{id}").content() == {}

    assert live(worker, project) == {"failed": 1, "verifying": 1}
    retried = only(fleet, project, "verifying")
    assert (retried["id"], retried["retries"], retried["fail_time"]) == (id, 0, None)
    assert retried["votes"] == [{"worker": worker.id, "verification": 9}]
    assert third.take(project)["id"] == id
    assert third.release(id, 0, 9) is True


@pytest.mark.parametrize("state", ["waiting", "assigned"])
def test_only_a_failed_task_can_be_retried(fleet: Fleet, project: int, worker: WorkerCaller, state: str) -> None:
    id = worker.submit(project)
    if state == "assigned":
        worker.take(project)

    answer = fleet.admin.post(f"/project/retry_task/{project}/{id}")

    assert (answer.status, answer.code) == (404, "not_found")
    assert only(fleet, project, state)["id"] == id


@pytest.mark.parametrize("state", ["waiting", "verifying", "assigned", "failed"])
def test_a_task_is_removed_wherever_it_is_and_its_hash_is_free(
    fleet: Fleet, project: int, worker: WorkerCaller, state: str
) -> None:
    id, other = worker.submit(project, hash64=77, verification_count=2), worker.submit(project, hash64=78, priority=-1)
    if state != "waiting":
        assert worker.take(project)["id"] == id
    if state in {"verifying", "failed"}:
        worker.release(id, 0 if state == "verifying" else 1, 5)
    assert id in [task["id"] for task in page(fleet, project, f"?state={state}")["tasks"]]

    assert fleet.admin.post(f"/project/remove_task/{project}/{id}").content() == {}

    assert only(fleet, project, "waiting")["id"] == other
    assert live(worker, project) == {"waiting": 1}
    assert worker.release(id) is False
    assert worker.get(f"/task/assigned/{project}").content()["tasks"] == []
    assert worker.post("/task/extend", {"task_id": id, "seconds": 60}).content()["extended"] == [False]
    assert stats(worker, project)["counters"]["removed"] == 1
    assert worker.post("/task/submit", {"project": project, "recipe": "r", "hash64": 78}).status == 409
    again = worker.submit(project, hash64=77, verification_count=2)
    assert again != id
    assert worker.take(project)["id"] == again
    assert only(fleet, project, "assigned")["votes"] == []
    assert fleet.admin.post(f"/project/remove_task/{project}/{id}").status == 404
    assert affected(fleet, "hard_reset", project) == 2


@pytest.mark.parametrize("call", ["retry_task", "remove_task"])
def test_tasks_of_other_projects_and_unknown_ones_are_refused(
    fleet: Fleet, project: int, worker: WorkerCaller, call: str
) -> None:
    elsewhere = fleet.project()
    foreign = fleet.worker(elsewhere).submit(elsewhere)
    own = worker.submit(project)

    def status(task: object) -> int:
        return fleet.admin.post(f"/project/{call}/{project}/{task}").status

    unusable = (foreign, project, 1, 0, -1, 2**53 + 1, "x", "1e9", "1" * 40)
    assert {str(task): status(task) for task in unusable} == {str(task): 400 for task in unusable}
    assert status(own + 100_000) == 404
    assert fleet.admin.post(f"/project/{call}/99999/{99999 + 100_000}").status == 404
    assert page(fleet, elsewhere)["total"] == page(fleet, project)["total"] == 1


def test_one_task_is_shown_whole_in_whatever_state_it_is(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    recipe = "ä" * 1000
    id = worker.submit(project, recipe, verification_count=2)

    def shown() -> dict[str, Any]:
        task: dict[str, Any] = fleet.admin.get(f"/project/task/{project}/{id}").content()["task"]
        return task

    assert (shown()["state"], shown()["recipe"], shown()["recipe_bytes"]) == ("waiting", recipe, 2000)
    worker.take(project)
    assert (shown()["state"], shown()["assignee"]) == ("assigned", worker.id)
    worker.release(id, verification=5)
    assert shown()["votes"] == [{"worker": worker.id, "verification": 5}]
    assert shown() == only(fleet, project, "verifying", "&full=1")
    other = fleet.worker(project)
    other.take(project)
    other.release(id, 1)
    assert shown() == only(fleet, project, "failed", "&full=1")
    fleet.admin.post(f"/project/remove_task/{project}/{id}").content()
    assert fleet.admin.get(f"/project/task/{project}/{id}").code == "not_found"
    assert fleet.admin.get(f"/project/task/{project}/{id + 1}").code == "invalid"
