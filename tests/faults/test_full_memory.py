"""At maxmemory nothing new is taken, and everything else goes on: a full broker has to be able to drain."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.client import Fleet
from tests.serving import Serving, until


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    running = Serving.start(tmp_path, maxmemory="12mb", log_level="debug")
    yield running
    assert running.stop() == 0


@pytest.fixture
def small(serving: Serving) -> Iterator[Fleet]:
    admin = serving.admin()
    fleet = Fleet(serving.url, admin)
    yield fleet
    fleet.close()


def limit_memory(serving: Serving, size: int) -> None:
    with Redis(unix_socket_path=str(serving.store_socket())) as client:
        client.config_set("maxmemory", size)


def test_a_full_broker_refuses_what_is_new_and_drains(small: Fleet, serving: Serving) -> None:
    target = small.project()
    project = small.project(chain=target)
    worker, other = small.worker(project, target), small.worker(project, target)
    asking = small.worker()
    token = small.admin.post(f"/project/join_tokens/{project}", {"assign": True, "uses": 1}).content()["token"]
    join = {"project": project, "token": token}
    recipe = "x" * 500_000
    voted = worker.submit(project, "to be voted on", verification_count=2)
    worker.submit(project, "to fail", max_retries=0)

    stored, full = 0, None
    while full is None:
        assert stored < 1000
        answer = worker.post("/task/submit", {"project": project, "recipe": recipe, "hash64": stored + 1})
        if answer.status == 200:
            stored += 1
        else:
            full = answer
    assert stored > 5
    assert (full.status, full.code, full.headers["Retry-After"]) == (503, "unavailable", "1")
    assert "full" in full.message

    # What a large request needed is free again; from here on not even a small one fits.
    limit_memory(serving, 1)
    # Nothing of the refused task is there: its hash is not taken.
    batch = {"requests": [{"project": project, "recipe": recipe, "hash64": 999}]}
    assert worker.post("/task/bulk_submit", batch).status == 503
    assert worker.post("/worker/create").status == 503
    assert small.admin.post("/project/create", {"name": "new"}).status == 503
    line = {"scope": "s", "message": "m", "timestamp": 1}
    assert worker.post("/log/info", line).status == 503
    ask = {"project": project, "assign": True, "submit": True}
    assert asking.post("/project/request_access", ask).status == 503
    assert asking.post("/project/join", join).status == 503
    assert small.admin.post(f"/project/join_tokens/{project}", {"assign": True}).status == 503

    # Everything else goes on.
    assert small.admin.post("/login", {"username": "admin", "password": "a long password"}).status == 200
    assert small.admin.post(f"/project/update/{project}", {"motd": "full"}).status == 200
    assert worker.take(project)["id"] == voted
    assert worker.post("/task/extend", {"task_id": voted, "seconds": 60}).content()["extended"] == [True]
    assert worker.release(voted) is False
    failing = worker.take(project)["id"]
    assert worker.release(failing, 1) is True
    assert worker.release(worker.take(project)["id"], 2) is True
    assert other.take(project)["recipe"] == recipe
    assert worker.post("/worker/update", {"alias": "renamed"}).status == 200

    # Closing is ok though the chained project cannot take the task now; it stays on the outbox.
    closed = 0
    while (answer := worker.get(f"/task/get/{project}")).body["ok"]:
        assert worker.release(answer.content()["task"]["id"]) is True
        closed += 1
    # One is held by the other worker; the one with a vote waits for that worker as well.
    assert closed == stored - 1
    assert waiting(small, target) == 0

    # The sweeper tries as well; the log has said it once.
    until(lambda: f"flush in project {project}: " in serving.log.read_text())
    assert serving.log.read_text().count("The store is full") == 1

    # There is room again: the sweeper delivers.
    limit_memory(serving, 0)
    until(lambda: waiting(small, target) == closed)
    until(lambda: f"the chain of project {project} goes on" in serving.log.read_text())
    assert worker.submit(project, recipe, hash64=999) > 0
    # The only use of the token is left.
    assert asking.post("/project/join", join).status == 200


def waiting(small: Fleet, project: int) -> int:
    stats = small.anybody.get(f"/project/stats/{project}").content()["stats"]
    return int(stats["waiting"])


def test_groups_of_a_full_broker_stay_polite_and_drain(small: Fleet, serving: Serving) -> None:
    project = small.project(group_limit=1, group_delay=0.05)
    worker, other = small.worker(project), small.worker(project)
    for _ in range(4):
        worker.submit(project, group="a", max_retries=9)
        worker.submit(project, group="b", verification_count=2)
    worker.submit(project, group="c")
    worker.submit(project, group="d")
    limit_memory(serving, 1)
    assert worker.post("/task/submit", {"project": project, "recipe": "r", "group": "a"}).status == 503

    # A limit, a block, and their end; a removal.
    path = f"/project/group/{project}"
    assert small.admin.post(path, {"group": "c", "limit": 3, "blocked_for": 60}).content()["group"]["own"] is True
    assert small.admin.post(f"/project/remove_group/{project}", {"group": "d"}).content()["affected_tasks"] == 1
    assert {worker.take(project)["group"] for _ in range(2)} == {"a", "b"}
    assert worker.get(f"/task/get/{project}").code == "no_task"
    assert small.admin.post(path, {"group": "c", "blocked_for": 0}).content()["group"]["blocked_until"] is None
    held = worker.get(f"/task/assigned/{project}").content()["tasks"]
    assert worker.take(project)["group"] == "c"

    # Released in each way, with what slows its group down.
    for task in held:
        result = 1 if task["group"] == "a" else 2
        body = {"task_id": task["id"], "result": result, "group_delay": 0.1, "group_blocked": 0.1}
        assert worker.post("/task/release", body).content()["updated"] is True
    assert [row["group"] for row in small.admin.get(f"/project/groups/{project}?state=blocked").content()["groups"]]
    assert small.admin.post(f"/project/reclaim_assigned_tasks/{project}").content()["affected_tasks"] == 1

    def left() -> int:
        for caller in (worker, other):
            answer = caller.get(f"/task/get/{project}?count=10")
            for task in answer.content()["tasks"] if answer.body["ok"] else []:
                caller.release(task["id"])
        stats = small.anybody.get(f"/project/stats/{project}").content()["stats"]
        return int(stats["waiting"] + stats["verifying"] + stats["assigned"])

    until(lambda: left() == 0, 20)
    limit_memory(serving, 0)
    assert worker.submit(project, group="a") > 0


def test_delays_of_a_full_broker_end_and_its_tasks_come_again(small: Fleet, serving: Serving) -> None:
    project = small.project(retry_delay=0.05, max_reclaims=1, max_votes=2)
    worker, other = small.worker(project), small.worker(project)
    for n in range(4):
        worker.submit(project, str(n), max_retries=5, delay=0.05)
    voted = worker.submit(project, "voted", priority=9, verification_count=2)
    limit_memory(serving, 1)
    assert worker.post("/task/submit", {"project": project, "recipe": "r", "delay": 1}).status == 503

    for caller, vote in ((worker, 1), (other, 2)):
        assert caller.take(project)["id"] == voted
        caller.release(voted, verification=vote)
    again, failing, skipped, given_back = (worker.take(project, wait=10)["id"] for _ in range(4))
    for body in (
        {"task_id": again, "result": 0, "again_in": 0.05},
        {"task_id": failing, "result": 1, "message": "why"},
        {"task_id": skipped, "result": 2, "delay": 0.05},
    ):
        assert worker.post("/task/release", body).content()["updated"] is True
    assert worker.post("/task/give_back", {"task_ids": [given_back]}).content()["returned"] == [True]

    rest = {task["id"]: task for task in (other.take(project, wait=10) for _ in range(4))}
    assert sorted(rest) == sorted([again, failing, skipped, given_back])
    assert rest[again]["round"] == 2
    (disagreed,) = small.admin.get(f"/project/tasks/{project}?state=failed").content()["tasks"]
    assert (disagreed["id"], disagreed["error"]["message"]) == (voted, "no 2 of 2 agree")
    assert small.admin.post(f"/project/reset_failed_tasks/{project}").content()["affected_tasks"] == 1
    assert worker.post("/task/cancel", {"task_ids": [voted]}).content()["cancelled"] == [True]
    turn = {"releases": [{"task_id": id, "result": 0} for id in rest], "get": {"project": project}}
    assert other.post("/task/turn", turn).content()["updated"] == [True] * 4
