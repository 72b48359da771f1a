"""Server processes and the store are killed in the middle of a fleet's work; nothing that was acknowledged is lost."""

import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.client import Answer, Fleet, WorkerCaller
from tests.serving import Serving, until

CLIENTS = 6
EACH = 60


class Ledger:
    """What the clients were told."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.submitted: set[int] = set()
        self.closed: Counter[int] = Counter()
        self.lost_releases: set[int] = set()


def send(worker: WorkerCaller, path: str, body: object = None) -> Answer | None:
    """None when the answer was lost, or the broker said 503: whether it was done is not known."""
    try:
        answer = worker.get(path) if body is None else worker.post(path, body)
    except httpx.TransportError:
        return None
    assert answer.status in {200, 409, 503}, answer
    return None if answer.status == 503 else answer


def work(worker: WorkerCaller, project: int, number: int, ledger: Ledger) -> None:
    for n in range(EACH):
        hash64 = 1 + number * EACH + n
        body = {"project": project, "recipe": "r", "hash64": hash64, "max_assign_time": 1}
        while send(worker, "/task/submit", body) is None:
            pass
        # A duplicate is one whose answer was lost.
        with ledger.lock:
            ledger.submitted.add(hash64)
        got = send(worker, f"/task/get/{project}")
        if got is None or not got.body["ok"]:
            continue
        task = got.body["content"]["task"]["id"]
        released = send(worker, "/task/release", {"task_id": task, "result": 0})
        with ledger.lock:
            if released is None:
                ledger.lost_releases.add(task)
            elif released.body["content"]["updated"]:
                ledger.closed[task] += 1


def test_nothing_acknowledged_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=2)
    admin = serving.caller()
    admin.post("/register", {"username": "admin", "password": "a long password"}).content()
    fleet = Fleet(serving.url, admin)
    project = fleet.project(remember_closed=-1)
    workers = [fleet.worker(project) for _ in range(CLIENTS)]
    ledger = Ledger()

    with ThreadPoolExecutor(CLIENTS) as pool:
        done = [pool.submit(work, worker, project, n, ledger) for n, worker in enumerate(workers)]
        until(lambda: len(ledger.submitted) > 60, 30)
        os.kill(serving.servers()[0], signal.SIGKILL)
        until(lambda: len(ledger.submitted) > 150, 30)
        os.kill(serving.store(), signal.SIGKILL)
        until(lambda: len(ledger.submitted) > 240, 30)
        os.kill(serving.servers()[0], signal.SIGKILL)
        for one in done:
            one.result(60)

    serving.wait_for(200)

    # What was taken and never released comes back; all of it is closed in the end.
    def drained() -> bool:
        answer = send(workers[0], f"/task/get/{project}")
        if answer is not None and answer.body["ok"]:
            task = answer.body["content"]["task"]["id"]
            if workers[0].release(task):
                ledger.closed[task] += 1
            return False
        stats = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
        return bool(stats["waiting"] + stats["assigned"] == 0)

    until(drained, 30)
    assert len(ledger.submitted) == CLIENTS * EACH
    assert set(ledger.closed.values()) == {1}
    unheard = CLIENTS * EACH - len(ledger.closed)
    assert 0 <= unheard <= len(ledger.lost_releases - set(ledger.closed))
    closed = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]["counters"]["closed"]
    assert closed == CLIENTS * EACH
    fleet.close()
    assert serving.stop() == 0
