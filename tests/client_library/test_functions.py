"""Whatever the function of a worker returns or raises, its task is released and the next one is done."""

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from broker.client import Fail, Skip, Task, Worker
from tests.client import Fleet
from tests.client_library.conftest import Producer, WorkerFile
from tests.client_library.running import counters, running, stats
from tests.serving import until


class Nameless(Exception):
    """Its text ends the program that prints it."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class End(BaseException):
    pass


RAISED: dict[str, tuple[BaseException, str]] = {
    "sys.exit": (SystemExit(1), "SystemExit: 1"),
    "KeyboardInterrupt": (KeyboardInterrupt(), "KeyboardInterrupt"),
    "GeneratorExit": (GeneratorExit(), "GeneratorExit"),
    "one of its own": (End("of it"), "End: of it"),
    "no text": (Nameless(), "Nameless"),
    "cancelled": (asyncio.CancelledError(), "its function was cancelled from within"),
    "a group": (ExceptionGroup("two", [KeyError("a"), ValueError("b")]), "KeyError: 'a'; ValueError: b"),
    "a group in a group": (
        ExceptionGroup("", [ExceptionGroup("", [KeyError("a")]), Fail("gone")]),
        "KeyError: 'a'; gone",
    ),
    "a group of all kinds": (BaseExceptionGroup("", [SystemExit(2), GeneratorExit()]), "SystemExit: 2; GeneratorExit"),
    "a group without text": (ExceptionGroup("", [Nameless()]), "Nameless"),
    "a group of fails": (ExceptionGroup("", [Fail("gone"), Skip("busy"), Fail("lost")]), "gone; lost"),
    "a group with a skip": (ExceptionGroup("", [Skip("busy"), KeyError("a")]), "KeyError: 'a'"),
    "a large group": (ExceptionGroup("", [KeyError(n) for n in range(100_000)]), "KeyError: 0; KeyError: 1; "),
}


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_task_fails_with_its_reason_and_the_slot_is_free_again(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, *, kind: str, raised: str
) -> None:
    message = RAISED[raised][1]
    project = fleet.project()
    submitter = producer(project)
    for recipe in ("bad", "good", "good"):
        submitter.submit(project, recipe)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)

    def act(task: Task) -> None:
        if task.recipe == "bad":
            raise RAISED[raised][0]

    async def awaited(task: Task) -> None:
        act(task)

    worker.task(project=project)(awaited if kind == "async" else act)
    with running(worker):
        until(lambda: (stats(fleet, project)["failed"], counters(fleet, project)["closed"]) == (1, 2))

    (row,) = fleet.admin.get(f"/project/tasks/{project}?state=failed").content()["tasks"]
    assert row["error"]["message"].startswith(message)
    assert len(row["error"]["message"]) <= max(len(message), 1000)


def test_fail_and_skip_in_a_task_group_count_as_what_they_are(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for recipe in ("fail", "skip"):
        submitter.submit(project, recipe, max_retries=5)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)

    async def part(task: Task) -> None:
        raise Fail("gone", delay=3600) if task.recipe == "fail" else Skip("busy", delay=3600)

    @worker.task(project=project, concurrency=2)
    async def act(task: Task) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(part(task))
            group.create_task(asyncio.sleep(60))

    with running(worker):
        until(lambda: stats(fleet, project)["delayed"] == 2)

    assert (counters(fleet, project)["retried"], counters(fleet, project)["skipped"]) == (1, 1)
    rows = fleet.admin.get(f"/project/tasks/{project}?state=delayed").content()["tasks"]
    assert [row["error"] and row["error"]["message"] for row in rows] == ["gone", None]
    assert all(row["not_before"] > time.time() + 3000 for row in rows)


def test_a_log_that_cannot_be_written_costs_no_task(fleet: Fleet, worker_file: WorkerFile, producer: Producer) -> None:
    project = fleet.project()
    submitter = producer(project)
    for recipe in ("bad", "good"):
        submitter.submit(project, recipe)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)

    class Full(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "failed" in record.getMessage():
                raise SystemExit("No space left on device")

    @worker.task(project=project)
    async def act(task: Task) -> None:
        if task.recipe == "bad":
            raise KeyError("title")

    handler = Full()
    logging.getLogger("broker.client").addHandler(handler)
    try:
        with running(worker):
            until(lambda: counters(fleet, project)["closed"] == 1)
    finally:
        logging.getLogger("broker.client").removeHandler(handler)

    assert stats(fleet, project)["failed"] == 1


def test_why_a_task_failed_is_on_the_terminal(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, capfd: pytest.CaptureFixture[str]
) -> None:
    project = fleet.project()
    task_id = producer(project).submit(project, "r")
    worker = Worker(fleet.url, file=worker_file(project), wait=0)

    @worker.task(project=project)
    def act(task: Task) -> None:
        raise Fail("404 at example.org")

    # As in a program that does not configure its log.
    root, propagate = logging.getLogger("broker.client"), logging.getLogger("broker.client").propagate
    root.propagate = False
    try:
        with running(worker):
            until(lambda: stats(fleet, project)["failed"] == 1)
    finally:
        root.propagate = propagate

    assert f"task {task_id} of project {project} failed: 404 at example.org\n" in capfd.readouterr().err


Wrapped = Callable[[Callable[[Task], Any]], Any]


def plainly(function: Callable[[Task], Any]) -> Callable[[Task], Any]:
    """A decorator as most are written: it knows nothing of async."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


class Object:
    def __init__(self, function: Callable[[Task], Any]) -> None:
        self._function = function

    async def __call__(self, task: Task) -> Any:
        return await self._function(task)

    async def method(self, task: Task) -> Any:
        return await self._function(task)


WRAPPED: dict[str, Wrapped] = {
    "a plain decorator": plainly,
    "two of them": lambda function: plainly(plainly(function)),
    "an object": Object,
    "a method": lambda function: Object(function).method,
    "a partial": functools.partial,
    "a partial of an object": lambda function: functools.partial(Object(function)),
    "a lambda": lambda function: lambda task: function(task),  # noqa: PLW0108
    "a loop of its own": lambda function: functools.wraps(function)(lambda task: asyncio.run(function(task))),
}


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_a_function_may_be_wrapped(fleet: Fleet, worker_file: WorkerFile, producer: Producer, wrapped: Wrapped) -> None:
    project = fleet.project()
    submitter = producer(project)
    for recipe in ("good", "bad", "skip"):
        submitter.submit(project, recipe, verification_count=2 if recipe == "good" else 1)
    worker = Worker(fleet.url, file=worker_file(project), wait=0)

    async def vote(task: Task) -> int:
        await asyncio.sleep(0.01)
        if task.recipe == "bad":
            raise Fail("bad")
        if task.recipe == "skip":
            raise Skip("later", delay=3600)
        return 5

    worker.task(project=project, concurrency=3)(wrapped(vote))
    with running(worker):
        until(lambda: sum(counters(fleet, project)[name] for name in ("voted", "failed", "skipped")) == 3)

    (row,) = fleet.admin.get(f"/project/tasks/{project}?state=verifying").content()["tasks"]
    assert [vote["verification"] for vote in row["votes"]] == [5]


def with_a_yield(task: Task) -> Any:
    yield 1


async def with_an_async_yield(task: Task) -> Any:
    yield 1


def without_a_task() -> None: ...


def with_more(task: Task, session: object) -> None: ...


def with_a_title(task: Task) -> str:
    return "a title"


def with_a_flag(task: Task) -> "bool":
    return True


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (with_a_yield, "with_a_yield has a yield, so it returns no vote"),
        (with_an_async_yield, "with_an_async_yield has a yield"),
        (without_a_task, r"without_a_task\(\) -> None is called with a task, and nothing else: too many"),
        (with_more, "missing a required argument: 'session'"),
        (lambda: None, "is called with a task"),
        (with_a_title, "with_a_title returns str: return a signed 64-bit int or None"),
        (with_a_flag, "with_a_flag returns bool"),
        (Object, "decorates a function, not <class"),
        (5, "decorates a function, not 5"),
    ],
)
def test_a_function_that_cannot_work_is_refused_where_it_is_decorated(function: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        Worker("http://broker").task(project=1)(function)


@pytest.mark.parametrize(
    ("returned", "kind"), [("a title", "str"), (True, "bool"), (2**63, "int"), (iter(()), "tuple_iterator")]
)
def test_what_is_no_vote_fails_the_task_with_a_sentence(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, *, returned: object, kind: str
) -> None:
    project = fleet.project()
    producer(project).submit(project, "r")
    worker = Worker(fleet.url, file=worker_file(project), wait=0)
    function: Any = lambda task: returned  # noqa: E731
    worker.task(project=project)(function)

    with running(worker):
        until(lambda: stats(fleet, project)["failed"] == 1)

    (row,) = fleet.admin.get(f"/project/tasks/{project}?state=failed").content()["tasks"]
    assert row["error"]["message"] == (
        f"its function returned {kind}: return a signed 64-bit int or None; broker.client.verification makes an int of "
        "text or bytes"
    )
