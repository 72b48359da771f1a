"""Groups of tasks: listed, given limits of their own, blocked, slowed down by workers, removed."""

import time
from typing import Any
from urllib.parse import quote

import pytest

from tests.client import Caller, Fleet, WorkerCaller


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
def test_invalid_limits_are_refused_with_the_name_of_the_field(fleet: Fleet, body: dict[str, Any]) -> None:
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


def groups_in(caller: Caller, project: int, state: str, limit: int = 100) -> list[str]:
    """Their names, read page by page."""
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        query = f"?state={state}&limit={limit}" + (f"&after={quote(after)}" if after else "")
        content = caller.get(f"/project/groups/{project}{query}").content()
        names += [row["group"] for row in content["groups"]]
        after = content["next"]
    return names


def stats_of(caller: Caller, project: int) -> dict[str, int]:
    stats: dict[str, int] = caller.get(f"/project/stats/{project}").content()["stats"]
    return {name.removeprefix("groups_"): count for name, count in stats.items() if name.startswith("groups_")}


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_groups_are_listed_and_counted_by_their_state(fleet: Fleet, limit: int) -> None:
    project = fleet.project(group_delay=60)
    worker = fleet.worker(project)
    for group in ("rests", "rests", "b\u00fccher", "is full", "is full", "ready 1", "ready 2", "blocked"):
        worker.submit(project, group=group)
    path = f"/project/group/{project}"
    for group in ("is full", "ready 1", "ready 2", "blocked"):
        fleet.admin.post(path, {"group": group, "delay": 0, "limit": 1}).content()
    for group in ("ready 1", "ready 2", "blocked"):
        fleet.admin.post(path, {"group": group, "blocked_for": 60}).content()
    assert [worker.take(project)["group"] for _ in range(3)] == ["rests", "b\u00fccher", "is full"]
    for group in ("ready 1", "ready 2"):
        fleet.admin.post(path, {"group": group, "blocked_for": 0}).content()

    found = {state: groups_in(fleet.admin, project, state, limit) for state in ("ready", "resting", "full", "blocked")}

    assert found["ready"] == ["ready 1", "ready 2"]
    assert sorted(found["resting"]) == sorted(["rests", "b\u00fccher", "blocked"])
    assert (found["full"], found["blocked"]) == (["is full"], ["blocked"])
    assert stats_of(fleet.admin, project) == {state: len(groups) for state, groups in found.items()}


def test_groups_are_listed_as_they_are_shown_one_by_one(fleet: Fleet) -> None:
    project = fleet.project(group_delay=60, group_limit=3)
    worker = fleet.worker(project)
    for _ in range(2):
        worker.submit(project, group="a")
    worker.take(project)

    page = fleet.admin.get(f"/project/groups/{project}?state=resting").content()

    assert page == {"groups": [group_of(fleet.admin, project, "a")], "next": None}
    (row,) = page["groups"]
    assert (row["waiting"], row["running"], row["delay"], row["limit"], row["own"]) == (1, 1, 60, 3, False)


def test_a_group_that_has_left_while_it_is_listed_hides_no_other(fleet: Fleet) -> None:
    project = fleet.project(group_limit=1)
    worker = fleet.worker(project)
    names = [f"host {n}" for n in range(6)]
    for name in names * 2:
        worker.submit(project, group=name)
    held = {task["group"]: task["id"] for task in (worker.take(project) for _ in names)}
    page = fleet.admin.get(f"/project/groups/{project}?state=full&limit=3").content()
    assert [row["group"] for row in page["groups"]] == names[:3]

    for name in names[1:3]:
        worker.release(held[name])

    rest = fleet.admin.get(f"/project/groups/{project}?state=full&after={quote(page['next'])}").content()
    assert [row["group"] for row in rest["groups"]] == names[3:]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "state"),
        ("?state=", "state"),
        ("?state=free", "state"),
        ("?state=ready&limit=0", "limit"),
        ("?state=ready&limit=501", "limit"),
        *(
            (f"?state=ready&after={quote(after)}", "after")
            for after in ("x", "1 nan a", "1 0", "0 1 a", "1 1e a", "4 1 a")
        ),
        *((f"?state=full&after={quote(after)}", "after") for after in ("1 - a", "1 1.1.1 a", "1 inf a", "1 0x1 a")),
    ],
)
def test_an_invalid_page_of_groups_is_refused(fleet: Fleet, query: str, field: str) -> None:
    answer = fleet.admin.get(f"/project/groups/{fleet.project()}{query}")

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.body["message"].startswith(f"{field}:")


def test_the_tasks_of_a_group_are_removed_and_their_hashes_are_free(fleet: Fleet) -> None:
    project = fleet.project(group_delay=60)
    worker = fleet.worker(project)
    tasks = [worker.submit(project, group="a", hash64=n + 1) for n in range(4)]
    other, plain = worker.submit(project, group="b", hash64=10), worker.submit(project, hash64=11)
    assert worker.take(project)["id"] == tasks[0]
    path = f"/project/remove_group/{project}"

    assert fleet.admin.post(path, {"group": "a"}).content() == {"affected_tasks": 3}

    for task in tasks[1:]:
        assert fleet.admin.get(f"/project/task/{project}/{task}").status == 404
    stats = worker.get(f"/project/stats/{project}").content()["stats"]
    assert (stats["waiting"], stats["assigned"], stats["counters"]["removed"]) == (2, 1, 3)
    assert fleet.admin.post(path, {"group": "a"}).content() == {"affected_tasks": 0}
    assert worker.post("/task/submit", {"project": project, "recipe": "r", "hash64": 1}).code == "duplicate"
    again = [worker.submit(project, group="a", hash64=n + 1) for n in range(1, 4)]
    # It rests on: what is held began less than a minute ago.
    assert {worker.take(project)["id"] for _ in range(2)} == {other, plain}
    assert worker.get(f"/task/get/{project}").code == "no_task"
    assert fleet.admin.get(f"/project/task/{project}/{again[0]}").content()["task"]["state"] == "waiting"


def test_tasks_with_votes_are_removed_with_their_group(fleet: Fleet) -> None:
    project = fleet.project()
    worker, other = fleet.worker(project), fleet.worker(project)
    voted = worker.submit(project, group="a", verification_count=2)
    worker.take(project)
    worker.release(voted, verification=5)

    assert fleet.admin.post(f"/project/remove_group/{project}", {"group": "a"}).content() == {"affected_tasks": 1}

    assert other.get(f"/task/get/{project}").code == "no_task"
    stats = worker.get(f"/project/stats/{project}").content()["stats"]
    assert (stats["waiting"], stats["verifying"], stats["groups_ready"]) == (0, 0, 0)


@pytest.mark.parametrize("in_bulk", [False, True])
@pytest.mark.parametrize("result", [0, 1, 2])
def test_a_release_blocks_its_group_for_a_while(fleet: Fleet, in_bulk: bool, result: int) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    task = worker.submit(project, group="a", max_retries=5)
    worker.submit(project, group="a")
    worker.take(project)
    release = {"task_id": task, "result": result, "group_blocked": 60.5}

    if in_bulk:
        assert worker.post("/task/bulk_release", {"requests": [release]}).content()["updated"] == [True]
    else:
        assert worker.post("/task/release", release).content()["updated"] is True

    assert worker.get(f"/task/get/{project}").code == "no_task"
    row = group_of(worker, project, "a")
    assert row["blocked_until"] == row["next"] == pytest.approx(time.time() + 60.5, abs=5)
    assert (row["own"], row["set_by"]) == (False, f"worker {worker.id}")


def slow(worker: WorkerCaller, project: int, **slow_down: object) -> None:
    """With the release of a task of the group "a", which waits again."""
    worker.submit(project, group="a", priority=1)
    task = worker.take(project)
    assert task["group"] == "a"
    body = {"task_id": task["id"], "result": 2, **slow_down}
    assert worker.post("/task/release", body).content()["updated"] is True


def test_a_release_slows_its_group_down_and_to_no_less_than_the_projects_delay(fleet: Fleet) -> None:
    project = fleet.project(group_delay=0.02)
    worker = fleet.worker(project)

    slow(worker, project, group_delay=0.5)
    row = group_of(worker, project, "a")
    assert (row["delay"], row["own"], row["set_by"]) == (0.5, True, f"worker {worker.id}")
    time.sleep(0.05)
    slow(worker, project, group_delay=0)
    row = group_of(worker, project, "a")
    assert row["delay"] == 0.5
    assert row["next"] == pytest.approx(time.time() + 0.5, abs=0.4)

    (task,) = worker.get(f"/task/get/{project}?count=1&wait=5").content()["tasks"]
    body = {"task_id": task["id"], "result": 2, "group_delay": 0.01}
    worker.post("/task/release", body).content()
    row = group_of(worker, project, "a")
    assert (row["delay"], row["own"], row["set_by"]) == (0.02, False, None)


@pytest.mark.parametrize(
    ("sent", "kept"), [({"group_delay": 1e6}, ("delay", 3600)), ({"group_blocked": 1e6}, ("blocked_until", 86_400))]
)
def test_a_worker_slows_a_group_down_by_an_hour_and_blocks_it_for_a_day_at_most(
    fleet: Fleet, sent: dict[str, float], kept: tuple[str, int]
) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    slow(worker, project, **sent)

    field, most = kept
    begun = time.time() if field == "blocked_until" else 0
    assert group_of(worker, project, "a")[field] == pytest.approx(begun + most, abs=10)


def test_minus_one_ends_what_workers_have_set(fleet: Fleet) -> None:
    project = fleet.project(group_limit=2)
    worker = fleet.worker(project)
    tasks = [worker.submit(project, group="a") for _ in range(3)]
    for _ in range(2):
        worker.take(project)
    body = {"task_id": tasks[0], "result": 0, "group_delay": 50, "group_blocked": 50}
    worker.post("/task/release", body).content()
    assert worker.get(f"/task/get/{project}").code == "no_task"

    worker.post("/task/release", {"task_id": tasks[1], "result": 0, "group_delay": -1, "group_blocked": -1}).content()

    row = group_of(worker, project, "a")
    assert (row["delay"], row["blocked_until"], row["own"], row["set_by"]) == (0, None, False, None)
    assert worker.take(project)["id"] == tasks[2]


def test_workers_take_back_nothing_that_a_manager_has_set(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    tasks = [worker.submit(project, group="a") for _ in range(3)]
    for _ in tasks:
        worker.take(project)
    set_up = {"group": "a", "delay": 5, "limit": 9, "blocked_for": 600}
    before = fleet.admin.post(f"/project/group/{project}", set_up).content()["group"]
    assert (before["set_by"], before["delay"]) == ("manager 1", 5)

    def after(task: int, **slow_down: float) -> dict[str, Any]:
        worker.post("/task/release", {"task_id": task, "result": 0, **slow_down}).content()
        return group_of(worker, project, "a") | {"running": before["running"]}

    assert after(tasks[0], group_delay=-1, group_blocked=-1) == before
    assert after(tasks[1], group_delay=1, group_blocked=1) == before
    slower = after(tasks[2], group_delay=60, group_blocked=3600)
    assert (slower["delay"], slower["limit"], slower["set_by"]) == (60, 9, "manager 1")
    assert slower["blocked_until"] > before["blocked_until"] + 2000
    set_anew = fleet.admin.post(f"/project/group/{project}", {"group": "a", "delay": 5, "blocked_for": 0}).content()
    assert (set_anew["group"]["delay"], set_anew["group"]["blocked_until"]) == (5, None)


def test_what_a_stranger_asks_for_is_ignored(fleet: Fleet) -> None:
    project = fleet.project(public=True)
    granted, stranger = fleet.worker(project), fleet.worker()
    tasks = [granted.submit(project, group="a") for _ in range(2)]
    unknown = granted.submit(project)
    assert {stranger.take(project)["id"] for _ in range(3)} == {*tasks, unknown}
    slow_down = {"result": 0, "group_delay": 50, "group_blocked": 50}

    # Without access, of a task without a group, and of one that somebody else holds.
    assert stranger.post("/task/release", {"task_id": tasks[0], **slow_down}).content()["updated"] is True
    assert stranger.post("/task/release", {"task_id": unknown, **slow_down}).content()["updated"] is True
    assert granted.post("/task/release", {"task_id": tasks[1], **slow_down}).content()["updated"] is False

    row = group_of(granted, project, "a")
    assert (row["delay"], row["blocked_until"], row["set_by"]) == (0, None, None)
    assert groups_in(fleet.admin, project, "blocked") == []


@pytest.mark.parametrize("field", ["group_delay", "group_blocked"])
@pytest.mark.parametrize("value", [-2, -0.5, 315_360_001, "1", True])
def test_an_invalid_slow_down_is_refused_and_nothing_is_released(fleet: Fleet, field: str, value: object) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    task = worker.submit(project, group="a")
    worker.take(project)
    release = {"task_id": task, "result": 0, field: value}

    one = worker.post("/task/release", release)
    many = worker.post("/task/bulk_release", {"requests": [{"task_id": task, "result": 0}, release]})

    for answer in (one, many):
        assert (answer.status, answer.code) == (400, "invalid")
        assert field in answer.body["message"]
    assert worker.release(task) is True


def test_a_worker_with_access_may_count_the_tasks_of_a_hidden_project(fleet: Fleet) -> None:
    project = fleet.project(hidden=True)
    path = f"/project/stats/{project}"

    assert fleet.worker(project).get(path).content()["stats"]["orphaned"] == 0
    assert fleet.worker().get(path).status == 401
    assert fleet.anybody.get(path).status == 401
