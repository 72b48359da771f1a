"""A running worker: what its functions return or raise decides how their tasks are released."""

import asyncio
import math
import threading
import time
from pathlib import Path

import pytest

from broker.client import Credentials, Fail, NewTask, Refused, Skip, Task, Worker, verification
from tests.client import Fleet
from tests.client_library.conftest import Producer, WorkerFile
from tests.client_library.proxy import a_proxy
from tests.client_library.running import counters, running, stats
from tests.serving import until


def test_each_task_is_called_once_and_closed(fleet: Fleet, worker_file: WorkerFile, producer: Producer) -> None:
    project = fleet.project()
    submitter = producer(project)
    for number in range(200):
        submitter.submit(project, str(number))
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    seen: list[str] = []
    most = now = 0

    @worker.task(project=project, concurrency=16)
    async def count(task: Task) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        seen.append(task.recipe)
        await asyncio.sleep(0.005)
        now -= 1

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 200)

    assert sorted(seen, key=int) == [str(number) for number in range(200)]
    assert 8 <= most <= 16


def test_a_function_slows_the_group_of_its_task_down(fleet: Fleet, worker_file: WorkerFile, producer: Producer) -> None:
    project = fleet.project()
    submitter = producer(project)
    for recipe in ("429", "slow", "quick"):
        submitter.submit(project, recipe, group=f"{recipe}.example")
        submitter.submit(project, recipe, group=f"{recipe}.example", priority=-1)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    seen: list[str] = []

    @worker.task(project=project)
    async def fetch(task: Task) -> None:
        seen.append(task.recipe)
        if task.recipe == "429":
            task.block_group(60)
            raise Skip("Retry-After: 60")
        if task.recipe == "slow":
            task.slow_group(30)

    with running(worker):
        until(lambda: counters(fleet, project).get("closed") == 4)

    assert sorted(seen) == ["429", "quick", "quick", "slow", "slow"]
    path = f"/project/group/{project}?group="
    blocked, slow = (fleet.admin.get(path + name).content()["group"] for name in ("429.example", "slow.example"))
    assert blocked["blocked_until"] > time.time() + 30
    assert (blocked["waiting"], slow["delay"]) == (2, 30)


def test_a_task_fails_when_its_function_raises_or_returns_something_else(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for recipe in ("ok", "fail", "broken", "text", "cancelled"):
        submitter.submit(project, recipe)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)

    @worker.task(project=project, concurrency=4)
    async def act(task: Task) -> int | None:
        if task.recipe == "fail":
            raise Fail("404 at example.org")
        if task.recipe == "broken":
            raise KeyError("title")
        if task.recipe == "text":
            return "a title"  # type: ignore[return-value]
        if task.recipe == "cancelled":
            raise asyncio.CancelledError
        return None

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] + counters(fleet, project)["failed"] == 5)

    assert counters(fleet, project)["closed"] == 1
    assert "failed: 404 at example.org" in caplog.text
    assert "KeyError: 'title'" in caplog.text
    assert "returned str: return a signed 64-bit int or None" in caplog.text
    assert "cancelled from within" in caplog.text


def test_a_worker_pauses_after_a_skip(fleet: Fleet, worker_file: WorkerFile, producer: Producer) -> None:
    project = fleet.project()
    producer(project).submit(project, "later")
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    times: list[float] = []

    @worker.task(project=project)
    def act(task: Task) -> None:
        times.append(time.monotonic())
        if len(times) < 4:
            raise Skip("busy")

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 1)

    assert counters(fleet, project)["skipped"] == 3
    assert counters(fleet, project)["retried"] == 0
    # Pauses of at least 0.2, 0.4 and 0.8 s; a task may come at the end of the one before.
    assert times[3] - times[0] > 0.5


def test_pauses_after_skips_that_block_their_groups_do_not_grow(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for number in range(7):
        submitter.submit(project, str(number), group=f"{number}.example")
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    times: list[float] = []

    @worker.task(project=project)
    def act(task: Task) -> None:
        times.append(time.monotonic())
        task.block_group(60)
        raise Skip("Retry-After: 60")

    with running(worker):
        until(lambda: counters(fleet, project)["skipped"] == 7)

    # Pauses that double would be 0.2 + 0.4 + 0.8 + 1.6 + 3.2 s.
    assert times[6] - times[0] < 6


@pytest.mark.parametrize("seconds", [10**30, math.inf, -5])
def test_a_site_may_ask_for_any_pause(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, seconds: float
) -> None:
    project = fleet.project()
    producer(project).submit(project, "page", group="a.example")
    worker = Worker(fleet.url, file=worker_file(project), wait=0)

    @worker.task(project=project)
    def act(task: Task) -> None:
        task.slow_group(seconds)
        task.block_group(seconds)

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 1)

    group = fleet.admin.get(f"/project/group/{project}?group=a.example").content()["group"]
    asked = seconds > 0
    assert (group["delay"], group["blocked_until"] is not None) == (3600 if asked else 0, asked)


def test_functions_that_block_run_in_threads_side_by_side(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for number in range(8):
        submitter.submit(project, str(number))
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    together = threading.Barrier(8)

    @worker.task(project=project, concurrency=8)
    def meet(task: Task) -> None:
        if task.recipe == "3":
            next(iter(()))
        if task.recipe == "4":
            raise SystemExit(1)
        together.wait(10)

    for number in (8, 9):
        submitter.submit(project, str(number))
    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 8)

    assert counters(fleet, project)["failed"] == 2


def test_workers_that_return_the_same_verification_close_a_task(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer
) -> None:
    project = fleet.project()
    producer(project).submit(project, "a page", verification_count=2)
    workers = [Worker(fleet.url, file=worker_file(project, name=f"{name}.json"), wait=0) for name in "abc"]
    for worker, content in zip(workers, ("old", "new", "new"), strict=True):

        @worker.task(project=project)
        def verify(task: Task, content: str = content) -> int:
            return verification(content)

    with running(workers[0]):
        until(lambda: counters(fleet, project)["voted"] == 1)
    with running(workers[1]):
        until(lambda: counters(fleet, project)["voted"] == 2)
    with running(workers[2]):
        until(lambda: counters(fleet, project)["closed"] == 1)


def test_one_worker_serves_several_projects_and_submits_from_one_to_the_other(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer
) -> None:
    pages, images = fleet.project(), fleet.project()
    producer(pages).submit(pages, "a page")
    worker = Worker(fleet.url, file=worker_file(pages, images), wait=0)
    seen: list[str] = []

    @worker.task(project=pages)
    async def page(task: Task) -> None:
        await worker.client.submit_many(images, [NewTask("1.png", unique_string="1"), NewTask("2.png")])

    @worker.task(project=images)
    def image(task: Task) -> None:
        seen.append(task.recipe)
        if task.recipe == "1.png":
            assert worker.blocking.submit(images, "1.png", unique_string="1") is None
            worker.blocking.submit(images, "3.png")

    with running(worker):
        until(lambda: counters(fleet, images)["closed"] == 3)

    assert sorted(seen) == ["1.png", "2.png", "3.png"]


def test_a_task_is_extended_while_its_function_runs(fleet: Fleet, worker_file: WorkerFile, producer: Producer) -> None:
    project = fleet.project()
    producer(project).submit(project, "long", max_assign_time=2)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    calls: list[int] = []

    @worker.task(project=project)
    async def work(task: Task) -> None:
        calls.append(task.id)
        await asyncio.sleep(3)

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 1)

    assert len(calls) == 1
    assert counters(fleet, project)["reclaimed"] == 0


def test_an_async_function_that_blocks_is_named_in_the_log(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    producer(project).submit(project, "long", max_assign_time=5)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)

    @worker.task(project=project)
    async def work(task: Task) -> None:
        time.sleep(4.2)  # noqa: ASYNC251

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 1)

    assert "the event loop was blocked for" in caplog.text


def test_the_function_of_a_removed_task_is_cancelled(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    task_id = producer(project).submit(project, "long", max_assign_time=1)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    ended = threading.Event()

    @worker.task(project=project)
    async def work(task: Task) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with running(worker):
        until(lambda: stats(fleet, project)["assigned"] == 1)
        fleet.admin.post(f"/project/remove_task/{project}/{task_id}").content()
        assert ended.wait(10)

    assert "is not held any more" in caplog.text
    assert "not be released" not in caplog.text


def test_a_worker_without_access_requests_it_waits_and_logs_it_once(
    fleet: Fleet, tmp_path: Path, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    producer(project).submit(project, "r")
    worker = Worker(fleet.url, alias="newcomer", file=tmp_path / "worker.json", wait=0)

    @worker.task(project=project, submit=True)
    async def work(task: Task) -> None:
        await worker.client.submit(project, "more")
        worker.stop()

    with running(worker):
        until(lambda: "waits until a manager lets it into project" in caplog.text)
        time.sleep(0.7)  # it has asked again by now
        (access,) = [
            access
            for access in fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
            if access["request"]
        ]
        assert (access["worker"]["alias"], access["assign"], access["submit"]) == ("newcomer", True, True)
        fleet.admin.post(f"/project/accept_request/{project}/{access['worker']['id']}").content()
        until(lambda: counters(fleet, project)["closed"] >= 1)

    assert caplog.text.count("waits until a manager lets it into") == 1
    assert f"{fleet.url}/ui/projects/{project}/access" in caplog.text
    assert caplog.text.count(f"may get tasks of project {project} now") == 1


def test_a_paused_worker_waits_until_it_is_resumed(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    producer(project).submit(project, "r")
    worker = Worker(fleet.url, file=worker_file(project), wait=0)

    @worker.task(project=project)
    async def work(task: Task) -> None: ...

    def pause(paused: bool) -> None:
        me = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
        (id,) = [access["worker"]["id"] for access in me if access["worker"]["alias"] == "crawler-1"]
        fleet.admin.post("/worker/set_paused", {"worker": id, "paused": paused}).content()

    pause(True)
    with running(worker):
        until(lambda: "is paused until an admin resumes it" in caplog.text)
        pause(False)
        until(lambda: counters(fleet, project)["closed"] == 1)


@pytest.mark.parametrize(("wait", "let_in"), [(0, True), (30, False)])
def test_a_worker_pauses_when_it_is_answered_at_once_without_a_task(
    fleet: Fleet, worker_file: WorkerFile, *, wait: int, let_in: bool
) -> None:
    project = fleet.project()
    with a_proxy(fleet.url) as proxy:
        worker = Worker(proxy.url, file=worker_file(*[project] if let_in else []), wait=wait)

        @worker.task(project=project)
        async def work(task: Task) -> None: ...

        with running(worker):
            until(lambda: proxy.count("/task/get/") == 2)
            time.sleep(1.5)

    # After pauses of at least 0.4, 0.8 and 1.6 s.
    assert 3 <= proxy.count("/task/get/") <= 4


def test_a_worker_with_nothing_to_do_waits_in_one_call_until_there_is_a_task(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer
) -> None:
    project = fleet.project()
    submitter = producer(project)
    with a_proxy(fleet.url) as proxy:
        worker = Worker(proxy.url, file=worker_file(project))

        @worker.task(project=project)
        async def work(task: Task) -> None: ...

        with running(worker):
            time.sleep(1)
            assert proxy.count("/task/get/") <= 1
            submitter.submit(project, "r")
            until(lambda: counters(fleet, project)["closed"] == 1)

        assert proxy.count("/task/get/") <= 3


def test_a_project_that_does_not_exist_ends_the_worker(fleet: Fleet, worker_file: WorkerFile) -> None:
    worker = Worker(fleet.url, file=worker_file())

    @worker.task(project=2**40)
    async def work(task: Task) -> None: ...

    with pytest.raises(Refused, match="404 not_found"):
        worker.run()


def test_credentials_of_another_broker_end_the_worker_and_the_error_names_the_file(
    fleet: Fleet, tmp_path: Path
) -> None:
    file = tmp_path / "worker.json"
    Credentials(2**40, "w", "c2VjcmV0").save(file)
    worker = Worker(fleet.url, file=file)

    @worker.task(project=1)
    async def work(task: Task) -> None: ...

    with pytest.raises(Refused, match="401 bad_credentials") as refused:
        worker.run()

    assert refused.value.__notes__ == [
        f"this broker does not know the worker of {file}: without the file, one is created"
    ]


def test_a_worker_has_one_function_per_project_and_valid_numbers(fleet: Fleet) -> None:
    worker = Worker(fleet.url)
    with pytest.raises(RuntimeError, match="a worker needs a function"):
        worker.run()

    def work(task: Task) -> None: ...

    worker.task(project=1)(work)
    with pytest.raises(ValueError, match="project 1 has a function already"):
        worker.task(project=1)(work)
    with pytest.raises(ValueError, match="concurrency: 1 or more"):
        worker.task(project=2, concurrency=0)(work)
    with pytest.raises(RuntimeError, match="does not run"):
        _ = worker.client
