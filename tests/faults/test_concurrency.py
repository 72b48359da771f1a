"""Many clients on one project, over two server processes: no task is assigned twice or lost."""

import json
import socket
import struct
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.client import Fleet, WorkerCaller

CLIENTS = 16
TASKS = 750


def test_sixteen_clients_close_each_task_once(fleet: Fleet) -> None:
    target = fleet.project()
    project = fleet.project(chain=target)
    workers = [fleet.worker(project, target) for _ in range(CLIENTS)]
    submitted = threading.Event()
    left = threading.Barrier(CLIENTS, action=submitted.set)
    held: Counter[int] = Counter()

    def submit_and_close(worker: WorkerCaller) -> list[int]:
        mine = [
            {"project": project, "recipe": str(n), "hash64": n, "verification_count": 1 + n % 2, "max_retries": 9}
            for n in range(1, TASKS + 1)
        ]
        outcomes = worker.post("/task/bulk_submit", {"requests": mine}).content()
        left.wait(30)
        closed = []
        while (answer := worker.get(f"/task/get/{project}?count=3")).body["ok"]:
            for task in answer.content()["tasks"]:
                held[task["id"]] += 1
                result = 1 if task["id"] % 7 == 0 and task["retries"] == 0 else 0
                if worker.release(task["id"], result) and result == 0:
                    closed.append(task["id"])
        return [outcomes["submitted"], *closed]

    with ThreadPoolExecutor(CLIENTS) as pool:
        results = list(pool.map(submit_and_close, workers))

    assert sum(result[0] for result in results) == TASKS
    closed = Counter(id for result in results for id in result[1:])
    # A last task may come back for its second vote after all workers have ended.
    stragglers = fleet.worker(project)
    while (answer := stragglers.get(f"/task/get/{project}")).body["ok"]:
        id = answer.content()["task"]["id"]
        if stragglers.release(id):
            closed[id] += 1
    assert len(closed) == TASKS
    assert set(closed.values()) == {1}
    stats = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
    assert (stats["waiting"], stats["verifying"], stats["assigned"], stats["failed"]) == (0, 0, 0, 0)
    assert stats["counters"]["closed"] == TASKS
    assert fleet.anybody.get(f"/project/stats/{target}").content()["stats"]["waiting"] == TASKS


def test_clients_that_vanish_in_the_middle_of_calls_never_shift_the_answers_of_others(fleet: Fleet) -> None:
    project = fleet.project()
    staying = [fleet.worker(project) for _ in range(8)]
    leaving = fleet.worker(project)
    done = threading.Event()

    def vanish() -> int:
        """Sends calls, and goes before they are answered."""
        url, gone = httpx.URL(fleet.url), 0
        body = json.dumps({"project": project, "recipe": "of a client that has gone"}).encode()
        head = (
            f"POST /task/submit HTTP/1.1\r\nHost: x\r\nX-Worker-ID: {leaving.id}\r\nX-Secret: {leaving.secret}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        while not done.is_set():
            with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
                # Reset, not closed: what is answered meets an error.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(head + body)
            gone += 1
        return gone

    def submit(worker: WorkerCaller) -> dict[int, str]:
        recipes = [f"{worker.id}-{n}" for n in range(50)]
        return {worker.submit(project, recipe, priority=1): recipe for recipe in recipes}

    with ThreadPoolExecutor(12) as pool:
        vanishing = [pool.submit(vanish) for _ in range(4)]
        try:
            submitted = {id: recipe for ids in pool.map(submit, staying) for id, recipe in ids.items()}
        finally:
            done.set()
        assert sum(leaver.result() for leaver in vanishing) > 100

    assert len(submitted) == 8 * 50
    while submitted:
        task = staying[0].take(project)
        assert submitted.pop(task["id"]) == task["recipe"]
        assert staying[0].release(task["id"])
