"""A client disconnects in the middle of a bulk call: all of it is done or nothing, and the client can tell which."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.client import Fleet, WorkerCaller
from tests.serving import until

TASKS = 10_000
"""Twenty scripts."""


@contextmanager
def sent(
    worker: WorkerCaller, fleet: Fleet, request: str, body: bytes = b"", part: float = 1
) -> Iterator[socket.socket]:
    """Sends this ``part`` of the body; at the end of the block the connection is cut, and no answer was read."""
    url = httpx.URL(fleet.url)
    head = f"{request} HTTP/1.1\r\nHost: x\r\nX-Worker-ID: {worker.id}\r\nX-Secret: {worker.secret}\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[: int(part * len(body))])
        yield connection


def stats(fleet: Fleet, project: int) -> dict[str, int]:
    found: dict[str, int] = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
    return found


def bulk(project: int) -> dict[str, object]:
    return {"requests": [{"project": project, "recipe": "r", "hash64": n + 1} for n in range(TASKS)]}


def test_nothing_is_done_of_a_bulk_that_was_only_half_sent(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = json.dumps(bulk(project)).encode()

    with sent(worker, fleet, "POST /task/bulk_submit", body, 0.5):
        pass

    outcome = worker.post("/task/bulk_submit", bulk(project)).content()
    assert (outcome["submitted"], outcome["duplicates"]) == (TASKS, 0)


def test_a_bulk_whose_client_has_gone_is_done_to_its_end_and_can_be_sent_again(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = json.dumps(bulk(project)).encode()

    with sent(worker, fleet, "POST /task/bulk_submit", body):
        until(lambda: stats(fleet, project)["waiting"] > 0)
    until(lambda: stats(fleet, project)["waiting"] == TASKS)

    outcome = worker.post("/task/bulk_submit", bulk(project)).content()
    assert (outcome["submitted"], outcome["duplicates"]) == (0, TASKS)
    assert stats(fleet, project)["waiting"] == TASKS


def test_tasks_that_nobody_received_can_be_asked_for_by_their_worker(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    submitted = worker.post("/task/bulk_submit", bulk(project)).content()["outcomes"]

    with sent(worker, fleet, f"GET /task/get/{project}?count=10") as connection:
        # The answer was written whole, and is lost all the same.
        connection.recv(1)

    held = worker.get(f"/task/assigned/{project}").content()["tasks"]
    assert [task["id"] for task in held] == submitted[:10]
    releases = [{"task_id": task["id"], "result": 2} for task in held]
    assert worker.post("/task/bulk_release", {"requests": releases}).content()["updated"] == [True] * 10
    assert stats(fleet, project)["waiting"] == TASKS
