"""A worker in an event loop of the caller: however it ends, it gives back what it holds."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from broker.client import Task, Worker
from tests.client import Fleet
from tests.client_library.conftest import Producer, WorkerFile
from tests.client_library.running import counters, running, stats
from tests.serving import until

Began = Callable[[], Awaitable[None]]


class Failed(Exception):
    pass


async def cancel(serving: Coroutine[Any, Any, None], began: Began) -> None:
    task = asyncio.create_task(serving)
    await began()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def in_a_timeout(serving: Coroutine[Any, Any, None], began: Began) -> None:
    async def expire() -> None:
        await began()
        timeout.reschedule(0)

    with suppress(TimeoutError):
        async with asyncio.timeout(None) as timeout, asyncio.TaskGroup() as group:
            group.create_task(expire())
            await serving


async def beside_one_that_fails(serving: Coroutine[Any, Any, None], began: Began) -> None:
    async def fail() -> None:
        await began()
        raise Failed

    await asyncio.gather(serving, fail())


async def in_a_group(serving: Coroutine[Any, Any, None], began: Began) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(serving)
        await began()
        raise Failed


async def forgotten(serving: Coroutine[Any, Any, None], began: Began) -> None:
    task = asyncio.create_task(serving)
    await began()
    assert not task.done()


async def all_tasks_cancelled(serving: Coroutine[Any, Any, None], began: Began) -> None:
    asyncio.create_task(serving)  # noqa: RUF006
    await began()
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(0)


ENDS = [cancel, in_a_timeout, beside_one_that_fails, in_a_group, forgotten, all_tasks_cancelled]


@pytest.mark.parametrize("end", ENDS)
def test_a_worker_that_is_cancelled_gives_back_what_it_holds_and_calls_nothing_a_failure(
    fleet: Fleet,
    worker_file: WorkerFile,
    producer: Producer,
    end: Callable[[Coroutine[Any, Any, None], Began], Coroutine[Any, Any, None]],
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for n in range(5):
        submitter.submit(project, str(n))
    worker = Worker(fleet.url, file=worker_file(project), wait=0, grace=60)
    begun: list[int] = []

    @worker.task(project=project, concurrency=2, prefetch=2)
    async def act(task: Task) -> None:
        begun.append(task.id)
        await asyncio.sleep(60)

    async def began() -> None:
        await asyncio.to_thread(until, lambda: len(begun) == 2 and stats(fleet, project)["assigned"] == 4)

    with suppress(Failed, asyncio.CancelledError, ExceptionGroup):
        asyncio.run(end(worker.serve(), began))

    # At once: it does not depend on a sweep after the lease.
    assert (stats(fleet, project)["waiting"], stats(fleet, project)["assigned"]) == (5, 0)
    assert (counters(fleet, project)["skipped"], counters(fleet, project)["failed"]) == (4, 0)


def test_results_that_are_not_sent_yet_are_sent_when_the_worker_is_cancelled(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer
) -> None:
    project = fleet.project()
    producer(project).submit(project, "r")
    worker = Worker(fleet.url, file=worker_file(project))

    serving: list[asyncio.Task[None]] = []

    @worker.task(project=project)
    async def act(task: Task) -> None:
        asyncio.get_running_loop().call_soon(serving[0].cancel)

    async def main() -> None:
        serving.append(asyncio.create_task(worker.serve()))
        await asyncio.wait(serving)

    asyncio.run(main())

    assert counters(fleet, project)["closed"] == 1


def test_a_function_that_is_cancelled_alone_fails_its_task(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer
) -> None:
    project = fleet.project()
    producer(project).submit(project, "r")
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    calls: list[asyncio.Task[Any] | None] = []

    @worker.task(project=project)
    async def act(task: Task) -> None:
        calls.append(asyncio.current_task())
        if len(calls) == 1:
            asyncio.get_running_loop().call_soon(calls[0].cancel)  # type: ignore[union-attr]
            await asyncio.sleep(60)

    with running(worker):
        until(lambda: stats(fleet, project)["failed"] == 1)

    (row,) = fleet.admin.get(f"/project/tasks/{project}?state=failed").content()["tasks"]
    assert row["error"]["message"] == "its function was cancelled from within"


def test_a_worker_runs_once_and_says_so(fleet: Fleet, worker_file: WorkerFile) -> None:
    project = fleet.project()
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    started = threading.Event()

    @worker.task(project=project)
    async def act(task: Task) -> None: ...

    async def main() -> None:
        first = asyncio.create_task(worker.serve())
        await asyncio.sleep(0.1)
        with pytest.raises(RuntimeError, match="this worker runs already"):
            await worker.serve()
        assert not first.done()
        started.set()
        worker.stop()
        await first

    asyncio.run(main())

    assert started.is_set()
    with pytest.raises(RuntimeError, match="or has run: create another one"):
        worker.run()


async def test_run_in_an_event_loop_says_to_await_serve(fleet: Fleet, worker_file: WorkerFile) -> None:
    project = fleet.project()
    worker = Worker(fleet.url, file=worker_file(project))

    @worker.task(project=project)
    async def act(task: Task) -> None: ...

    with pytest.raises(RuntimeError, match=r"await worker\.serve\(\)"):
        worker.run()
