"""A client disconnects before its answer could be written: tasks that a get took for it wait again at once."""

import json
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any

import httpx
import pytest

from tests.client import Caller, Fleet, WorkerCaller
from tests.serving import Serving, until

Leaves = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A broker of one process, which a test can stop."""
    running = Serving.start(tmp_path_factory.mktemp("left"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def admin(serving: Serving) -> Caller:
    return serving.admin()


def asked(worker: WorkerCaller, path: str, times: int = 1) -> socket.socket:
    """A connection on which this worker has sent a get ``times``."""
    url = httpx.URL(str(worker.http.base_url))
    connection = socket.create_connection((url.host, url.port or 80), timeout=20)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Worker-ID: {worker.id}\r\nX-Secret: {worker.secret}\r\n\r\n"
    connection.sendall(head.encode() * times)
    return connection


def asked_while_stopped(
    pid: int, worker: WorkerCaller, path: str, leaves: Leaves, *, apart: float = 0, times: int = 1
) -> socket.socket:
    """Sends a get and disconnects ``apart`` seconds later, while this process is stopped."""
    os.kill(pid, signal.SIGSTOP)
    try:
        connection = asked(worker, path, times)
        threading.Event().wait(apart)
        leaves(connection)
        threading.Event().wait(apart)
    finally:
        os.kill(pid, signal.SIGCONT)
    return connection


def answer(connection: socket.socket) -> dict[str, Any]:
    response = HTTPResponse(connection)
    response.begin()
    body: dict[str, Any] = json.loads(response.read())
    response.close()
    return body


def close(connection: socket.socket) -> None:
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def half_close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)


def shut_down(connection: socket.socket) -> None:
    """Both ways, with the socket still open."""
    connection.shutdown(socket.SHUT_RDWR)


LEAVES = pytest.mark.parametrize("leaves", [close, reset, shut_down])
QUERIES = pytest.mark.parametrize("query", ["", "?count=600", "?wait=20"], ids=["one", "many", "waiting"])


def stats(fleet: Fleet, project: int) -> dict[str, Any]:
    found: dict[str, Any] = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
    return found


def fill(worker: WorkerCaller, project: int, count: int) -> list[int]:
    requests = [{"project": project, "recipe": "x", "max_retries": 1} for _ in range(count)]
    tasks: list[int] = worker.post("/task/bulk_submit", {"requests": requests}).content()["outcomes"]
    return tasks


@LEAVES
@QUERIES
def test_a_get_whose_client_left_while_the_store_was_asked_gives_its_tasks_back(
    serving: Serving, fleet: Fleet, project: int, leaves: Leaves, query: str
) -> None:
    worker, other = fleet.worker(project), fleet.worker(project)
    tasks = fill(worker, project, 700)
    connection = asked_while_stopped(serving.store(), worker, f"/task/get/{project}{query}", leaves, apart=0.2)

    until(lambda: stats(fleet, project)["waiting"] == len(tasks), 5)
    assert worker.get(f"/task/assigned/{project}").content()["tasks"] == []
    connection.close()
    assert stats(fleet, project)["counters"].get("retried", 0) == 0
    assert len(other.get(f"/task/get/{project}?count=700").content()["tasks"]) == 700


@LEAVES
@QUERIES
def test_a_get_whose_client_left_before_it_was_handled_gives_its_tasks_back(
    serving: Serving, fleet: Fleet, project: int, leaves: Leaves, query: str
) -> None:
    worker = fleet.worker(project)
    tasks = fill(worker, project, 700)
    worker.get(f"/task/assigned/{project}")
    (server,) = serving.servers()

    connection = asked_while_stopped(server, worker, f"/task/get/{project}{query}", leaves)

    fleet.anybody.get("/healthz")
    until(lambda: bool(stats(fleet, project)["waiting"] == len(tasks)), 5)
    assert worker.get(f"/task/assigned/{project}").content()["tasks"] == []
    connection.close()


@LEAVES
def test_gets_that_wait_their_turn_on_a_connection_that_has_ended_take_nothing(
    serving: Serving, fleet: Fleet, project: int, leaves: Leaves
) -> None:
    worker = fleet.worker(project)
    tasks = fill(worker, project, 20)
    (server,) = serving.servers()

    connection = asked_while_stopped(server, worker, f"/task/get/{project}", leaves, times=10)

    fleet.anybody.get("/healthz")
    until(lambda: bool(stats(fleet, project)["waiting"] == len(tasks)), 5)
    assert worker.get(f"/task/assigned/{project}").content()["tasks"] == []
    connection.close()


@QUERIES
def test_a_client_that_sends_no_more_has_its_answer_and_keeps_its_tasks(
    serving: Serving, fleet: Fleet, project: int, query: str
) -> None:
    worker = fleet.worker(project)
    fill(worker, project, 700)
    (server,) = serving.servers()

    connection = asked_while_stopped(server, worker, f"/task/get/{project}{query}", half_close)

    with connection:
        content = answer(connection)["content"]
        assert connection.recv(1) == b""
    held = worker.get(f"/task/assigned/{project}").content()["tasks"]
    assert [task["id"] for task in held] == [task["id"] for task in content.get("tasks", [content.get("task")])]


def test_all_that_a_client_has_asked_before_it_ends_is_answered(fleet: Fleet, project: int) -> None:
    worker = fleet.worker(project)
    tasks = fill(worker, project, 40)

    with asked(worker, f"/task/get/{project}", times=40) as connection:
        connection.shutdown(socket.SHUT_WR)
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answers.count(b"HTTP/1.1 200") == 40
    assert sorted(task["id"] for task in worker.get(f"/task/assigned/{project}").content()["tasks"]) == tasks


def test_a_request_that_ends_in_its_middle_is_not_begun(fleet: Fleet) -> None:
    url = httpx.URL(fleet.url)
    with socket.create_connection((url.host, url.port or 80), timeout=5) as connection:
        connection.sendall(b"POST /worker/create HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)

        assert connection.recv(1) == b""


@pytest.mark.parametrize("leaves", [close, reset, shut_down, half_close])
def test_a_wait_ends_when_its_client_sends_no_more(fleet: Fleet, project: int, leaves: Leaves) -> None:
    gone, other, producer = (fleet.worker(project) for _ in range(3))
    connection = asked(gone, f"/task/get/{project}?wait=20")
    # Until it stands in line; a get that comes late ends as well.
    threading.Event().wait(0.2)
    leaves(connection)
    threading.Event().wait(0.2)

    task = producer.submit(project)

    assert other.get(f"/task/get/{project}?wait=5").content()["task"]["id"] == task
    assert stats(fleet, project)["counters"]["assigned"] == 1
    connection.close()


def test_a_client_that_sends_no_more_is_told_that_its_wait_is_over(fleet: Fleet, project: int) -> None:
    with asked(fleet.worker(project), f"/task/get/{project}?wait=20") as connection:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)

        assert answer(connection)["code"] == "no_task"
