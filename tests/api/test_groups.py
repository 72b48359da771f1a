"""Tasks that belong to a group: a host or a site."""

import threading
import time
from typing import Any

import pytest

from tests.client import Caller, Fleet

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
def test_a_group_that_cannot_be_one_is_refused(fleet: Fleet, group: object, why: str) -> None:
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
    assert fleet.admin.get(f"/project/task/{project}/{grouped[0]}").content()["task"]["state"] == "queue"

    fleet.admin.post(f"/project/remove_task/{project}/{grouped[0]}").content()
    assert fleet.admin.get(f"/project/task/{project}/{grouped[0]}").status == 404
    assert fleet.admin.post(f"/project/hard_reset/{project}").content()["affected_tasks"] == 4
    assert fleet.admin.get(f"/project/tasks/{project}?state=queue").content() == {"total": 0, "tasks": []}


def group_of(caller: Caller, project: int, group: str) -> dict[str, Any]:
    row: dict[str, Any] = caller.get(f"/project/group/{project}?group={group}").content()["group"]
    return row


def test_a_group_has_limits_of_its_own_until_the_projects_count_again(fleet: Fleet) -> None:
    project = fleet.project(group_limit=1, group_delay=60)
    worker = fleet.worker(project)
    for _ in range(4):
        worker.submit(project, group="a")
    never_seen = group_of(worker, project, "b")
    assert never_seen == {
        **{"group": "b", "waiting": 0, "running": 0, "delay": 60, "limit": 1, "own": False},
        **{"next": None, "blocked_until": None, "set_by": None},
    }

    path = f"/project/group/{project}"
    row = fleet.admin.post(path, {"group": "a", "delay": 0, "limit": 3}).content()["group"]
    assert (row["delay"], row["limit"], row["own"], row["set_by"]) == (0, 3, True, "manager 1")
    assert [worker.take(project)["group"] for _ in range(3)] == ["a"] * 3
    assert worker.get(f"/task/get/{project}").code == "no_task"
    row = group_of(fleet.admin, project, "a")
    assert (row["waiting"], row["running"]) == (1, 3)

    row = fleet.admin.post(path, {"group": "a", "delay": -1, "limit": 0}).content()["group"]
    assert (row["delay"], row["limit"], row["own"]) == (60, 0, True)
    assert worker.take(project)["group"] == "a"
    row = fleet.admin.post(path, {"group": "a", "limit": -1}).content()["group"]
    assert (row["limit"], row["own"], row["next"] is None) == (1, False, False)


def test_a_blocked_group_starts_nothing_until_it_is_let_go_on(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    path = f"/project/group/{project}"
    first = worker.submit(project, group="a")
    assert fleet.admin.post(path, {"group": "a", "blocked_for": 3600}).content()["group"]["blocked_until"] > time.time()
    assert fleet.admin.post(path, {"group": "b", "blocked_for": 3600}).content()["group"]["waiting"] == 0
    worker.submit(project, group="b")
    other = worker.submit(project, group="c")

    assert worker.take(project)["id"] == other
    assert worker.get(f"/task/get/{project}").code == "no_task"

    row = fleet.admin.post(path, {"group": "a", "blocked_for": 0}).content()["group"]
    assert (row["blocked_until"], row["next"]) == (None, None)
    assert worker.take(project)["id"] == first
    assert worker.get(f"/task/get/{project}").code == "no_task"


def test_a_block_ends_by_itself_and_shortens_no_rest(fleet: Fleet) -> None:
    project = fleet.project(group_delay=60)
    worker = fleet.worker(project)
    path = f"/project/group/{project}"
    for group in ("a", "a", "b"):
        worker.submit(project, group=group)
    worker.take(project)
    for group in ("a", "b"):
        fleet.admin.post(path, {"group": group, "blocked_for": 0.2}).content()

    task = worker.get(f"/task/get/{project}?wait=5").content()["task"]

    assert task["group"] == "b"
    assert worker.get(f"/task/get/{project}").code == "no_task"
    assert group_of(worker, project, "a")["next"] > time.time() + 30


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"group": ""},
        {"group": "a\n"},
        *({"group": "a", "delay": value} for value in (-2, -0.5, 315_360_001, "1")),
        *({"group": "a", "limit": value} for value in (-2, 2**15, 1.5)),
        *({"group": "a", "blocked_for": value} for value in (-1, 315_360_001)),
    ],
)
def test_limits_that_cannot_be_are_refused_with_the_name_of_the_field(fleet: Fleet, body: dict[str, Any]) -> None:
    answer = fleet.admin.post(f"/project/group/{fleet.project()}", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert list(body)[-1:] == [] or list(body)[-1] in answer.body["message"]


def test_a_group_is_shown_to_those_who_have_access_and_changed_by_those_who_may_edit(fleet: Fleet) -> None:
    project = fleet.project()
    path = f"/project/group/{project}"
    assert fleet.worker().get(f"{path}?group=a").status == 403
    assert fleet.manager().get(f"{path}?group=a").status == 403
    assert fleet.manager().post(path, {"group": "a", "limit": 1}).status == 403
    assert fleet.admin.get("/project/group/99998?group=a").status == 404
    assert fleet.admin.post("/project/group/99998", {"group": "a"}).status == 404
    assert fleet.admin.get(path).status == 400
