"""Server processes and the store are killed, or stand still, in the middle of a fleet's work: the books balance."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

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
        self.refused = 0

    def until_submitted(self, number: int) -> None:
        until(lambda: len(self.submitted) > number, 30)

    def until_refused(self, number: int) -> None:
        until(lambda: self.refused >= number, 30)


def send(worker: WorkerCaller, path: str, body: object = None, ledger: Ledger | None = None) -> Answer | None:
    """None when the answer was lost, or the broker said 503: whether it was done is not known."""
    try:
        answer = worker.get(path) if body is None else worker.post(path, body)
    except httpx.TransportError:
        return None
    assert answer.status in {200, 409, 503}, answer
    if answer.status != 503:
        return answer
    assert answer.headers["Retry-After"] == "1"
    if ledger is not None:
        with ledger.lock:
            ledger.refused += 1
    return None


def work(worker: WorkerCaller, project: int, number: int, ledger: Ledger) -> None:
    for n in range(EACH):
        hash64 = 1 + number * EACH + n
        body = {"project": project, "recipe": "r", "hash64": hash64, "max_assign_time": 1}
        while send(worker, "/task/submit", body, ledger) is None:
            pass
        # A duplicate is one whose answer was lost.
        with ledger.lock:
            ledger.submitted.add(hash64)
        got = send(worker, f"/task/get/{project}", None, ledger)
        if got is None or not got.body["ok"]:
            continue
        task = got.body["content"]["task"]["id"]
        released = send(worker, "/task/release", {"task_id": task, "result": 0}, ledger)
        with ledger.lock:
            if released is None:
                ledger.lost_releases.add(task)
            elif released.body["content"]["updated"]:
                ledger.closed[task] += 1


def kill(ledger: Ledger, serving: Serving) -> None:
    ledger.until_submitted(60)
    os.kill(serving.servers()[0], signal.SIGKILL)
    ledger.until_submitted(150)
    os.kill(serving.store(), signal.SIGKILL)
    ledger.until_submitted(240)
    os.kill(serving.servers()[0], signal.SIGKILL)


def stop_and_go_on(ledger: Ledger, serving: Serving) -> None:
    """The store stands still for longer than anybody waits for it, three times."""
    for submitted in (60, 150, 240):
        ledger.until_submitted(submitted)
        refused = ledger.refused
        os.kill(serving.store(), signal.SIGSTOP)
        try:
            # Each client has met it at least twice: calls that were under way, and calls that came later.
            ledger.until_refused(refused + 2 * CLIENTS)
        finally:
            os.kill(serving.store(), signal.SIGCONT)


@pytest.mark.parametrize("harm", [kill, stop_and_go_on])
def test_a_fleet_loses_nothing_acknowledged_and_does_nothing_twice(
    tmp_path: Path, harm: Callable[[Ledger, Serving], None]
) -> None:
    serving = Serving.start(tmp_path, workers=2, redis_timeout="300ms")
    admin = serving.caller()
    admin.post("/register", {"username": "admin", "password": "a long password"}).content()
    fleet = Fleet(serving.url, admin)
    project = fleet.project(remember_closed=-1)
    workers = [fleet.worker(project) for _ in range(CLIENTS)]
    ledger = Ledger()

    with ThreadPoolExecutor(CLIENTS) as pool:
        done = [pool.submit(work, worker, project, n, ledger) for n, worker in enumerate(workers)]
        harm(ledger, serving)
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
