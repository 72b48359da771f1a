"""The store, or a proxy before it, accepts connections and closes them: it counts as unavailable."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.client import Fleet, WorkerCaller
from tests.faults.gate import Gate
from tests.servers import a_server
from tests.serving import Serving, until

SOON = 0.5
"""Seconds: far less than the second between two polls of the store."""

SHUT = 1.5
"""Seconds for which every connection is reset while calls come."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[int]:
    with a_server(tmp_path / "store") as port:
        yield port


@contextmanager
def a_broker(folder: Path, url: str, *, ready: bool = True) -> Iterator[Serving]:
    serving = Serving.start(folder / "broker", workers=2, ready=ready, redis_url=url)
    try:
        yield serving
    finally:
        assert serving.stop() == 0


class Callers:
    """Clients that call all the time, each call on a new connection, so that both processes get some."""

    def __init__(self, url: str, worker: WorkerCaller | None = None) -> None:
        self._url = url
        self._headers = dict(worker.http.headers) if worker else {"X-Worker-ID": "1", "X-Secret": f"{'A' * 43}="}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(4)]
        self.answers: list[tuple[int, str | None]] = []
        """Status and Retry-After."""

    def _call(self) -> None:
        with httpx.Client(base_url=self._url, headers={"Connection": "close"}, verify=False, timeout=20) as http:
            while not self._over.wait(0.02):
                for answer in (
                    http.get("/project/list"),
                    http.post("/worker/create", content='{"alias": "w"}'),
                    http.get("/task/get/1", headers=self._headers),
                ):
                    self.answers.append((answer.status_code, answer.headers.get("Retry-After")))

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)


def wait_in_both(serving: Serving, worker: WorkerCaller, project: int) -> None:
    """Lets a get wait in each of the processes, so that both subscribe."""

    def wait(_: int) -> int:
        url = f"{serving.url}/task/get/{project}?wait=1"
        return httpx.get(url, headers=worker.http.headers, timeout=20, verify=False).status_code

    with ThreadPoolExecutor(10) as pool:
        for _ in range(5):
            assert set(pool.map(wait, range(10))) == {200}
            if both_hear(serving):
                return
    raise AssertionError("one process was never asked")


def both_hear(serving: Serving) -> bool:
    """Whether both processes have subscribed."""
    with Redis.from_url(serving.redis_url, decode_responses=True) as redis:
        return len(redis.client_list(_type="pubsub")) == 2


def assert_waiting_gets_are_woken_promptly(worker: WorkerCaller, project: int) -> None:
    late = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(6):
            url, headers = f"{worker.http.base_url}/task/get/{project}?wait=20", worker.http.headers
            waiting = pool.submit(httpx.get, url, headers=headers, timeout=30, verify=False)
            time.sleep(0.1)
            task = worker.submit(project)
            submitted = time.monotonic()
            assert waiting.result(30).json()["content"]["task"]["id"] == task
            late.append(time.monotonic() - submitted)
    # One may be late on a busy machine; without notifications half of them would be.
    assert sorted(late)[-2] < SOON, late


def test_while_connections_are_reset_calls_get_503_and_after_that_all_goes_on(tmp_path: Path, store: int) -> None:
    with Gate(store).running() as gate, a_broker(tmp_path, gate.url) as serving:
        fleet = Fleet(serving.url, serving.admin())
        project = fleet.project()
        worker = fleet.worker(project)
        wait_in_both(serving, worker, project)

        with Callers(serving.url, worker) as callers:
            time.sleep(0.2)
            gate.shut()
            time.sleep(SHUT)
            gate.open()
            serving.wait_for(200)

        assert {status for status, _ in callers.answers} <= {200, 503}
        refused = [seconds for status, seconds in callers.answers if status == 503]
        assert refused
        assert set(refused) == {"1"}

        until(lambda: both_hear(serving))
        assert_waiting_gets_are_woken_promptly(worker, project)
        assert re.search(
            r"the store cannot be reached: .+\n(.*\n)*.*the store is reached again", serving.log.read_text()
        )
        assert "Traceback" not in serving.log.read_text()
        fleet.close()


@pytest.mark.slow
def test_a_broker_that_starts_while_connections_are_reset_is_ready_when_they_are_not(
    tmp_path: Path, store: int
) -> None:
    with Gate(store).running() as gate:
        gate.shut()
        with a_broker(tmp_path, gate.url, ready=False) as serving:
            serving.wait_for(503)
            with Callers(serving.url) as callers:
                time.sleep(SHUT)
            assert set(callers.answers) == {(503, "1")}
            assert len(serving.servers()) == 2
            assert "the store cannot be reached: " in serving.log.read_text()

            # Now it is a real server that hangs up.
            with Redis(port=store) as redis:
                redis.config_set("maxclients", 1)
                gate.open()
                until(lambda: "max number of clients reached" in serving.log.read_text())
                serving.wait_for(503, "/readyz")
                redis.config_set("maxclients", 100)
            # Ten connections: each process is asked.
            for _ in range(10):
                serving.wait_for(200, "/readyz")
            fleet = Fleet(serving.url, serving.admin())
            project = fleet.project()
            worker = fleet.worker(project)
            wait_in_both(serving, worker, project)
            assert_waiting_gets_are_woken_promptly(worker, project)
            assert "Traceback" not in serving.log.read_text()
            fleet.close()


def test_a_store_that_has_all_the_clients_it_may_have_is_away_until_it_takes_more(tmp_path: Path, store: int) -> None:
    with Redis(port=store) as redis, a_broker(tmp_path, f"redis://127.0.0.1:{store}") as serving:
        fleet = Fleet(serving.url, serving.admin())
        project = fleet.project()
        worker = fleet.worker(project)
        wait_in_both(serving, worker, project)

        redis.config_set("maxclients", 1)
        redis.client_kill_filter(skipme=True)
        with Callers(serving.url, worker) as callers:
            time.sleep(SHUT)
        redis.config_set("maxclients", 100)
        assert set(callers.answers) == {(503, "1")}

        serving.wait_for(200)
        until(lambda: both_hear(serving))
        assert_waiting_gets_are_woken_promptly(worker, project)
        assert "the store cannot be reached: the store closed the connection: ERR max number of clients reached" in (
            serving.log.read_text()
        )
        assert "Traceback" not in serving.log.read_text()
        fleet.close()
