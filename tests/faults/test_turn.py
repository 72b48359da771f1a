"""A turn of which only a part can be done, or whose client or server is gone before its end."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from tests.client import Caller, Fleet, WorkerCaller
from tests.faults.test_client_gone import sent
from tests.manage.bulk import live, stats
from tests.serving import Serving, until

POST = "POST /task/turn"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A broker of one process, whose store a test can stop."""
    running = Serving.start(tmp_path_factory.mktemp("turn"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def admin(serving: Serving) -> Caller:
    return serving.admin()


def page(worker: WorkerCaller, project: int, **get: Any) -> dict[str, Any]:
    """Of a task that the worker takes now; one more waits."""
    worker.submit(project, "a", priority=2)
    worker.submit(project, "b", priority=1)
    releases = [{"task_id": worker.take(project)["id"], "result": 0}]
    return {"releases": releases, "submits": [{"project": project, "recipe": "c"}], "get": {"project": project, **get}}


def while_broken(
    serving: Serving, name: str, worker: WorkerCaller, parts: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a turn answers while a key holds something that no script can read, and the codes of what is refused."""
    with Redis(unix_socket_path=str(serving.store_socket())) as redis:
        kept = redis.dump(name)
        redis.set(name, "no such type")
        answer = worker.post("/task/turn", parts)
        redis.restore(name, 0, kept, replace=True)
    assert (answer.status, answer.body["ok"]) == (200, False), answer
    content = answer.body["content"]
    return content, {part: why["code"] for part, why in content["refused"].items()}


def test_a_store_that_fails_half_way_leaves_the_outcomes_so_far(serving: Serving, fleet: Fleet) -> None:
    project, broken = fleet.project(), fleet.project()
    worker = fleet.worker(project, broken)
    parts, others = page(worker, project), page(worker, broken)
    parts["releases"] += others["releases"]
    parts["get"] = {"project": broken}

    content, refused = while_broken(serving, f"broker:{{project:{broken}}}:assigned", worker, parts)

    assert (content["updated"], len(content["outcomes"]), content["tasks"]) == ([True, False], 1, [])
    assert refused == {"releases": "unavailable", "get": "unavailable"}
    assert content["refused"]["releases"]["message"].startswith("Only 1 of 2 releases were carried out: ")
    assert worker.post("/task/turn", others).content()["updated"] == [True]


def test_tasks_whose_project_cannot_be_told_are_waiting_again(serving: Serving, fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    parts = page(worker, project)
    fleet.admin.post(f"/project/update/{project}", {"motd": "another"}).content()

    content, refused = while_broken(serving, f"broker:{{directory}}:project:{project}", worker, parts)

    assert (content["updated"], len(content["outcomes"]), content["tasks"]) == ([True], 1, [])
    assert refused == {"get": "unavailable"}
    assert live(worker, project) == {"waiting": 2}


@pytest.mark.parametrize("wait", [0, 20])
def test_the_tasks_of_a_client_that_left_are_waiting_again_and_the_rest_stands(
    serving: Serving, fleet: Fleet, wait: int
) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = json.dumps(page(worker, project, wait=wait)).encode()

    os.kill(serving.store(), signal.SIGSTOP)
    try:
        with sent(worker, fleet, POST, body):
            threading.Event().wait(0.2)
        threading.Event().wait(0.2)
    finally:
        os.kill(serving.store(), signal.SIGCONT)

    until(lambda: live(worker, project) == {"waiting": 2})
    assert [worker.take(project)["recipe"] for _ in range(2)] == ["b", "c"]


def test_a_client_that_leaves_while_it_waits_takes_nothing(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    parts = page(worker, project, wait=20)
    worker.take(project)
    del parts["submits"]

    with sent(worker, fleet, POST, json.dumps(parts).encode()):
        until(lambda: live(worker, project) == {"assigned": 1})
    task = worker.submit(project)

    # If it was woken before it was known that it had left, the task is given back.
    assert worker.get(f"/task/get/{project}?wait=10").content()["task"]["id"] == task


def killed_before_the_first_reply(serving: Serving, fleet: Fleet, worker: WorkerCaller, body: bytes) -> None:
    """The process that serves a turn, once it has sent what it sends before the store answers."""
    (server,) = serving.servers()
    # Its record is at hand for some milliseconds: nothing has to be read before.
    worker.post("/task/turn", {}).content()
    os.kill(serving.store(), signal.SIGSTOP)
    try:
        with sent(worker, fleet, POST, body):
            threading.Event().wait(0.2)
            os.kill(server, signal.SIGKILL)
            until(lambda: server not in serving.servers())
    finally:
        os.kill(serving.store(), signal.SIGCONT)
    serving.wait_for(200)


def test_the_parts_of_a_turn_are_carried_out_though_its_process_died_before_the_reply(
    serving: Serving, fleet: Fleet
) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    parts = page(worker, project)

    for _ in range(10):
        killed_before_the_first_reply(serving, fleet, worker, json.dumps(parts).encode())
        found = stats(worker, project)
        if found["counters"].get("closed"):
            break
        # Its record was read all the same, and no more was sent.
        assert (found["waiting"], found["assigned"], found["counters"]["submitted"]) == (1, 1, 2)

    assert (found["waiting"], found["assigned"], found["counters"]["submitted"]) == (1, 1, 3)
    assert [task["recipe"] for task in worker.get(f"/task/assigned/{project}").content()["tasks"]] == ["b"]


@pytest.mark.parametrize("left_out", ["releases", "get", ""])
def test_a_full_store_refuses_the_submits_alone(serving: Serving, fleet: Fleet, left_out: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    parts = page(worker, project)
    parts.pop(left_out, None)
    with Redis(unix_socket_path=str(serving.store_socket())) as redis:
        limit = redis.config_get("maxmemory")["maxmemory"]
        redis.config_set("maxmemory", 1)
        try:
            answer = worker.post("/task/turn", parts)
        finally:
            redis.config_set("maxmemory", limit)

    content = answer.body["content"]
    assert {part: why["code"] for part, why in content["refused"].items()} == {"submits": "unavailable"}
    assert "full" in content["refused"]["submits"]["message"]
    assert content["updated"] == ([] if left_out == "releases" else [True])
    assert [task["recipe"] for task in content["tasks"]] == ([] if left_out == "get" else ["b"])
    assert stats(worker, project)["counters"]["submitted"] == 2
