"""A worker that is stopped or killed: its tasks are assigned to others."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from broker.client import Client, Credentials, NewTask, Worker
from tests.client import Fleet
from tests.client_library.conftest import Producer, WorkerFile
from tests.client_library.running import counters, program, stats
from tests.serving import until

WORKER = """
import asyncio, logging, os, sys, time
from broker.client import Worker

logging.basicConfig()
logging.getLogger("broker.client").setLevel("INFO")

url, project, kind, seconds, grace = sys.argv[1:]
worker = Worker(url, grace=float(grace), wait=0)

async def wait(task):
    print("began", task.recipe)
    await asyncio.sleep(float(seconds))

def block(task):
    print("began", task.recipe)
    time.sleep(float(seconds))

def exit_at_once(task):
    print("began", task.recipe, flush=True)
    if task.recipe == "poison":
        os._exit(9)

functions = {"async": wait, "thread": block, "exit": exit_at_once}
worker.task(project=int(project), concurrency=3, prefetch=2)(functions[kind])
worker.run()
print("ended")
"""


@pytest.mark.parametrize("kind", ["async", "thread"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_tasks_are_given_back_when_the_grace_is_over(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path, *, kind: str, number: signal.Signals
) -> None:
    project = fleet.project()
    worker_file(project)
    for n in range(7):
        producer(project).submit(project, str(n))

    with program(tmp_path, WORKER, fleet.url, str(project), kind, "60", "0.2") as worker:
        until(lambda: worker.text().count("began") == 3)
        assert stats(fleet, project)["assigned"] == 5
        assert worker.end(number) == 0

    assert "ended" in worker.text()
    assert (stats(fleet, project)["assigned"], stats(fleet, project)["waiting"]) == (0, 7)
    assert counters(fleet, project)["skipped"] == 5


def test_tasks_that_end_within_the_grace_are_released_and_tasks_that_have_not_begun_are_given_back(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    for n in range(7):
        producer(project).submit(project, str(n))

    with program(tmp_path, WORKER, fleet.url, str(project), "async", "2", "20") as worker:
        until(lambda: worker.text().count("began") == 3)
        assert worker.end() == 0

    assert worker.text().count("began") == 3
    assert (counters(fleet, project)["closed"], counters(fleet, project)["skipped"]) == (3, 2)
    assert stats(fleet, project)["waiting"] == 4


def test_a_second_signal_ends_the_grace(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    producer(project).submit(project, "long")

    with program(tmp_path, WORKER, fleet.url, str(project), "async", "60", "60") as worker:
        until(lambda: "began" in worker.text())
        worker.process.send_signal(signal.SIGTERM)
        until(lambda: "1 tasks still run: they are given back in 60 s" in worker.text())
        assert worker.end(seconds=10) == 0

    assert counters(fleet, project)["skipped"] == 1


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_ctrl_c_in_an_event_loop_of_the_program_gives_the_tasks_back(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path, kind: str
) -> None:
    project = fleet.project()
    worker_file(project)
    for n in range(4):
        producer(project).submit(project, str(n))
    text = WORKER.replace("worker.run()", "asyncio.run(worker.serve())")

    with program(tmp_path, text, fleet.url, str(project), kind, "60", "60") as worker:
        until(lambda: worker.text().count("began") == 3)
        assert worker.end(signal.SIGINT) != 0

    assert "KeyboardInterrupt" in worker.text()
    assert (stats(fleet, project)["waiting"], counters(fleet, project)["skipped"]) == (4, 4)


def test_a_worker_that_waits_for_a_broker_can_be_stopped(tmp_path: Path) -> None:
    with program(tmp_path, WORKER, "http://127.0.0.1:9", "1", "async", "1", "1") as worker:
        until(lambda: "is unavailable" in worker.text())
        assert worker.end() == 0


def test_the_next_run_of_a_killed_worker_gives_its_tasks_back(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    for n in range(3):
        producer(project).submit(project, str(n))

    with program(tmp_path, WORKER, fleet.url, str(project), "async", "60", "1") as first:
        until(lambda: first.text().count("began") == 3)
    with program(tmp_path, WORKER, fleet.url, str(project), "async", "0", "1"):
        until(lambda: counters(fleet, project)["closed"] == 3)

    assert (counters(fleet, project)["assigned"], counters(fleet, project)["reclaimed"]) == (6, 3)


def test_a_task_that_ends_its_worker_each_time_fails_after_max_reclaims(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project(max_reclaims=1)
    worker_file(project)
    producer(project).submit(project, "poison")

    for _ in range(2):
        with program(tmp_path, WORKER, fleet.url, str(project), "exit", "0", "1") as worker:
            assert worker.process.wait(20) == 9
    producer(project).submit(project, "next")
    with program(tmp_path, WORKER, fleet.url, str(project), "exit", "0", "1"):
        until(lambda: counters(fleet, project)["closed"] == 1)

    (failed,) = fleet.admin.get(f"/project/tasks/{project}?state=failed").content()["tasks"]
    assert (failed["recipe"], failed["error"]["message"]) == ("poison", "its workers never reported back")


def test_the_tasks_behind_one_that_ends_its_worker_each_time_are_done(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    submitter = producer(project)
    submitter.submit(project, "poison")
    for n in range(12):
        submitter.submit(project, str(n))

    # It ends the work on up to two others as well; with each run fewer are left.
    for _ in range(20):
        with program(tmp_path, WORKER, fleet.url, str(project), "exit", "0", "1") as worker:
            assert worker.process.wait(20) == 9
        if counters(fleet, project)["closed"] == 12:
            break

    assert counters(fleet, project)["closed"] == 12
    assert counters(fleet, project)["reclaimed"] >= 1
    assert "resumes" not in worker.text()


def test_all_that_a_killed_worker_has_left_is_given_back_and_counted(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project(max_reclaims=100)
    me = Credentials.load(worker_file(project))
    with Client(fleet.url, me) as client:
        client.submit_many(project, [NewTask(str(n), priority=1) for n in range(2500)])
        for _ in range(3):
            client.get_many(project, count=1000)
    assert stats(fleet, project)["assigned"] == 2500
    producer(project).submit(project, "new", priority=9)

    with program(tmp_path, WORKER, fleet.url, str(project), "async", "60", "1") as worker:
        until(lambda: worker.text().count("began") == 3)
        assert stats(fleet, project)["assigned"] == 5
        assert worker.end() == 0

    assert "began new" in worker.text()
    assert counters(fleet, project)["reclaimed"] == 2500


def test_the_tasks_of_a_killed_worker_are_back_after_its_lease(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    for seconds in (0, 3600, 2):
        producer(project).submit(project, str(seconds), max_assign_time=seconds)
    text = WORKER.replace("wait=0)", "wait=0, lease=3)")

    with program(tmp_path, text, fleet.url, str(project), "async", "60", "1") as worker:
        until(lambda: worker.text().count("began") == 3)
        time.sleep(4)
        assert (stats(fleet, project)["assigned"], counters(fleet, project)["reclaimed"]) == (3, 0)
        worker.process.kill()
        until(lambda: stats(fleet, project)["waiting"] == 3)


def test_a_task_is_held_for_a_minute_at_a_time(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    for seconds in (0, 3600, 30):
        producer(project).submit(project, str(seconds), max_assign_time=seconds)

    with program(tmp_path, WORKER, fleet.url, str(project), "async", "60", "0") as worker:
        until(lambda: worker.text().count("began") == 3)
        rows = fleet.admin.get(f"/project/tasks/{project}?state=assigned").content()["tasks"]
        assert worker.end() == 0

    left = {row["recipe"]: row["deadline"] - row["assign_time"] for row in rows}
    assert left == {"0": 60, "3600": 60, "30": 30}


@pytest.mark.parametrize("lease", [0, 86_401, 1.5])
def test_a_lease_is_from_a_second_to_a_day(lease: Any) -> None:
    with pytest.raises(ValueError, match="lease: whole seconds, from 1 to 86,400"):
        Worker("http://broker", lease=lease)


def test_programs_that_share_a_file_leave_each_others_tasks_alone(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    for n in range(5):
        producer(project).submit(project, str(n))

    with program(tmp_path, WORKER, fleet.url, str(project), "async", "60", "1"):
        until(lambda: stats(fleet, project)["assigned"] == 5)
        (tmp_path / "second").mkdir()
        (tmp_path / "second" / "worker.json").symlink_to(tmp_path / "worker.json")
        with program(tmp_path / "second", WORKER, fleet.url, str(project), "async", "0", "1") as second:
            producer(project).submit(project, "new")
            until(lambda: counters(fleet, project)["closed"] == 1)
            assert second.end() == 0

        assert second.text().count("began") == second.text().count("began new") == 1
        assert stats(fleet, project)["assigned"] == 5
