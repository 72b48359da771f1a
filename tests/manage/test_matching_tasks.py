"""Managers retry or remove the tasks that match a filter."""

import json
from typing import Any

import pytest

from tests.client import Fleet, WorkerCaller
from tests.manage.bulk import MANY, affected, live, released, submitted, taken


def matching(fleet: Fleet, operation: str, project: int, **filter: Any) -> int:
    """How many tasks a call has changed, which must be done when it answers."""
    content = fleet.admin.post(f"/project/{operation}/{project}", filter).content()
    assert content["pending"] is False, content
    count: int = content["affected_tasks"]
    return count


def test_failed_tasks_that_match_wait_again_and_all_others_stay(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    for group in ("a", "b", ""):
        for n in range(40):
            worker.submit(project, f"https://example.org/{n % 4}", group=group, max_retries=1)
    assert all(released(worker, taken(worker, project, 120), 1))
    waiting = worker.submit(project, "https://example.org/1", group="a")

    assert matching(fleet, "retry_tasks", project, contains="org/1", group="a") == 10
    assert live(worker, project) == {"waiting": 11, "failed": 110}
    assert matching(fleet, "retry_tasks", project, state="failed", contains="org/1") == 20
    assert matching(fleet, "retry_tasks", project, contains="ORG/1") == 0
    assert matching(fleet, "retry_tasks", project) == 90

    assert live(worker, project) == {"waiting": 121}
    tasks = worker.get(f"/task/get/{project}?count=200").content()["tasks"]
    assert (len(tasks), tasks[0]["id"], {task["retries"] for task in tasks}) == (121, waiting, {0})


def test_tasks_of_a_state_that_match_are_removed_and_their_hashes_are_free(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    assert submitted(worker, project, range(1, 1001), group="a") == 1000
    assert submitted(worker, project, range(1001, 2001)) == 1000
    voted = worker.submit(project, "voted", verification_count=2, priority=5, group="a")
    assert worker.take(project)["id"] == voted
    worker.release(voted, 0, 7)
    held = [task["id"] for task in worker.get(f"/task/get/{project}?count=500").content()["tasks"]]
    waiting = set(range(1, 2001)) - {task // 100_000 for task in held}
    sevens = {n for n in waiting if str(n).startswith("7")}
    of_group = {n for n in waiting - sevens if n <= 1000}

    assert matching(fleet, "remove_tasks", project, state="waiting", contains="r7") == len(sevens)
    assert matching(fleet, "remove_tasks", project, state="verifying", group="b") == 0
    assert matching(fleet, "remove_tasks", project, state="verifying", group="a") == 1
    assert matching(fleet, "remove_tasks", project, state="queue", group="a") == len(of_group)
    left = len(waiting - sevens - of_group)
    assert live(worker, project) == {"waiting": left, "assigned": 500}
    assert submitted(worker, project, range(1, 2001), group="a") == len(sevens | of_group)
    assert matching(fleet, "remove_tasks", project, state="assigned", worker=worker.id + 10**6) == 0
    assert matching(fleet, "remove_tasks", project, state="assigned", worker=worker.id) == 500

    assert not any(released(worker, held, 0))
    assert live(worker, project) == {"waiting": len(waiting)}


def test_a_group_of_which_a_held_task_is_removed_may_start_another(fleet: Fleet, worker: WorkerCaller) -> None:
    project = fleet.project(group_limit=1)
    fleet.admin.post(f"/project/update/{project}", {"public": True}).content()
    submitter = fleet.worker(project)
    first, second = submitter.submit(project, group="a"), submitter.submit(project, group="a")
    assert worker.take(project)["id"] == first
    assert worker.get(f"/task/get/{project}").code == "no_task"

    assert matching(fleet, "remove_tasks", project, state="assigned") == 1

    assert worker.take(project)["id"] == second


@pytest.mark.parametrize("contains", ["a\nb", "retry_tasks 0 0 0 failed - @\n", " @ %d %s", "\u2028€", "\t"])
def test_a_filter_may_contain_anything(fleet: Fleet, project: int, worker: WorkerCaller, contains: str) -> None:
    worker.submit(project, f"before {contains} after", group="a @ b")
    worker.submit(project, "before after", group="a @ b")

    assert matching(fleet, "remove_tasks", project, state="waiting", contains=contains, group="a @ b") == 1
    assert live(worker, project) == {"waiting": 1}


def test_many_tasks_that_match_are_changed_while_the_fleet_goes_on(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    assert submitted(worker, project, range(1, MANY + 1)) == MANY
    assert all(released(worker, taken(worker, project, MANY), 1))

    found = fleet.admin.post(f"/project/retry_tasks/{project}", {"contains": "7"}).content()

    expected = len([n for n in range(1, MANY + 1) if "7" in str(n)])
    assert found == {"affected_tasks": expected, "pending": False}
    assert live(worker, project) == {"waiting": expected, "failed": MANY - expected}
    assert affected(fleet, "reset_failed_tasks", project) == MANY - expected


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        ("remove_tasks", {}, "state: required"),
        ("remove_tasks", {"state": None}, "state: required"),
        ("remove_tasks", {"state": "closed"}, "state: one of "),
        ("retry_tasks", {"state": "waiting"}, "state: only failed"),
        ("retry_tasks", {"state": "new"}, "state: one of "),
        ("retry_tasks", {"state": 1}, "state: "),
        ("retry_tasks", {"contains": "x" * 1001}, "contains: "),
        ("retry_tasks", {"contains": 1}, "contains: "),
        ("retry_tasks", {"group": "a\nb"}, "group: "),
        ("retry_tasks", {"group": "x" * 256}, "group: "),
        ("retry_tasks", {"worker": 0}, "worker: "),
        ("retry_tasks", {"worker": "1"}, "worker: "),
    ],
)
def test_an_invalid_call_names_the_field(
    fleet: Fleet, project: int, operation: str, body: dict[str, Any], message: str
) -> None:
    answer = fleet.admin.post(f"/project/{operation}/{project}", json.dumps(body))

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(message)
