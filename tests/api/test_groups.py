"""Tasks that belong to a group: a host or a site."""

import threading
import time
from typing import Any

import pytest

from tests.client import Fleet

STRANGE = (
    "example.org",
    "10",
    "-5 3",
    "@",
    "a @ b",
    "b\u00fccher.example",
    "x" * 255,
    "\N{GRINNING FACE}" * 63,
    '"',
    " ",
)


@pytest.mark.parametrize("group", STRANGE)
@pytest.mark.parametrize("fields", [{}, {"hash64": -5}, {"priority": -3, "max_retries": 2, "max_assign_time": 60}])
def test_a_task_keeps_its_group_through_retries(fleet: Fleet, group: str, fields: dict[str, Any]) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    task = worker.submit(project, "10 20\n30", group=group, **fields)
    given = worker.take(project)

    assert worker.release(task, result=1) is True
    if fields.get("max_retries", 0) < 2:
        fleet.admin.post(f"/project/retry_task/{project}/{task}").content()
    again = worker.take(project)

    assert (given["recipe"], again["recipe"]) == ("10 20\n30", "10 20\n30")
    assert (given["group"], again["group"]) == (group, group)
    assert given | {"retries": again["retries"], "assign_time": again["assign_time"]} == again
    (held,) = worker.get(f"/task/assigned/{project}").content()["tasks"]
    assert held["group"] == group
    assert fleet.admin.get(f"/project/task/{project}/{task}").content()["task"]["group"] == group


@pytest.mark.parametrize("group", ["", "10", "a @ b", " "])
@pytest.mark.parametrize("failures", [0, 1])
@pytest.mark.parametrize(
    "fields", [{}, {"priority": 4}, {"max_retries": 2}, {"max_assign_time": 60}, {"verification_count": 2}]
)
def test_a_task_keeps_its_group_and_fields_in_a_chain(
    fleet: Fleet, group: str, failures: int, fields: dict[str, Any]
) -> None:
    target = fleet.project()
    source = fleet.project(chain=target)
    worker, other = fleet.worker(source, target), fleet.worker(source, target)
    task = worker.submit(source, "10 20\n30", group=group, **fields)
    for _ in range(failures):
        worker.take(source)
        worker.release(task, result=1)
        if fields.get("max_retries", 0) < 2:
            # Its votes stand, and it has no retries again.
            fleet.admin.post(f"/project/retry_task/{source}/{task}").content()
    for voter in (worker, other)[: fields.get("verification_count", 1)]:
        given = voter.take(source)
        voter.release(task, verification=7)

    chained = worker.get(f"/task/get/{target}?wait=20").content()["task"]

    same = ("recipe", "group", "priority", "max_retries", "max_assign_time", "verification_count")
    assert [chained[name] for name in same] == [given[name] for name in same]
    assert (chained["group"], chained["retries"]) == (group, 0)


def test_tasks_of_one_call_have_groups_of_their_own(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    given: list[Any] = ["a", "", None, "a" * 255]
    requests = [{"project": project, "recipe": str(n), "group": group} for n, group in enumerate(given)]
    assert worker.post("/task/bulk_submit", {"requests": requests}).content()["submitted"] == 4

    tasks = worker.get(f"/task/get/{project}?count=10").content()["tasks"]

    assert [task["group"] for task in tasks] == [group or "" for group in given]


def test_a_large_recipe_keeps_its_group(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, "x" * 5000, group="a b")

    task = worker.take(project)

    assert (task["group"], len(task["recipe"])) == ("a b", 5000)


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ("x" * 256, "group: longer than 255 bytes"),
        ("\N{GRINNING FACE}" * 64, "group: longer than 255 bytes"),
        ("a\nb", "group: must not contain control characters"),
        ("a\n", "group: must not contain control characters"),
        ("\x00", "group: must not contain control characters"),
        ("\x7f", "group: must not contain control characters"),
        ("\x85", "group: must not contain control characters"),
        (5, "group"),
    ],
)
def test_an_invalid_group_is_refused(fleet: Fleet, group: object, why: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = {"project": project, "recipe": "r", "group": group}

    for path, sent in (("/task/submit", body), ("/task/bulk_submit", {"requests": [body]})):
        answer = worker.post(path, sent)
        assert (answer.status, answer.code) == (400, "invalid")
        assert why in answer.body["message"]
    assert worker.get(f"/task/get/{project}").code == "no_task"


def test_a_group_starts_no_more_than_its_limit_at_once_and_not_before_its_delay(fleet: Fleet) -> None:
    project = fleet.project(group_limit=2, group_delay=0.1)
    workers = [fleet.worker(project) for _ in range(3)]
    for n in range(6):
        workers[0].submit(project, f"page {n}", group="slow.example")
    workers[0].submit(project, "elsewhere", group="other.example")

    first = workers[0].take(project)
    other = workers[1].take(project)
    assert (first["group"], other["group"]) == ("slow.example", "other.example")
    assert workers[2].get(f"/task/get/{project}").code == "no_task"
    begun = time.monotonic()
    second = workers[2].get(f"/task/get/{project}?wait=5").content()["task"]
    assert second["group"] == "slow.example"
    assert time.monotonic() - begun < 1

    # Two are held now: only a release lets a third one start.
    time.sleep(0.15)
    assert workers[1].get(f"/task/get/{project}").code == "no_task"
    assert workers[0].release(first["id"])
    assert workers[1].take(project)["group"] == "slow.example"


@pytest.mark.parametrize("change", ["a release", "a higher limit"])
def test_a_worker_that_waits_gets_a_task_as_soon_as_its_group_may_start_one(fleet: Fleet, change: str) -> None:
    project = fleet.project(group_limit=1)
    holder, waiter = fleet.worker(project), fleet.worker(project)
    for n in range(2):
        holder.submit(project, f"page {n}", group="a")
    held = holder.take(project)
    took: list[float] = []

    def wait() -> None:
        waiter.get(f"/task/get/{project}?wait=10").content()
        took.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    assert not took
    begun = time.monotonic()
    if change == "a release":
        assert holder.release(held["id"])
    else:
        fleet.admin.post(f"/project/update/{project}", {"group_limit": 2}).content()
    thread.join(10)

    # A read of what waits, once a second, would find it later.
    assert took.pop() - begun < 0.5


def test_waiting_tasks_of_groups_are_counted_listed_and_removed(fleet: Fleet) -> None:
    project = fleet.project(group_limit=1)
    worker = fleet.worker(project)
    plain = [worker.submit(project) for _ in range(2)]
    grouped = [worker.submit(project, group=group) for group in ("a", "b", "a")]

    page = fleet.admin.get(f"/project/tasks/{project}?state=queue").content()
    assert page["total"] == 5
    assert sorted(task["id"] for task in page["tasks"]) == sorted(plain + grouped)
    rest = fleet.admin.get(f"/project/tasks/{project}?state=queue&offset=3&limit=2").content()
    assert [task["id"] for task in rest["tasks"]] == [task["id"] for task in page["tasks"]][3:]
    assert worker.get(f"/project/stats/{project}").content()["stats"]["waiting"] == 5
    assert fleet.admin.get(f"/project/task/{project}/{grouped[0]}").content()["task"]["state"] == "waiting"

    fleet.admin.post(f"/project/remove_task/{project}/{grouped[0]}").content()
    assert fleet.admin.get(f"/project/task/{project}/{grouped[0]}").status == 404
    assert fleet.admin.post(f"/project/hard_reset/{project}").content()["affected_tasks"] == 4
    assert fleet.admin.get(f"/project/tasks/{project}?state=queue").content() == {"total": 0, "tasks": []}
