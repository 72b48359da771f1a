"""A running worker does a page in one call: it releases a task, submits what its function found, and gets the next."""

import logging
import re
import time
from collections.abc import Callable

import pytest

from broker.client import Fail, NewTask, Skip, Task, Worker
from tests.client import Fleet
from tests.client_library.conftest import Producer, WorkerFile
from tests.client_library.proxy import Proxy
from tests.client_library.running import counters, running, stats
from tests.serving import until


@pytest.fixture
def crawl(fleet: Fleet, producer: Producer) -> int:
    """A project with one task."""
    project = fleet.project(remember_closed=-1)
    producer(project).submit(project, "0", unique_string="0", max_retries=3)
    return project


def rows(fleet: Fleet, project: int, state: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = fleet.admin.get(f"/project/tasks/{project}?state={state}").content()["tasks"]
    return found


def test_a_page_its_links_and_the_next_page_are_one_call(
    fleet: Fleet, worker_file: WorkerFile, crawl: int, proxy: Proxy
) -> None:
    worker = Worker(proxy.url, file=worker_file(crawl), wait=0)
    done: list[str] = []

    @worker.task(project=crawl, submit=True)
    async def fetch(task: Task) -> None:
        done.append(task.recipe)
        page = int(task.recipe)
        for link in {page + 1, page // 2} if page < 20 else ():
            task.submit(str(link), unique_string=str(link))

    with running(worker):
        until(lambda: counters(fleet, crawl)["closed"] == 21)
        assert proxy.count("/task/bulk_release") == proxy.count("/task/bulk_submit") == 0
        assert proxy.count("/task/turn") <= 22

    assert done == [str(page) for page in range(21)]


def test_what_a_function_submits_before_it_fails_is_not_submitted(
    fleet: Fleet, worker_file: WorkerFile, crawl: int
) -> None:
    worker = Worker(fleet.url, file=worker_file(crawl), wait=0)

    @worker.task(project=crawl, submit=True)
    def fetch(task: Task) -> None:
        task.submit(NewTask(f"from attempt {task.retries}", delay=3600))
        if task.retries == 0:
            raise Fail("not yet")

    with running(worker):
        until(lambda: counters(fleet, crawl)["closed"] == 1)

    assert [row["recipe"] for row in rows(fleet, crawl, "delayed")] == ["from attempt 1"]


def test_links_arrive_though_the_answer_of_their_call_was_lost(
    fleet: Fleet, worker_file: WorkerFile, crawl: int, proxy: Proxy
) -> None:
    worker = Worker(proxy.url, file=worker_file(crawl), wait=0)
    seen: list[str] = []

    @worker.task(project=crawl, submit=True)
    async def fetch(task: Task) -> None:
        seen.append(task.recipe)
        if task.recipe == "0":
            proxy.lose("/task/turn", 2)
            for link in range(1, 6):
                task.submit(str(link), unique_string=str(link))

    with running(worker):
        until(lambda: counters(fleet, crawl)["closed"] == 6)

    assert sorted(seen) == list("012345")
    assert counters(fleet, crawl)["submitted"] == 6


def test_links_wait_for_the_rate_of_their_project(fleet: Fleet, worker_file: WorkerFile, crawl: int) -> None:
    fleet.admin.post(f"/project/update/{crawl}", {"submit_rate": 20}).content()
    worker = Worker(fleet.url, file=worker_file(crawl), wait=0)

    @worker.task(project=crawl, submit=True)
    async def fetch(task: Task) -> None:
        if task.recipe in ("0", "00", "01"):
            for link in range(4):
                task.submit(f"{task.recipe}{link}")

    with running(worker):
        until(lambda: counters(fleet, crawl)["closed"] == 13)

    assert counters(fleet, crawl)["submitted"] == 13


def test_a_worker_gets_no_more_tasks_while_very_many_links_wait_for_the_rate_of_their_project(
    fleet: Fleet, worker_file: WorkerFile, crawl: int, producer: Producer
) -> None:
    for n in range(20):
        producer(crawl).submit(crawl, f"page {n}", unique_string=f"page {n}")
    fleet.admin.post(f"/project/update/{crawl}", {"submit_rate": 1}).content()
    worker = Worker(fleet.url, file=worker_file(crawl), wait=0)
    pages: list[str] = []

    @worker.task(project=crawl, submit=True)
    async def fetch(task: Task) -> None:
        pages.append(task.recipe)
        for link in range(4000):
            task.submit(f"{task.id} {link}", unique_string=f"{task.id} {link}")

    with running(worker):
        until(lambda: len(pages) == 3)
        time.sleep(1)
        assert len(pages) == 3


def test_more_links_than_a_call_takes_come_in_several(fleet: Fleet, worker_file: WorkerFile, crawl: int) -> None:
    worker = Worker(fleet.url, file=worker_file(crawl), wait=0)

    @worker.task(project=crawl, submit=True)
    async def fetch(task: Task) -> None:
        for link in range(1200):
            task.submit(NewTask("r", hash64=link + 1, delay=3600))

    with running(worker):
        until(lambda: counters(fleet, crawl)["closed"] == 1)
        until(lambda: stats(fleet, crawl)["delayed"] == 1200)


def test_a_task_that_submits_what_the_broker_does_not_take_fails_and_says_why(
    fleet: Fleet, worker_file: WorkerFile, crawl: int, producer: Producer
) -> None:
    producer(crawl).submit(crawl, "good", max_retries=1)
    worker = Worker(fleet.url, file=worker_file(crawl), wait=0)

    @worker.task(project=crawl, submit=True, concurrency=2)
    async def fetch(task: Task) -> None:
        task.submit("link", group="x" * 300 if task.recipe == "0" else "", delay=3600)

    with running(worker):
        until(lambda: stats(fleet, crawl)["failed"] == 1)
        until(lambda: counters(fleet, crawl)["closed"] == 1)

    (failed,) = rows(fleet, crawl, "failed")
    assert failed["error"]["message"].startswith("submits[0].group: ")  # type: ignore[index]


def test_links_that_a_worker_may_not_submit_are_named_in_its_log(
    fleet: Fleet, worker_file: WorkerFile, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project(public=True)
    fleet.worker(project).submit(project, "r")
    worker = Worker(fleet.url, file=worker_file(), wait=0)

    @worker.task(project=project)
    async def fetch(task: Task) -> None:
        task.submit("link")

    with caplog.at_level(logging.ERROR, "broker.client"), running(worker):
        until(lambda: counters(fleet, project)["closed"] == 1)
        until(lambda: "1 tasks could not be submitted" in caplog.text)


def test_why_a_function_failed_is_the_error_of_its_task(fleet: Fleet, worker_file: WorkerFile, crawl: int) -> None:
    worker = Worker(fleet.url, file=worker_file(crawl), wait=0)
    messages: list[object] = []

    @worker.task(project=crawl)
    def fetch(task: Task) -> None:
        found = rows(fleet, crawl, "assigned")[0]["error"]
        messages.append(found["message"] if isinstance(found, dict) else None)
        if task.retries == 0:
            raise Fail("HTTP 500")
        raise KeyError("title")

    with running(worker):
        until(lambda: stats(fleet, crawl)["failed"] == 1)

    (failed,) = rows(fleet, crawl, "failed")
    assert messages == [None, "HTTP 500", "KeyError: 'title'"]
    assert failed["error"]["message"] == "KeyError: 'title'"  # type: ignore[index]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (Fail("x" * 3_000_000), "x" * 1000),
        (ValueError("half a letter: \udcff"), "ValueError: half a letter: ?"),
        (Unprintable(), "Unprintable"),
        (Fail(), ""),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_whatever_a_function_raises_its_task_fails_and_the_worker_goes_on(
    fleet: Fleet,
    worker_file: WorkerFile,
    crawl: int,
    producer: Producer,
    *,
    raised: Exception,
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "broker.client")  # pytest-xdist cannot pass on half a letter
    producer(crawl).submit(crawl, "next")
    worker = Worker(fleet.url, file=worker_file(crawl), wait=0)

    @worker.task(project=crawl)
    def fetch(task: Task) -> None:
        if task.recipe == "0":
            raise raised if task.retries == 2 else Fail("again")

    with running(worker):
        until(lambda: (stats(fleet, crawl)["failed"], counters(fleet, crawl)["closed"]) == (1, 1))

    (failed,) = rows(fleet, crawl, "failed")
    assert failed["error"]["message"] == message  # type: ignore[index]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda task: task.submit("half a letter: \udcff"),
        lambda task: task.submit("link", unique_string=object()),
        lambda task: task.again_in("tomorrow"),
        lambda task: Skip("soon", delay="5 minutes"),  # type: ignore[arg-type]
    ],
)
def test_a_function_that_says_what_cannot_be_sent_fails_at_that_line(
    fleet: Fleet,
    worker_file: WorkerFile,
    crawl: int,
    producer: Producer,
    *,
    wrong: Callable[[Task], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "broker.client")
    producer(crawl).submit(crawl, "next")
    worker = Worker(fleet.url, file=worker_file(crawl), wait=0)

    @worker.task(project=crawl, submit=True)
    def fetch(task: Task) -> None:
        if task.recipe == "0":
            wrong(task)
            raise AssertionError("was taken")

    with running(worker):
        until(lambda: (stats(fleet, crawl)["failed"], counters(fleet, crawl)["closed"]) == (1, 1))

    (failed,) = rows(fleet, crawl, "failed")
    assert re.match("(UnicodeEncode|Type|Value)Error: ", failed["error"]["message"])  # type: ignore[index]


def test_a_function_says_for_how_long_its_task_waits_and_when_it_comes_again(
    fleet: Fleet, worker_file: WorkerFile, crawl: int
) -> None:
    worker = Worker(fleet.url, file=worker_file(crawl), wait=0)
    rounds: list[tuple[int, int]] = []

    @worker.task(project=crawl)
    async def fetch(task: Task) -> None:
        rounds.append((task.round, task.retries))
        if len(rounds) == 1:
            raise Fail("busy", delay=0.1)
        if len(rounds) == 2:
            raise Skip("later", delay=0.1)
        task.again_in(0.1 if task.round == 1 else 3600)

    with running(worker):
        until(lambda: counters(fleet, crawl)["closed"] == 2)

    assert rounds == [(1, 0), (1, 1), (1, 1), (2, 0)]
    (task,) = rows(fleet, crawl, "delayed")
    assert task["round"] == 3
