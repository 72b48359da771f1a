"""Answers are lost, and the server or the store is killed: a worker continues, and no task is lost."""

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.client import Client, Credentials, Fail, NewTask, Task, Unreachable, Worker
from tests.client import Fleet
from tests.client_library.conftest import Producer, WorkerFile
from tests.client_library.proxy import Proxy, a_proxy
from tests.client_library.running import counters, running, stats
from tests.serving import Serving, free_port, until


def test_a_submit_with_a_hash_is_repeated_when_its_answer_was_lost_and_is_there_once(
    fleet: Fleet, worker_file: WorkerFile, proxy: Proxy
) -> None:
    project = fleet.project()
    proxy.lose("/task/submit")
    proxy.lose("/task/bulk_submit")
    with Client(proxy.url, Credentials.load(worker_file(project))) as client:
        # The repeat is a duplicate of the first attempt, whose answer was lost.
        assert client.submit(project, "a", unique_string="a") is None
        assert (
            client.submit_many(project, [NewTask("a", unique_string="a"), NewTask("b", unique_string="b")])[1] is None
        )
        assert proxy.count("/task/submit") == 2

    assert stats(fleet, project)["waiting"] == 2


def test_a_submit_without_a_hash_is_not_repeated(fleet: Fleet, worker_file: WorkerFile, proxy: Proxy) -> None:
    project = fleet.project()
    proxy.lose("/task/submit")
    with Client(proxy.url, Credentials.load(worker_file(project))) as client, pytest.raises(Unreachable) as unreachable:
        client.submit(project, "a")

    assert unreachable.value.sent
    assert stats(fleet, project)["waiting"] == 1


def test_tasks_of_a_get_whose_answer_was_lost_are_done(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy
) -> None:
    project = fleet.project()
    for n in range(4):
        producer(project).submit(project, str(n))
    proxy.lose("/task/get")
    worker = Worker(proxy.url, file=worker_file(project), wait=0)
    seen: Counter[str] = Counter()

    @worker.task(project=project, concurrency=4)
    async def work(task: Task) -> None:
        seen[task.recipe] += 1

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 4)

    assert seen == Counter("0123")
    assert counters(fleet, project)["assigned"] == 4


def test_releases_whose_answer_was_lost_are_repeated_and_a_task_that_came_again_is_not_failed_twice(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy
) -> None:
    project = fleet.project()
    producer(project).submit(project, "ok")
    producer(project).submit(project, "fail once", max_retries=5)
    worker = Worker(proxy.url, file=worker_file(project), wait=0)
    seen: Counter[str] = Counter()

    @worker.task(project=project, concurrency=2)
    async def work(task: Task) -> None:
        seen[task.recipe] += 1
        if task.recipe != "ok" and seen[task.recipe] == 1:
            proxy.lose("/task/turn", 2)
            raise Fail

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 2)

    assert seen == {"ok": 1, "fail once": 2}
    assert counters(fleet, project)["retried"] == 1


def test_a_task_that_came_again_with_a_lost_answer_is_done_while_what_was_lost_is_still_repeated(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy
) -> None:
    project = fleet.project()
    producer(project).submit(project, "ok")
    producer(project).submit(project, "fail once", max_retries=5)
    worker = Worker(proxy.url, file=worker_file(project), wait=0)
    both = asyncio.Event()
    seen: Counter[str] = Counter()
    turns = 0

    def slow_down(request: bytes) -> None:
        """The second turn repeats what the first one has done, which also got a task."""
        nonlocal turns
        if request.startswith(b"POST /task/turn"):
            turns += 1
            time.sleep(1 if turns == 2 else 0)

    @worker.task(project=project, concurrency=2)
    async def work(task: Task) -> None:
        seen[task.recipe] += 1
        if task.retries:
            return
        if sum(seen.values()) == 2:
            proxy.lose("/task/turn")
            asyncio.get_running_loop().call_later(0.05, both.set)
        await both.wait()  # both end at once: in one turn
        if task.recipe == "fail once":
            raise Fail

    proxy.instead = slow_down
    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 2)

    assert seen == {"ok": 1, "fail once": 2}
    assert (counters(fleet, project)["retried"], counters(fleet, project)["assigned"]) == (1, 3)


def test_no_release_is_dropped_of_a_worker_that_holds_more_tasks_than_the_broker_lists(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy
) -> None:
    project = fleet.project()
    me = Credentials.load(worker_file(project))
    with Client(fleet.url, me) as client:
        client.submit_many(project, [str(n) for n in range(1200)])
    proxy.break_down("/task/turn")
    worker = Worker(proxy.url, file=worker_file(project), wait=0)
    all_begun = asyncio.Event()
    begun = 0

    @worker.task(project=project, concurrency=1200)
    async def work(task: Task) -> None:
        nonlocal begun
        begun += 1
        if begun == 1200:
            all_begun.set()
        await all_begun.wait()
        raise Fail("at once")

    with running(worker):
        until(lambda: stats(fleet, project)["failed"] == 1200, 30)


def test_a_fail_whose_answer_was_lost_does_not_fail_the_task_once_more_when_it_has_come_again(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy
) -> None:
    project = fleet.project()
    producer(project).submit(project, "r", max_retries=5)
    worker = Worker(proxy.url, file=worker_file(project), wait=0)

    @worker.task(project=project)
    async def work(task: Task) -> None:
        if task.retries == 0:
            # The call that says so also gets the task again, and has no answer.
            proxy.lose("/task/turn", 1)
            raise Fail

    with running(worker):
        until(lambda: counters(fleet, project).get("closed") == 1)

    assert (counters(fleet, project)["retried"], counters(fleet, project)["assigned"]) == (1, 2)


def test_a_worker_that_stops_during_a_get_gives_back_its_tasks(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy
) -> None:
    project = fleet.project()
    producer(project).submit(project, "r")
    proxy.hold("/task/get")
    worker = Worker(proxy.url, file=worker_file(project))

    @worker.task(project=project)
    async def work(task: Task) -> None:
        raise AssertionError("the answer of the get never came")

    with running(worker):
        until(lambda: stats(fleet, project)["assigned"] == 1)

    assert (stats(fleet, project)["waiting"], counters(fleet, project)["skipped"]) == (1, 1)


def test_a_broker_with_a_fault_of_its_own_is_asked_again(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    producer(project).submit(project, "r")
    proxy.break_down("/task/get", 2)
    worker = Worker(proxy.url, file=worker_file(project), wait=0)

    @worker.task(project=project)
    async def work(task: Task) -> None: ...

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 1)

    assert caplog.text.count("is unavailable (500: Out of paper)") == 1


@contextmanager
def own_broker(folder: Path) -> Iterator[tuple[Serving, Fleet]]:
    serving = Serving.start(folder, workers=1)
    caller = serving.admin()
    fleet = Fleet(serving.url, caller)
    yield serving, fleet
    fleet.close()
    serving.stop()


@pytest.mark.parametrize("which", ["server", "store"])
def test_a_worker_continues_when_processes_of_the_broker_are_killed(
    tmp_path: Path, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    with own_broker(tmp_path / "broker") as (serving, fleet):
        project = fleet.project(remember_closed=-1)
        member = fleet.worker(project)
        file = tmp_path / "worker.json"
        me = Credentials(member.id, member.alias, member.secret).save(file)
        worker = Worker(serving.url, file=file, wait=0)
        done: set[str] = set()
        lock = threading.Lock()

        @worker.task(project=project, concurrency=8)
        async def work(task: Task) -> None:
            number = int(task.recipe)
            for n in (2 * number, 2 * number + 1):
                if n < 500:
                    task.submit(str(n), unique_string=str(n))
            with lock:
                done.add(task.recipe)

        with Client(serving.url, me) as client:
            client.submit(project, "1", unique_string="1")
        with running(worker):
            until(lambda: len(done) > 150, 30)
            os.kill(serving.servers()[0] if which == "server" else serving.store(), signal.SIGKILL)
            until(lambda: len(done) == 499, 30)
            until(lambda: counters(fleet, project)["closed"] == 499, 20)

        assert stats(fleet, project)["waiting"] + stats(fleet, project)["assigned"] == 0


def test_a_worker_that_starts_before_its_broker_waits_and_logs_it_once(
    fleet: Fleet, producer: Producer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project(public=True)
    producer(project).submit(project, "r")
    port = free_port()
    worker = Worker(f"http://127.0.0.1:{port}", file=tmp_path / "worker.json", wait=0)

    @worker.task(project=project)
    def work(task: Task) -> None: ...

    with running(worker):
        until(lambda: "is unavailable" in caplog.text)
        time.sleep(0.5)
        with a_proxy(fleet.url, port):
            until(lambda: counters(fleet, project)["closed"] == 1)
            # Before the proxy goes: the worker goes on asking, and would say that the broker is away again.
            assert caplog.text.count("is unavailable") == caplog.text.count("is available again") == 1
