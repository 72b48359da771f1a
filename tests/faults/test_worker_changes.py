"""What was changed of a worker holds in every server process when the call answers, whatever the store does."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.client import Answer, Fleet, WorkerCaller
from tests.serving import Serving

CONNECTIONS = 16
"""So many that both processes have some."""

STOPPED = 0.4
"""Seconds: eight times as long as a record holds."""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    running = Serving.start(tmp_path_factory.mktemp("changes"), workers=2)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def own(serving: Serving) -> Iterator[Fleet]:
    admin = serving.admin()
    fleet = Fleet(serving.url, admin)
    yield fleet
    fleet.close()


class Asking:
    """Many connections that ask for a task all the time, as one worker, and when each question was put."""

    def __init__(self, own: Fleet, worker: WorkerCaller, project: int) -> None:
        self._callers = [
            WorkerCaller(own.url, {"id": worker.id, "alias": worker.alias, "secret": worker.secret})
            for _ in range(CONNECTIONS)
        ]
        self._project = project
        self._end = threading.Event()
        self.answers: list[tuple[float, Answer]] = []
        self._pool = ThreadPoolExecutor(CONNECTIONS)

    def __enter__(self) -> "Asking":
        self._asking = [self._pool.submit(self._ask, caller) for caller in self._callers]
        return self

    def _ask(self, caller: WorkerCaller) -> None:
        while not self._end.is_set():
            asked = time.monotonic()
            self.answers.append((asked, caller.get(f"/task/get/{self._project}")))

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for asking in self._asking:
            asking.result(20)
        self._pool.shutdown()
        for caller in self._callers:
            caller.close()

    def since(self, moment: float) -> list[Answer]:
        """The answers to what was asked after ``moment``, at least some on each connection."""
        wanted = len(self.answers) + 10 * CONNECTIONS
        deadline = time.monotonic() + 10
        while len(self.answers) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        return [answer for asked, answer in list(self.answers) if asked > moment]


def change(serving: Serving, call: Callable[[], Answer], *, stopped: bool) -> float:
    """Makes a change, with the store stopped at first or not; when it was answered."""
    if not stopped:
        call().content()
        return time.monotonic()
    store = serving.store()
    os.kill(store, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as pool:
            changing = pool.submit(call)
            time.sleep(STOPPED)
            assert not changing.done()
            os.kill(store, signal.SIGCONT)
            changing.result(20).content()
            return time.monotonic()
    finally:
        os.kill(store, signal.SIGCONT)


@pytest.mark.parametrize("stopped", [False, True], ids=["the store runs", "the store stops meanwhile"])
def test_a_paused_worker_gets_nothing_from_any_process_once_the_call_has_answered(
    own: Fleet, serving: Serving, stopped: bool
) -> None:
    project = own.project()
    worker = own.worker(project)
    with Asking(own, worker, project) as asking:
        paused = change(
            serving,
            lambda: own.admin.post("/worker/set_paused", {"worker": worker.id, "paused": True}),
            stopped=stopped,
        )
        after = asking.since(paused)
        assert {answer.code for answer in after} == {"worker_paused"}

        goes_on = change(
            serving,
            lambda: own.admin.post("/worker/set_paused", {"worker": worker.id, "paused": False}),
            stopped=stopped,
        )
        after = asking.since(goes_on)

    assert {answer.code for answer in after} == {"no_task"}


@pytest.mark.parametrize("stopped", [False, True], ids=["the store runs", "the store stops meanwhile"])
def test_an_old_secret_ends_in_every_process_once_the_call_has_answered(
    own: Fleet, serving: Serving, stopped: bool
) -> None:
    project = own.project()
    worker = own.worker(project)
    with Asking(own, worker, project) as asking:
        rotated = change(serving, lambda: worker.post("/worker/rotate_secret"), stopped=stopped)
        after = asking.since(rotated)

    assert {(answer.status, answer.code) for answer in after} == {(403, "bad_credentials")}


@pytest.mark.parametrize("stopped", [False, True], ids=["the store runs", "the store stops meanwhile"])
def test_a_new_name_is_shown_by_every_process_once_the_call_has_answered(
    own: Fleet, serving: Serving, stopped: bool
) -> None:
    worker = own.worker()
    change(serving, lambda: worker.post("/worker/update", {"alias": "renamed"}), stopped=stopped)

    for _ in range(CONNECTIONS):
        other = serving.caller()
        assert other.get(f"/worker/get/{worker.id}").content()["worker"]["alias"] == "renamed"
