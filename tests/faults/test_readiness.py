"""``/readyz`` says whether calls can be served: never a 200 without the store, and none once the broker shall stop."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.client import Caller
from tests.serving import Serving, until


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    running = Serving.start(tmp_path_factory.mktemp("readiness"))
    yield running
    assert running.stop() == 0


@pytest.fixture
def caller(own: Serving) -> Caller:
    return own.caller()


def not_ready(caller: Caller) -> str:
    """The message of the 503."""
    answer = caller.get("/readyz")
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "1")
    # The process lives all the same.
    assert caller.get("/healthz").status == 200
    return answer.message


def test_a_store_that_hangs_is_not_ready_within_a_second_and_ready_when_it_goes_on(
    own: Serving, caller: Caller
) -> None:
    assert caller.get("/readyz").body == {"ok": True}
    os.kill(own.store(), signal.SIGSTOP)
    try:
        asked = time.monotonic()
        assert not_ready(caller) == "The store does not answer"
        assert time.monotonic() - asked < 2
    finally:
        os.kill(own.store(), signal.SIGCONT)

    assert caller.get("/readyz").status == 200


def test_a_store_that_is_killed_is_not_ready_until_it_is_there_again(own: Serving, caller: Caller) -> None:
    os.kill(own.store(), signal.SIGKILL)

    assert not_ready(caller) == "The store cannot answer now"
    own.wait_for(200, "/readyz")


def test_a_store_that_is_full_is_ready_since_it_can_drain(own: Serving, caller: Caller) -> None:
    with Redis(unix_socket_path=str(own.store_socket())) as store:
        store.config_set("maxmemory", 1)
        assert caller.post("/worker/create").status == 503

        assert caller.get("/readyz").status == 200

        store.config_set("maxmemory", 0)


def test_a_broker_that_shall_stop_serves_on_for_the_drain_and_says_that_it_is_not_ready(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=2, drain="1.5s")
    caller = serving.caller()

    serving.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    until(lambda: caller.get("/readyz").status == 503)
    # New connections too, in either process.
    for _ in range(8):
        assert not_ready(serving.caller()) == "The broker is stopping"
        assert httpx.post(f"{serving.url}/worker/create", verify=False).status_code == 200

    assert serving.process.wait(10) == 0
    assert time.monotonic() - told >= 1.5
    assert serving.stop() == 0


def test_without_a_supervisor_nobody_drains_so_that_the_next_one_gets_the_port(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, drain="1h")

    serving.kill()

    host, _, port = serving.url.removeprefix("http://").partition(":")
    until(lambda: not listens(host, int(port)))


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True
