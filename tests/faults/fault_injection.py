"""A fleet that works while faults are caused, and a ledger of what it was told."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from tests.client import Answer, Caller, Fleet, WorkerCaller
from tests.serving import Serving, until

CLIENTS = 6
EACH = 60
"""Tasks that each client submits at least; it goes on until the harm is done."""

MOST = 20_000


@dataclass
class Ledger:
    """What the clients were answered, and when."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    harmed: threading.Event = field(default_factory=threading.Event)
    project: int = 0
    submitted: dict[int, float] = field(default_factory=dict)
    """When it was acknowledged, by hash."""
    closed: Counter[int] = field(default_factory=Counter)
    closed_at: dict[int, float] = field(default_factory=dict)
    """When it was first acknowledged."""
    lost_releases: set[int] = field(default_factory=set)
    refused: int = 0
    longest_refusal: float = 0.0
    """Seconds in which a client heard nothing but 503."""

    def until_submitted(self, number: int) -> None:
        until(lambda: len(self.submitted) > number, 30)

    def until_refused(self, number: int) -> None:
        until(lambda: self.refused >= number, 30)


Harm = Callable[[Ledger, Serving], None]


class Client:
    """Submits, gets and releases, and notes the answers."""

    def __init__(self, worker: Caller, number: int, ledger: Ledger) -> None:
        self._worker = worker
        self._first = 1 + number * MOST
        self._ledger = ledger
        self._refused_since: float | None = None

    def work(self) -> None:
        for n in range(MOST):
            if n >= EACH and self._ledger.harmed.is_set():
                return
            self._submit(self._first + n)
            self._take_and_release()

    def _submit(self, hash64: int) -> None:
        ledger = self._ledger
        body = {"project": ledger.project, "recipe": "r", "hash64": hash64, "max_assign_time": 1, "max_retries": 9}
        # Some begin with a delay.
        body |= {"delay": 0.05} if hash64 % 7 == 0 else {}
        begun = time.monotonic()
        while self.send("/task/submit", body) is None:
            assert time.monotonic() - begun < 60, "no submit was acknowledged for a minute"
            time.sleep(0.01)
        # A duplicate is one whose answer was lost.
        with ledger.lock:
            ledger.submitted[hash64] = time.monotonic()

    def _take_and_release(self) -> None:
        ledger = self._ledger
        got = self.send(f"/task/get/{ledger.project}")
        if got is None or not got.body["ok"]:
            return
        found = got.body["content"]["task"]
        task, fails = found["id"], found["id"] // 100_000 % 5 == 0 and found["retries"] == 0
        released = self.send("/task/release", {"task_id": task, "result": int(fails), "message": "a first attempt"})
        with ledger.lock:
            if fails:
                pass
            elif released is None:
                ledger.lost_releases.add(task)
            elif released.body["content"]["updated"]:
                ledger.closed[task] += 1
                ledger.closed_at.setdefault(task, time.monotonic())

    def send(self, path: str, body: object = None) -> Answer | None:
        """None if the answer was lost or was a 503: it is not known whether the call was carried out."""
        try:
            answer = self._worker.get(path) if body is None else self._worker.post(path, body)
        except httpx.TransportError:
            return None
        assert answer.status in {200, 409, 503}, answer
        self._note(answer.status == 503)
        if answer.status != 503:
            return answer
        assert answer.headers["Retry-After"] == "1"
        return None

    def _note(self, refused: bool) -> None:
        now = time.monotonic()
        since, self._refused_since = self._refused_since, (self._refused_since or now) if refused else None
        with self._ledger.lock:
            self._ledger.refused += refused
            if since is not None:
                self._ledger.longest_refusal = max(self._ledger.longest_refusal, now - since)


def endure(serving: Serving, admin: Caller, harm: Harm, gap: Callable[[], tuple[float, float]] | None = None) -> Ledger:
    """A fleet works while ``harm`` is done; afterwards all tasks are closed, and the ledger balances.

    ``gap``: between these times acknowledged changes may be lost; by default never.
    """
    fleet = Fleet(serving.url, admin)
    ledger = Ledger(project=fleet.project(remember_closed=-1, retry_delay=0.05))
    workers = [fleet.worker(ledger.project) for _ in range(CLIENTS)]
    clients = [Client(worker, number, ledger) for number, worker in enumerate(workers)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(client.work) for client in clients]
        try:
            harm(ledger, serving)
        finally:
            ledger.harmed.set()
        for one in working:
            one.result(60)
    serving.wait_for(200)
    lost = _submitted_again(clients[0], ledger)
    _close_all(workers[0], clients[0], ledger)
    _balance(ledger, fleet, lost, gap() if gap else (0.0, 0.0))
    fleet.close()
    return ledger


def _submitted_again(client: Client, ledger: Ledger) -> list[float]:
    """When the tasks were acknowledged that the broker has lost."""
    lost = []
    for hash64, acknowledged in ledger.submitted.items():
        answer = client.send("/task/submit", {"project": ledger.project, "recipe": "r", "hash64": hash64})
        assert answer is not None
        if answer.status == 200:
            lost.append(acknowledged)
    return lost


def _close_all(worker: WorkerCaller, client: Client, ledger: Ledger) -> None:
    """Tasks that were never released come back, and are closed in the end."""

    def drained() -> bool:
        while (answer := client.send(f"/task/get/{ledger.project}")) is not None and answer.body["ok"]:
            task = answer.body["content"]["task"]["id"]
            if worker.release(task):
                ledger.closed[task] += 1
        stats = worker.get(f"/project/stats/{ledger.project}").content()["stats"]
        return bool(stats["waiting"] + stats["assigned"] + stats["delayed"] == 0)

    until(drained, 60)


def _balance(ledger: Ledger, fleet: Fleet, lost: list[float], gap: tuple[float, float]) -> None:
    begun, ended = gap
    assert all(begun <= when <= ended for when in lost)
    again = [task for task, times in ledger.closed.items() if times > 1]
    assert all(begun <= ledger.closed_at[task] <= ended for task in again)
    counters = fleet.anybody.get(f"/project/stats/{ledger.project}").content()["stats"]["counters"]
    assert counters["closed"] == len(ledger.submitted)
    if not lost and not again:
        unheard = len(ledger.submitted) - len(ledger.closed)
        assert 0 <= unheard <= len(ledger.lost_releases - set(ledger.closed))
