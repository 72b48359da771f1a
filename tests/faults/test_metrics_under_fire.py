"""Counts survive the death of processes, and are shown while the store is away."""

import os
import signal
from collections.abc import Iterator

import httpx
import pytest
from redis import Redis

from tests.prometheus import Metrics
from tests.serving import Serving, until


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    running = Serving.start(tmp_path_factory.mktemp("metrics"), workers=2, redis_timeout="0.5s")
    yield running
    assert running.stop() == 0


def test_nothing_that_was_counted_is_lost_when_every_process_is_killed_and_replaced(own: Serving) -> None:
    counted = {"route": "/worker/get/{id}", "status": 400}
    for _ in range(20):
        assert httpx.get(f"{own.url}/worker/get/0", verify=False).status_code == 400
    with httpx.Client(base_url=own.url, verify=False) as client, client.stream("GET", "/ui/static/none/none"):
        for victim in own.servers():
            before = Metrics.of(own.url)
            os.kill(victim, signal.SIGKILL)
            until(lambda victim=victim: victim not in own.servers() and len(own.servers()) == 2)  # type: ignore[misc]
            own.wait_for(200, "/healthz")

            after = Metrics.of(own.url)
            assert after("requests_total", **counted) == before("requests_total", **counted) == 20
            assert after("store_writes_total") >= before("store_writes_total")
            for sample in before.samples:
                if sample.name.endswith(("_total", "_count", "_sum", "_bucket")):
                    assert after(sample.name.removeprefix("broker_"), **sample.labels) >= sample.value

    # The new processes count on.
    httpx.get(f"{own.url}/worker/get/0", verify=False)
    assert Metrics.of(own.url)("requests_total", **counted) == 21


def test_what_was_in_flight_in_a_process_that_died_is_not_any_more(own: Serving) -> None:
    quiet = Metrics.of(own.url)("requests_in_flight")
    caller = own.caller()

    def half() -> Iterator[bytes]:
        yield b"{"
        until(lambda: Metrics.of(own.url)("requests_in_flight") > quiet)
        for victim in own.servers():
            os.kill(victim, signal.SIGKILL)
        raise ConnectionError

    victims = own.servers()
    with pytest.raises(ConnectionError):
        caller.http.post("/worker/create", content=half())

    until(lambda: len(set(own.servers()) - set(victims)) == 2)
    own.wait_for(200, "/healthz")
    until(lambda: Metrics.of(own.url)("requests_in_flight") == quiet)


def test_while_the_store_hangs_the_processes_and_its_absence_are_shown(own: Serving) -> None:
    before = Metrics.of(own.url)
    assert before("store_up") == 1
    os.kill(own.store(), signal.SIGSTOP)
    try:
        until(lambda: Metrics.of(own.url)("store_up") == 0)
        away = Metrics.of(own.url)
    finally:
        os.kill(own.store(), signal.SIGCONT)

    assert away("requests_total", route="/metrics", status=200) > before("requests_total", route="/metrics", status=200)
    assert away("store_unanswered_total") > before("store_unanswered_total")
    assert not any(sample.name == "broker_store_memory_used_bytes" for sample in away.samples)
    until(lambda: Metrics.of(own.url)("store_up") == 1)


def test_how_full_the_store_is(own: Serving) -> None:
    with Redis(unix_socket_path=str(own.store_socket())) as store:
        store.config_set("maxmemory", "1gb")
        try:
            assert Metrics.of(own.url)("store_memory_max_bytes") == 1 << 30
        finally:
            store.config_set("maxmemory", 0)

    metrics = Metrics.of(own.url)
    assert metrics("store_memory_used_bytes") > 1 << 20
    assert metrics("store_up") == 1
