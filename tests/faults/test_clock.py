"""Wrong clocks: that of a broker's host does not matter; the store's counts, and may be set ahead or back."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from redis import Redis

from broker.settings import Settings
from tests.client import Caller, Fleet
from tests.servers import a_server
from tests.serving import Serving, until

HOUR = 3600


@pytest.fixture
def faketime() -> dict[str, str]:
    """The environment of a process whose clock is set, but not faster."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """A store whose clock is right."""
    with a_server(tmp_path / "store") as port:
        yield f"redis://127.0.0.1:{port}"


@pytest.fixture(params=["+1h", "-1h"])
def url(request: pytest.FixtureRequest, faketime: dict[str, str], store: str) -> Iterator[str]:
    """A server process whose clock is off by that. Without a supervisor: libfaketime breaks Python's own sleep."""
    settings = Settings(redis_url=store, session_ttl=HOUR / 2, sweep_interval=0.2)
    wrong = {**faketime, "FAKETIME": request.param}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "broker.server.process", str(listener.fileno())],
            env={**os.environ, **settings.environment(), **wrong},
            pass_fds=[listener.fileno()],
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        said = parsedate_to_datetime(httpx.get(f"{url}/healthz", timeout=20, verify=False).headers["Date"]).timestamp()
        assert abs(abs(said - time.time()) - HOUR) < 60
        yield url
    finally:
        process.terminate()
        process.wait(10)


def test_a_broker_whose_clock_is_off_by_an_hour_keeps_every_deadline_and_session(url: str) -> None:
    admin = Caller(url)
    admin.post("/register", {"username": "admin", "password": "a long password"}).content()
    fleet = Fleet(url, admin)
    project = fleet.project()
    worker = fleet.worker(project)
    long, short = worker.submit(project, max_assign_time=HOUR // 2), worker.submit(project, max_assign_time=1)

    taken = [worker.take(project), worker.take(project)]
    assert [task["id"] for task in taken] == [long, short]
    until(lambda: reclaimed(fleet, project) == 1)

    assert abs(taken[0]["assign_time"] - time.time()) < 60
    assert worker.release(short) is False
    assert worker.release(long) is True
    assert worker.take(project)["id"] == short
    assert admin.get("/account").content()["manager"]["username"] == "admin"
    fleet.close()
    admin.close()


class Shifted:
    """A broker with a store of its own, whose clock is moved."""

    def __init__(self, serving: Serving, offset: Path) -> None:
        self.serving = serving
        self._offset = offset
        admin = serving.admin()
        self.fleet = Fleet(serving.url, admin)

    def move(self, seconds: int) -> None:
        new = self._offset.with_suffix(".new")
        new.write_text(f"{seconds:+}")
        # The store may read it at any moment, and must not find it empty.
        new.rename(self._offset)
        with Redis.from_url(self.serving.redis_url) as redis:
            until(lambda: abs(redis.time()[0] - time.time() - seconds) < 5)


@pytest.fixture
def shifted(tmp_path: Path, faketime: dict[str, str]) -> Iterator[Shifted]:
    offset = tmp_path / "offset"
    offset.write_text("+0")
    wrong = {**faketime, "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1"}
    with a_server(tmp_path / "store", **wrong) as port:
        made = Shifted(
            Serving.start(tmp_path / "broker", redis_url=f"redis://127.0.0.1:{port}", snapshot_interval="1s"), offset
        )
        yield made
        made.fleet.close()
        assert made.serving.stop() == 0


def test_when_the_clock_of_the_store_is_set_ahead_what_is_overdue_comes_back_at_once(shifted: Shifted) -> None:
    fleet = shifted.fleet
    project = fleet.project()
    slow, other = fleet.worker(project), fleet.worker(project)
    short, long = slow.submit(project, max_assign_time=HOUR // 2), slow.submit(project, max_assign_time=2 * HOUR)
    assert [slow.take(project)["id"], slow.take(project)["id"]] == [short, long]

    shifted.move(HOUR)
    until(lambda: reclaimed(fleet, project) == 1)

    assert other.take(project)["id"] == short
    assert [slow.release(short), slow.release(long)] == [False, True]
    assert other.release(short) is True


def test_when_the_clock_of_the_store_is_set_back_a_rate_lets_tasks_through_as_before(shifted: Shifted) -> None:
    fleet = shifted.fleet
    project = fleet.project(submit_rate=0.01, assign_rate=0.01)
    worker = fleet.worker(project)
    worker.submit(project)
    first = worker.take(project)["id"]
    assert worker.post("/task/submit", {"project": project, "recipe": "r"}).code == "rate_limited"

    shifted.move(-HOUR)
    second = worker.submit(project)

    assert worker.take(project)["id"] == second
    assert worker.post("/task/submit", {"project": project, "recipe": "r"}).body["rate_limit_delay"] <= 100
    assert worker.get(f"/task/get/{project}").body["rate_limit_delay"] <= 100
    assert [worker.release(first), worker.release(second)] == [True, True]


def test_when_the_clock_of_the_store_is_set_back_held_tasks_and_snapshots_do_not_wait_for_it(shifted: Shifted) -> None:
    fleet = shifted.fleet
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, max_assign_time=3)
    worker.take(project)

    def snapshots() -> list[int]:
        content = fleet.anybody.get(f"/project/monitoring/{project}?count=9").content()
        return [row["time_stamp"] for row in content["snapshots"]]

    until(lambda: len(snapshots()) > 0)
    (before,) = snapshots()[-1:]

    shifted.move(-HOUR)
    until(lambda: reclaimed(fleet, project) == 1)
    until(lambda: snapshots()[0] < before)


def reclaimed(fleet: Fleet, project: int) -> int:
    counters = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]["counters"]
    return int(counters.get("reclaimed", 0))
