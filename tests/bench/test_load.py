"""The driver against a real broker: every load is answered rightly, and what is wrong is counted."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from bench.load import BATCH, BULK, KNOWN, LINKS, Job, Worker
from bench.measure import cpu_of, drive, fill
from bench.servers import Broker, broker, noop


@pytest.fixture(scope="module")
def served() -> Iterator[Broker]:
    with broker(workers=2) as made:
        yield made


@pytest.mark.parametrize("load", ["submit", "get_release", "bulk_submit", "bulk_submit_unhashed", "batch"])
def test_each_load_is_carried_out(served: Broker, load: str) -> None:
    project = served.project()
    if load in {"get_release", "batch"}:
        fill(served, project, 40_000)
    before = served.stats(project)

    run = drive(served, served.job(load, 0.3, [project], connections=4))

    counters = served.stats(project)["counters"]
    assert run.errors == {}
    assert 0 < run.latency["p50"] <= run.latency["p99"] <= run.latency["max"]
    assert run.server_us > 0
    assert run.store_us > 0
    done = "submitted" if "submit" in load else "closed"
    assert counters[done] - before["counters"].get(done, 0) == pytest.approx(run.tasks * run.seconds, abs=1)


@pytest.mark.parametrize("load", ["page", "turn", "page_known", "turn_known", "turn_of_one"])
def test_pages_are_crawled(served: Broker, load: str) -> None:
    project, connections = served.project(remember_closed=-1), 4
    fill(served, project, BULK)

    run = drive(served, served.job(load, 0.3, [project], connections=connections))

    stats, pages = served.stats(project), round(run.tasks * run.seconds)
    assert run.errors == {}
    assert stats["counters"]["assigned"] == pages
    assert stats["counters"]["closed"] >= pages - connections
    links = 1 if load == "turn_of_one" else LINKS
    new = links - KNOWN if "known" in load else links
    submitted = stats["counters"]["submitted"] - BULK
    first = connections * (links - new)
    # In three calls, the last page of a connection may end before its get.
    assert pages * new <= submitted <= (pages + connections) * new + first


def test_a_poll_finds_nothing_and_that_is_right(served: Broker) -> None:
    assert drive(served, served.job("poll", 0.2, [served.project()], connections=4)).errors == {}


def test_what_goes_wrong_is_counted(served: Broker) -> None:
    project = served.project()

    dry = drive(served, served.job("get_release", 0.2, [project], connections=2))
    stranger = msgspec.structs.replace(served.job("submit", 0.2, [project]), workers=(Worker(1, "c2VjcmV0"),))
    unknown = drive(served, stranger)

    assert list(dry.errors) == ["no task"]
    assert list(unknown.errors) == ["401"]
    assert unknown.errors["401"] == pytest.approx(unknown.calls * unknown.seconds, abs=1)


def test_a_fill_is_exact_and_spread_over_drivers(served: Broker) -> None:
    project = served.project()

    fill(served, project, 3 * BULK)
    fill(served, project, 2 * BULK)

    assert served.stats(project)["waiting"] == 3 * BULK
    shared = drive(served, served.job("submit", 5, [project], connections=5, calls=BATCH), drivers=2)
    assert shared.errors == {}
    assert served.stats(project)["waiting"] == pytest.approx(3 * BULK + BATCH, abs=1)


def test_an_open_loop_sends_what_is_due_and_counts_from_then() -> None:
    with noop() as idle:
        run = drive(idle, Job(port=idle.port, load="noop", seconds=0.5, connections=8, rate=400))

    assert run.calls * run.seconds == pytest.approx(200, abs=2)
    assert run.latency["p50"] >= run.late["p50"] > 0
    assert run.store_us == 0


def test_a_server_that_dies_is_an_error_for_each_connection() -> None:
    with noop() as idle:
        threading.Thread(target=_kill_when_busy, args=idle.servers).start()
        run = drive(idle, Job(port=idle.port, load="noop", seconds=3, connections=8))

    assert run.errors == {"connection lost": 8}
    assert run.seconds < 2


def _kill_when_busy(process: int) -> None:
    """When it has served for a while: on a busy machine, a driver starts late."""
    idle = cpu_of(process)
    while cpu_of(process) < idle + 0.05:
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
