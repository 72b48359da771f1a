"""Functions that start processes: what happens to a child does not happen to the worker."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.client import Fleet
from tests.client_library.conftest import Producer, WorkerFile
from tests.client_library.running import Program, counters, program, stats
from tests.serving import until

POOL = """
import logging, multiprocessing, os, sys, time
from broker.client import Worker

url, project, kind, method, seconds = sys.argv[1:]

def square(n):
    print("child", os.getpid(), flush=True)
    time.sleep(float(seconds))
    return n * n

def act(task):
    print("began", task.recipe, flush=True)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert sum(pool.map(square, range(4))) == 14

async def act_async(task):
    act(task)

if __name__ == "__main__":
    logging.basicConfig()
    logging.getLogger("broker.client").setLevel("INFO")
    worker = Worker(url, wait=0, grace=20)
    worker.task(project=int(project), concurrency=2)({"async": act_async, "thread": act}[kind])
    worker.run()
    print("ended")
"""

START = "import os, sys; os.setsid(); os.execv(sys.executable, [sys.executable, 'pool.py', *sys.argv[1:]])"
"""In a process group of its own, as a shell starts it; from a file, which the children import that are spawned."""


@contextmanager
def a_pool(folder: Path, *arguments: object) -> Iterator[Program]:
    (folder / "pool.py").write_text(POOL)
    with program(folder, START, *map(str, arguments)) as started:
        try:
            yield started
        finally:
            # Spawned children of a worker that is killed would wait for it.
            with suppress(ProcessLookupError):
                os.killpg(started.process.pid, signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["async", "thread"])
def test_the_end_of_a_pool_does_not_stop_the_worker(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path, *, kind: str, method: str
) -> None:
    project = fleet.project()
    worker_file(project)
    for n in range(3):
        producer(project).submit(project, str(n))

    with a_pool(tmp_path, fleet.url, project, kind, method, 0) as worker:
        until(lambda: counters(fleet, project)["closed"] == 3, 60)
        producer(project).submit(project, "one more")
        until(lambda: counters(fleet, project)["closed"] == 4, 60)
        assert worker.process.poll() is None
        assert worker.end() == 0

    assert "ended" in worker.text()
    assert stats(fleet, project)["failed"] == 0


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_ctrl_c_to_all_processes_is_one_signal_and_the_children_finish(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path, kind: str
) -> None:
    project = fleet.project()
    worker_file(project)
    producer(project).submit(project, "r")

    with a_pool(tmp_path, fleet.url, project, kind, "fork", 1) as worker:
        until(lambda: worker.text().count("child") >= 2)
        os.killpg(worker.process.pid, signal.SIGINT)
        assert worker.process.wait(20) == 0

    assert "ended" in worker.text()
    assert "Traceback" not in worker.text()
    assert (counters(fleet, project)["closed"], counters(fleet, project)["skipped"]) == (1, 0)


def test_a_signal_to_a_child_is_not_one_to_the_worker(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    for recipe in ("0", "1"):
        producer(project).submit(project, recipe)
    text = """
import os, signal, sys, time
from broker.client import Worker

worker = Worker(sys.argv[1], wait=0)

@worker.task(project=int(sys.argv[2]))
async def act(task):
    if child := os.fork():
        os.kill(child, signal.SIGTERM)  # it may come before the child has done anything
        print("ended by", os.waitpid(child, 0)[1])
    else:
        time.sleep(60)
        os._exit(1)

worker.run()
"""

    with program(tmp_path, text, fleet.url, str(project)) as worker:
        until(lambda: counters(fleet, project)["closed"] == 2, 20)
        assert worker.process.poll() is None
        assert worker.end() == 0

    assert worker.text().count(f"ended by {signal.SIGTERM.value}\n") == 2


def test_a_child_that_outlives_its_worker_keeps_nobody_from_the_tasks(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, tmp_path: Path
) -> None:
    project = fleet.project()
    worker_file(project)
    producer(project).submit(project, "r")
    text = """
import os, sys, time
from broker.client import Worker

worker = Worker(sys.argv[1], wait=0)

@worker.task(project=int(sys.argv[2]))
def act(task):
    if task.retries == 0 and len(sys.argv) == 4 and not os.fork():
        os.setsid()
        print("child", os.getpid(), flush=True)
        time.sleep(60)
        os._exit(0)
    time.sleep(60 if len(sys.argv) == 4 else 0)

worker.run()
"""

    with program(tmp_path, text, fleet.url, str(project), "fork") as first:
        until(lambda: "child" in first.text())
    child = int(first.text().split()[1])
    try:
        with program(tmp_path, text, fleet.url, str(project)):
            until(lambda: counters(fleet, project)["closed"] == 1)
    finally:
        os.kill(child, signal.SIGKILL)

    assert counters(fleet, project)["reclaimed"] == 1
