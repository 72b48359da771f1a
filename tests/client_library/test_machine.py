"""Functions hang, all tasks fail, or no thread starts: the worker does other tasks, or leaves them to others."""

import asyncio
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from broker.client import Fail, Task, Worker
from tests.client import Fleet
from tests.client_library.conftest import Producer, WorkerFile
from tests.client_library.running import counters, program, running, stats
from tests.serving import until


def error_of(fleet: Fleet, project: int) -> str:
    row = fleet.admin.get(f"/project/tasks/{project}?state=failed").content()["tasks"][0]
    found: str = row["error"]["message"]
    return found


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_one_task_of_eight_that_ends_its_program_ends_only_itself(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path, kind: str
) -> None:
    project = fleet.project()
    worker_file(project)
    submitter = producer(project)
    for recipe in ("SystemExit", "KeyboardInterrupt", "GeneratorExit", *map(str, range(16))):
        submitter.submit(project, recipe)
    text = """
import builtins, sys, time
from broker.client import Worker

worker = Worker(sys.argv[1], wait=0)

def act(task):
    if not task.recipe.isdecimal():
        raise getattr(builtins, task.recipe)

async def awaited(task):
    act(task)

worker.task(project=int(sys.argv[2]), concurrency=8)(awaited if sys.argv[3] == "async" else act)
worker.run()
print("ended")
"""

    with program(tmp_path, text, fleet.url, str(project), kind) as worker:
        until(lambda: (stats(fleet, project)["failed"], counters(fleet, project)["closed"]) == (3, 16))
        assert worker.process.poll() is None
        assert worker.end() == 0

    assert "ended" in worker.text()


@pytest.mark.parametrize("kind", ["async", "thread", "awaited after a thread"])
def test_a_task_whose_function_does_not_end_in_time_fails_and_the_next_one_is_done(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, kind: str
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for recipe in ("hangs", "ends", "ends"):
        submitter.submit(project, recipe)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    let_go = threading.Event()

    async def wait(task: Task) -> None:
        if task.recipe == "hangs":
            await asyncio.sleep(600)

    def block(task: Task) -> None:
        if task.recipe == "hangs":
            let_go.wait(30)

    function = {"async": wait, "thread": block, "awaited after a thread": lambda task: wait(task)}[kind]  # noqa: PLW0108
    worker.task(project=project, timeout=0.3)(function)  # type: ignore[type-var]
    with running(worker):
        until(lambda: (stats(fleet, project)["failed"], counters(fleet, project)["closed"]) == (1, 2))
        let_go.set()

    assert error_of(fleet, project) == "its function had not ended after 0.3 s"


def test_a_task_that_timed_out_is_not_extended(fleet: Fleet, worker_file: WorkerFile, producer: Producer) -> None:
    project = fleet.project()
    producer(project).submit(project, "hangs", max_retries=1)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    let_go = threading.Event()

    @worker.task(project=project, timeout=0.2)
    def block(task: Task) -> None:
        let_go.wait(30)

    with running(worker):
        until(lambda: stats(fleet, project)["failed"] == 1)
        assert stats(fleet, project)["assigned"] == 0
        let_go.set()
        time.sleep(0.2)

    # What it returned in the end is not a second result.
    assert counters(fleet, project)["closed"] == 0


def test_what_a_thread_hands_over_after_its_time_is_dropped_without_a_warning(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    producer(project).submit(project, "late")
    text = """
import sys, time
from broker.client import Worker

worker = Worker(sys.argv[1], wait=0)

async def late():
    print("began")

@worker.task(project=int(sys.argv[2]), timeout=0.2)
def act(task):
    time.sleep(1)
    print("handed over")
    return late()

worker.run()
"""

    with program(tmp_path, text, fleet.url, str(project)) as worker:
        until(lambda: "handed over" in worker.text())
        assert worker.end() == 0

    assert stats(fleet, project)["failed"] == 1
    assert "never awaited" not in worker.text()
    assert "began" not in worker.text()


def test_slots_of_functions_that_hang_for_ever_are_replaced_as_many_as_there_are_and_no_more(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for _ in range(7):
        submitter.submit(project, "hangs")
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    let_go, began = threading.Event(), threading.Semaphore(0)

    @worker.task(project=project, concurrency=2, timeout=0.2)
    def block(task: Task) -> None:
        began.release()
        if task.recipe == "hangs":
            let_go.wait(60)

    with running(worker):
        until(lambda: stats(fleet, project)["failed"] == 4)
        until(lambda: "the worker gets no more tasks until one of 4 hanging calls ends" in caplog.text)
        time.sleep(0.5)
        assert (stats(fleet, project)["failed"], stats(fleet, project)["assigned"]) == (4, 0)
        assert "4 calls were given up and still run; others take their places" in caplog.text
        let_go.set()
        until(lambda: counters(fleet, project)["closed"] == 3)


def test_a_function_that_catches_its_cancellation_keeps_the_worker_neither_from_work_nor_from_ending(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    submitter = producer(project)
    for recipe in ("hangs", "ends", "hangs"):
        submitter.submit(project, recipe)
    text = """
import asyncio, sys
from broker.client import Worker

worker = Worker(sys.argv[1], wait=0, grace=0.1)

@worker.task(project=int(sys.argv[2]), timeout=0.2)
async def act(task):
    while task.recipe == "hangs":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("not now")

worker.run()
print("ended")
"""

    with program(tmp_path, text, fleet.url, str(project)) as worker:
        until(lambda: (stats(fleet, project)["failed"], counters(fleet, project)["closed"]) == (2, 1))
        assert worker.end(seconds=10) == 0

    assert "ended" in worker.text()
    assert "2 functions go on after they were cancelled" in worker.text()


def test_threads_of_tasks_that_were_lost_count_as_well(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer
) -> None:
    project = fleet.project()
    submitter = producer(project)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    let_go, began = threading.Event(), threading.Semaphore(0)
    most = 0

    @worker.task(project=project)
    def block(task: Task) -> None:
        nonlocal most
        most = max(most, sum(thread.name.startswith("task-") for thread in threading.enumerate()))
        began.release()
        let_go.wait(60)

    with running(worker):
        for n in range(3):
            task_id = submitter.submit(project, str(n), max_assign_time=1)
            if n < 2:
                assert began.acquire(timeout=10)
                fleet.admin.post(f"/project/remove_task/{project}/{task_id}").content()
        time.sleep(1.5)
        assert stats(fleet, project)["waiting"] == 1
        let_go.set()
        until(lambda: counters(fleet, project)["closed"] == 1)

    assert most == 2


NO_THREADS = """
import re, resource, sys, threading, time
from pathlib import Path
from broker.client import Worker

worker = Worker(sys.argv[1], wait=0)

@worker.task(project=int(sys.argv[2]), concurrency=4)
def act(task):
    print("began", task.recipe)

def end_shortage():
    time.sleep(3)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

threading.Thread(target=end_shortage, daemon=True).start()
# There is memory for everything but the stack of a thread.
threading.stack_size(1 << 30)
_, hard = resource.getrlimit(resource.RLIMIT_AS)
size = int(re.search(r"VmSize:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (size + (512 << 20), hard))
worker.run()
"""


def test_a_task_whose_thread_cannot_start_is_given_back_and_done_later(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    submitter = producer(project)
    for n in range(4):
        submitter.submit(project, str(n))

    with program(tmp_path, NO_THREADS, fleet.url, str(project)) as worker:
        until(lambda: counters(fleet, project)["closed"] == 4, 20)
        assert worker.end() == 0

    assert (counters(fleet, project)["failed"], worker.text().count("began")) == (0, 4)
    assert 'is given back, as its function could not begin: RuntimeError("can\'t start new thread")' in worker.text()
    # With pauses of at least 0.2, 0.4, 0.8 and 1.6 s.
    assert 4 <= worker.text().count("could not begin") <= 24


def test_a_worker_that_runs_out_of_memory_between_two_calls_goes_on(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = fleet.project()
    producer(project).submit(project, "r")
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    refused: list[str] = []
    create = asyncio.create_task

    def create_task(coroutine: object, **options: object) -> object:
        if len(refused) < 2 and getattr(coroutine, "__name__", "") == "_work":
            refused.append("")
            coroutine.close()  # type: ignore[attr-defined]
            raise MemoryError
        return create(coroutine, **options)  # type: ignore[arg-type]

    @worker.task(project=project)
    async def act(task: Task) -> None: ...

    monkeypatch.setattr(asyncio, "create_task", create_task)
    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 1)

    assert (len(refused), counters(fleet, project)["assigned"]) == (2, 1)


def test_a_machine_where_everything_fails_slows_down_and_one_success_ends_that(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for n in range(40):
        submitter.submit(project, str(n), unique_string=str(n))
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    times: list[float] = []
    cured = threading.Event()

    @worker.task(project=project)
    async def act(task: Task) -> None:
        times.append(time.monotonic())
        if not cured.is_set():
            raise Fail("no disk")

    with running(worker):
        until(lambda: len(times) == 11, 40)
        cured.set()
        until(lambda: counters(fleet, project)["closed"] == 29, 40)

    pauses = [after - before for before, after in pairwise(times)]
    assert [pause > least for pause, least in zip(pauses[9:11], (0.9, 1.9), strict=True)] == [True] * 2
    assert max(pauses[:9] + pauses[11:]) < 4, "the next one would be of 4 s"
    assert "the last 11 tasks of project" in caplog.text
    assert caplog.text.count("has not failed: the pauses end") == 1
