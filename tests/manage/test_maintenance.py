"""Maintenance of whole projects over HTTP, on 20,000 tasks, while workers go on."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.client import Fleet, WorkerCaller
from tests.manage.bulk import MANY, affected, live, released, stats, submitted, taken
from tests.serving import until


@pytest.fixture
def worker(worker: WorkerCaller, project: int) -> WorkerCaller:
    """A worker that has submitted many tasks."""
    assert submitted(worker, project, range(1, MANY + 1)) == MANY
    return worker


@contextmanager
def going_on(*work: Callable[[], None]) -> Iterator[None]:
    """Repeats each of these calls in a thread of its own; a thread that fails makes the test fail."""
    over = threading.Event()
    failures: list[BaseException] = []

    def repeat(one: Callable[[], None]) -> None:
        try:
            while not over.is_set():
                one()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=repeat, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(20)
    assert failures == []


def test_failed_tasks_wait_again_with_no_retries_counted(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    failed = taken(worker, project, 5000)
    assert all(released(worker, failed, 1))
    held = taken(worker, project, 3000)
    assert live(worker, project) == {"waiting": 12_000, "assigned": 3000, "failed": 5000}

    assert affected(fleet, "reset_failed_tasks", project) == 5000

    assert live(worker, project) == {"waiting": 17_000, "assigned": 3000}
    assert stats(worker, project)["counters"]["failed"] == 5000
    assert all(released(worker, held, 0))
    retried = {task["id"]: task["retries"] for _ in range(17) for task in gets(worker, project, 1000)}
    assert len(retried) == 17_000
    assert {retried[task] for task in failed} == {0}
    assert affected(fleet, "reset_failed_tasks", project) == 0


def gets(worker: WorkerCaller, project: int, count: int) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = worker.get(f"/task/get/{project}?count={count}").content()["tasks"]
    return tasks


def test_every_assigned_task_goes_back_whatever_its_deadline(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    held = taken(worker, project, 6000)
    body = {"task_ids": held, "seconds": 100_000}
    assert all(worker.post("/task/extend", body).content()["extended"])

    assert affected(fleet, "reclaim_assigned_tasks", project) == 6000

    assert live(worker, project) == {"waiting": MANY}
    assert stats(worker, project)["counters"]["reclaimed"] == 6000
    assert not any(released(worker, held, 0))
    assert worker.get(f"/task/assigned/{project}").content()["tasks"] == []
    again = fleet.worker(project)
    assert sorted(taken(again, project, MANY))[:6000] == sorted(held)


def test_a_hard_reset_deletes_every_live_task_and_keeps_the_counters(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    assert all(released(worker, taken(worker, project, 1000), 0))
    assert all(released(worker, taken(worker, project, 2000), 1))
    held = taken(worker, project, 3000)

    assert affected(fleet, "hard_reset", project) == MANY - 1000

    assert live(worker, project) == {}
    counters = stats(worker, project)["counters"]
    assert {name: counters[name] for name in ("submitted", "closed", "failed", "assigned")} == {
        "submitted": MANY,
        "closed": 1000,
        "failed": 2000,
        "assigned": 6000,
    }
    assert not any(released(worker, held, 0))
    assert worker.get(f"/task/get/{project}").code == "no_task"
    assert affected(fleet, "hard_reset", project) == 0
    assert submitted(worker, project, range(1, MANY + 1)) == MANY


def test_hashes_are_free_while_a_hard_reset_is_still_at_work(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    other = fleet.worker(project)
    newly: list[int] = []

    def submit_the_last_again() -> None:
        body = {"project": project, "recipe": "again", "hash64": MANY - len(newly)}
        answer = other.post("/task/submit", body)
        if answer.status != 409:
            newly.append(answer.content()["task_id"])

    with going_on(submit_the_last_again):
        assert affected(fleet, "hard_reset", project) == MANY
        until(lambda: len(newly) > 10)

    assert live(worker, project) == {"waiting": len(newly)}
    assert sorted(taken_all(worker, project)) == sorted(newly)


def taken_all(worker: WorkerCaller, project: int) -> list[int]:
    tasks: list[int] = []
    while (answer := worker.get(f"/task/get/{project}?count=1000")).body["ok"]:
        tasks += [task["id"] for task in answer.content()["tasks"]]
    return tasks


@pytest.mark.parametrize("operation", ["reset_failed_tasks", "reclaim_assigned_tasks", "hard_reset"])
def test_workers_go_on_meanwhile_and_no_task_is_lost_or_doubled(
    fleet: Fleet, project: int, worker: WorkerCaller, operation: str
) -> None:
    released(worker, taken(worker, project, 7000), 1)
    held = taken(worker, project, 7000)
    submitter, crawler = fleet.worker(project), fleet.worker(project)
    submits: list[tuple[float, int]] = []
    closed: list[tuple[float, int]] = []

    def submit() -> None:
        at = time.monotonic()
        submits.append((at, submitter.submit(project, priority=1)))

    def crawl() -> None:
        at = time.monotonic()
        answer = crawler.get(f"/task/get/{project}")
        if answer.body["ok"]:
            task = answer.content()["task"]["id"]
            if crawler.release(task):
                closed.append((at, task))

    with going_on(submit, crawl):
        until(lambda: bool(submits and closed))
        begun = time.monotonic()
        count = affected(fleet, operation, project)
        ended = time.monotonic()
        until(lambda: submits[-1][0] > ended)

    # A hard reset answers before its work is done.
    assert operation == "hard_reset" or [at for at, _ in submits if begun < at < ended]
    counters, alive = stats(worker, project)["counters"], sum(live(worker, project).values())
    assert counters["submitted"] == MANY + len(submits)
    assert counters["closed"] == len(closed) == len({task for _, task in closed})
    gone = count if operation == "hard_reset" else 0
    assert alive == counters["submitted"] - counters["closed"] - gone
    if operation == "reset_failed_tasks":
        assert count == 7000
    if operation == "reclaim_assigned_tasks":
        # One more when it came between the crawler's get and release.
        assert count in {7000, 7001}
        assert not any(released(worker, held, 0))
    if operation == "hard_reset":
        done = {task for _, task in closed}
        left = set(taken_all(fleet.worker(project), project))
        assert not set(held) & left
        assert {task for at, task in submits if at > ended} <= left | done
        # What survives is the end of what was submitted.
        lost = [place for place, (_, task) in enumerate(submits) if task not in left | done]
        assert all(place > max(lost, default=-1) for place, (_, task) in enumerate(submits) if task in left)


def test_votes_stand_when_failed_tasks_are_reset(fleet: Fleet, project: int) -> None:
    one, two, three = (fleet.worker(project) for _ in range(3))
    task = one.submit(project, verification_count=2)
    assert one.take(project)["id"] == task
    assert one.release(task, 0, verification=7) is False
    assert two.take(project)["id"] == task
    assert two.release(task, 1)
    assert live(one, project) == {"failed": 1}

    assert affected(fleet, "reset_failed_tasks", project) == 1

    assert live(one, project) == {"verifying": 1}
    assert one.get(f"/task/get/{project}").code == "no_task"
    assert three.take(project)["retries"] == 0
    assert three.release(task, 0, verification=7) is True
    assert live(one, project) == {}


@pytest.mark.parametrize("operation", ["reset_failed_tasks", "reclaim_assigned_tasks", "hard_reset", "delete"])
def test_a_project_that_is_not_there_is_not_found(fleet: Fleet, operation: str) -> None:
    answer = fleet.admin.post(f"/project/{operation}/99999")

    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("remember", [-1, 3600])
def test_a_hard_reset_forgets_what_closed_tasks_left(fleet: Fleet, remember: int) -> None:
    project = fleet.project(remember_closed=remember)
    worker = fleet.worker(project)
    worker.submit(project, hash64=5)
    assert worker.release(worker.take(project)["id"])
    assert worker.post("/task/submit", {"project": project, "recipe": "again", "hash64": 5}).status == 409

    assert affected(fleet, "hard_reset", project) == 0

    assert worker.submit(project, hash64=5)
