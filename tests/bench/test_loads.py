"""The driver against a real broker: every load is answered rightly, and what is wrong is counted."""

import os
import signal
import threading
from collections.abc import Iterator

import msgspec
import pytest

from bench.crowd import Crowd
from bench.job import Job, Worker
from bench.load import BATCH, BULK
from bench.measure import drive
from bench.servers import broker, noop


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    with broker() as served, Crowd(served, workers=2) as made:
        yield made


@pytest.mark.parametrize("load", ["submit", "get_release", "bulk_submit", "bulk_submit_unhashed", "batch"])
def test_each_load_is_carried_out(crowd: Crowd, load: str) -> None:
    project = crowd.project()
    if load in {"get_release", "batch"}:
        crowd.fill(project, 40_000)
    before = crowd.stats(project)

    run = drive(crowd.broker, crowd.job(load, 0.3, [project], connections=4))

    counters = crowd.stats(project)["counters"]
    assert run.errors == {}
    assert 0 < run.latency["p50"] <= run.latency["p99"] <= run.latency["max"]
    assert run.server_us > 0
    assert run.store_us > 0
    done = "submitted" if "submit" in load else "closed"
    assert counters[done] - before["counters"].get(done, 0) == pytest.approx(run.tasks * run.seconds, abs=1)


def test_a_poll_finds_nothing_and_that_is_right(crowd: Crowd) -> None:
    assert drive(crowd.broker, crowd.job("poll", 0.2, [crowd.project()], connections=4)).errors == {}


def test_what_goes_wrong_is_counted(crowd: Crowd) -> None:
    project = crowd.project()

    dry = drive(crowd.broker, crowd.job("get_release", 0.2, [project], connections=2))
    stranger = msgspec.structs.replace(crowd.job("submit", 0.2, [project]), workers=[Worker(1, "c2VjcmV0")])
    unknown = drive(crowd.broker, stranger)

    assert list(dry.errors) == ["no task"]
    assert list(unknown.errors) == ["401"]
    assert unknown.errors["401"] == pytest.approx(unknown.calls * unknown.seconds, abs=1)


def test_a_fill_is_exact_and_spread_over_drivers(crowd: Crowd) -> None:
    project = crowd.project()

    crowd.fill(project, 3 * BULK)
    crowd.fill(project, 2 * BULK)

    assert crowd.stats(project)["waiting"] == 3 * BULK
    shared = drive(crowd.broker, crowd.job("submit", 5, [project], connections=5, calls=BATCH), drivers=2)
    assert shared.errors == {}
    assert crowd.stats(project)["waiting"] == pytest.approx(3 * BULK + BATCH, abs=1)


def test_an_open_loop_sends_what_is_due_and_counts_from_then() -> None:
    with noop() as idle:
        run = drive(idle, Job(port=idle.port, load="noop", seconds=0.5, connections=8, rate=400))

    assert run.calls * run.seconds == pytest.approx(200, abs=2)
    assert run.latency["p50"] >= run.late["p50"] > 0
    assert run.store_us == 0


def test_a_server_that_dies_is_an_error_for_each_connection() -> None:
    with noop() as idle:
        death = threading.Timer(0.5, os.kill, [idle.servers[0], signal.SIGKILL])
        death.start()
        run = drive(idle, Job(port=idle.port, load="noop", seconds=3, connections=8))

    assert run.errors == {"connection lost": 8}
    assert run.seconds < 2
