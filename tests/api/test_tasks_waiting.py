"""A get that waits is answered as soon as there is a task."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.client import Answer, Caller, Fleet, WorkerCaller
from tests.serving import Serving, until

SOON = 0.5
"""Seconds: far less than the second between two polls of the store, far more than a wake-up takes."""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, served_store: str) -> Iterator[Serving]:
    """A broker of two processes, in which no other test leaves tasks for workers that wait for any project."""
    running = Serving.start(tmp_path_factory.mktemp("waiting"), workers=2, prefix="waiting", redis_url=served_store)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def admin(serving: Serving) -> Caller:
    return serving.admin()


@contextmanager
def of_one_process(folder: Path) -> Iterator[tuple[Fleet, Serving]]:
    """A broker of one process, so that the order of waiting workers is known."""
    serving = Serving.start(folder)
    fleet = Fleet(serving.url, serving.admin())
    yield fleet, serving
    fleet.close()
    assert serving.stop() == 0


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with of_one_process(tmp_path_factory.mktemp("single")) as (fleet, _):
        yield fleet


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


class Waiting:
    """A get under way."""

    def __init__(self, pool: ThreadPoolExecutor, worker: WorkerCaller, path: str) -> None:
        self.worker = worker
        self._answer: Future[tuple[Answer, float]] = pool.submit(self._ask, path)
        # Long enough for the get to wait. A get that arrives later finds the task as well, and only proves less.
        time.sleep(0.15)

    def _ask(self, path: str) -> tuple[Answer, float]:
        answer = self.worker.get(path)
        return answer, time.monotonic()

    def done(self) -> bool:
        return self._answer.done()

    def result(self) -> Answer:
        return self._answer.result(70)[0]

    def task(self) -> Any:
        return self.result().content()["task"]["id"]

    def answered(self) -> float:
        return self._answer.result(70)[1]


def test_a_get_that_waits_has_a_task_as_soon_as_it_is_submitted(
    pool: ThreadPoolExecutor, fleet: Fleet, project: int
) -> None:
    worker, producer = fleet.worker(project), fleet.worker(project)
    for path in (f"/task/get/{project}?wait=20", "/task/get?wait=20"):
        waiting = Waiting(pool, worker, path)
        assert not waiting.done()

        submitted = time.monotonic()
        task = producer.submit(project)

        assert waiting.task() == task
        assert waiting.answered() - submitted < SOON


def test_a_get_with_count_waits_too(pool: ThreadPoolExecutor, fleet: Fleet, project: int) -> None:
    worker = fleet.worker(project)
    waiting = Waiting(pool, worker, f"/task/get/{project}?wait=20&count=5")

    task = fleet.worker(project).submit(project)

    assert [one["id"] for one in waiting.result().content()["tasks"]] == [task]


def test_a_wait_that_ends_in_vain_is_answered_like_any_get(fleet: Fleet, project: int) -> None:
    worker = fleet.worker(project)
    for path in (f"/task/get/{project}?wait=1", "/task/get?wait=1"):
        begun = time.monotonic()

        answer = worker.get(path)

        assert (answer.status, answer.body["ok"], answer.code) == (200, False, "no_task")
        assert time.monotonic() - begun >= 1


@pytest.mark.parametrize("wait", ["-1", "61", "1.5", "x", ""])
def test_a_wait_is_a_whole_number_of_seconds_up_to_sixty(fleet: Fleet, project: int, wait: str) -> None:
    answer = fleet.worker(project).get(f"/task/get/{project}?wait={wait}")

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("wait: ")


def test_a_worker_without_access_is_told_at_once(fleet: Fleet, project: int) -> None:
    assert fleet.worker().get(f"/task/get/{project}?wait=20").status == 403
    assert fleet.worker().get("/task/get/99999?wait=20").status == 404


def test_workers_are_served_in_the_order_in_which_they_came(single: Fleet, pool: ThreadPoolExecutor) -> None:
    project = single.project()
    producer = single.worker(project)
    waiting = [Waiting(pool, single.worker(project), f"/task/get/{project}?wait=20") for _ in range(5)]

    for number, first in enumerate(waiting):
        task = producer.submit(project)
        assert first.task() == task
        assert [one.done() for one in waiting] == [n <= number for n in range(5)]


def test_many_tasks_wake_many_workers(pool: ThreadPoolExecutor, fleet: Fleet, project: int) -> None:
    waiting = [Waiting(pool, fleet.worker(project), f"/task/get/{project}?wait=20") for _ in range(20)]

    body = {"requests": [{"project": project, "recipe": "r"} for _ in range(20)]}
    tasks = fleet.worker(project).post("/task/bulk_submit", body).content()["outcomes"]

    assert sorted(one.task() for one in waiting) == sorted(tasks)


@pytest.mark.parametrize("result", [1, 2], ids=["fail", "skip"])
def test_a_task_that_is_given_back_reaches_a_waiting_worker(
    pool: ThreadPoolExecutor, fleet: Fleet, project: int, result: int
) -> None:
    holder, other = fleet.worker(project), fleet.worker(project)
    task = holder.submit(project, max_retries=3)
    held = holder.take(project)["id"]
    waiting = Waiting(pool, other, f"/task/get/{project}?wait=20")

    begun = time.monotonic()
    holder.post("/task/release", {"task_id": held, "result": result}).content()

    assert waiting.task() == task
    assert waiting.answered() - begun < SOON


def test_a_task_that_is_reclaimed_reaches_a_waiting_worker(
    pool: ThreadPoolExecutor, fleet: Fleet, project: int
) -> None:
    holder, other = fleet.worker(project), fleet.worker(project)
    task = holder.submit(project, max_assign_time=1)
    holder.take(project)

    assert Waiting(pool, other, f"/task/get/{project}?wait=20").task() == task


def test_maintenance_and_a_single_retry_reach_waiting_workers(
    pool: ThreadPoolExecutor, fleet: Fleet, project: int
) -> None:
    holder, other = fleet.worker(project), fleet.worker(project)
    task = holder.submit(project)

    def failed() -> None:
        assert holder.take(project)["id"] == task
        assert holder.release(task, 1)

    for path in (f"/project/retry_task/{project}/{task}", f"/project/reset_failed_tasks/{project}"):
        failed()
        waiting = Waiting(pool, other, f"/task/get/{project}?wait=20")
        begun = time.monotonic()
        fleet.admin.post(path).content()
        assert waiting.task() == task
        assert waiting.answered() - begun < SOON
        assert other.post("/task/release", {"task_id": task, "result": 2}).content()["updated"]
    holder.take(project)
    waiting = Waiting(pool, other, f"/task/get/{project}?wait=20")
    fleet.admin.post(f"/project/reclaim_assigned_tasks/{project}").content()
    assert waiting.task() == task


def test_a_chained_task_reaches_a_waiting_worker(pool: ThreadPoolExecutor, fleet: Fleet) -> None:
    target = fleet.project()
    source = fleet.project(chain=target)
    crawler, indexer = fleet.worker(source), fleet.worker(target)
    waiting = Waiting(pool, indexer, f"/task/get/{target}?wait=20")
    crawler.submit(source, "page")
    begun = time.monotonic()

    assert crawler.release(crawler.take(source)["id"])

    assert waiting.result().content()["task"]["recipe"] == "page"
    assert waiting.answered() - begun < SOON


def test_a_vote_reaches_a_waiting_worker_that_has_not_voted(
    pool: ThreadPoolExecutor, fleet: Fleet, project: int
) -> None:
    voter, second = fleet.worker(project), fleet.worker(project)
    task = voter.submit(project, verification_count=2)
    held = voter.take(project)["id"]
    # The voter waits first; the task is not for it.
    again = [Waiting(pool, voter, f"/task/get/{project}?wait=3") for _ in range(3)]
    waiting = Waiting(pool, second, f"/task/get/{project}?wait=20")
    begun = time.monotonic()

    voter.post("/task/release", {"task_id": held, "result": 0, "verification": 7}).content()

    assert waiting.task() == task
    assert waiting.answered() - begun < SOON
    assert {one.result().code for one in again} == {"no_task"}


def test_a_paused_project_wakes_nobody_until_it_goes_on(pool: ThreadPoolExecutor, fleet: Fleet, project: int) -> None:
    worker = fleet.worker(project)
    fleet.admin.post(f"/project/update/{project}", {"paused": True}).content()
    in_vain = Waiting(pool, fleet.worker(project), f"/task/get/{project}?wait=1")
    waiting = Waiting(pool, worker, f"/task/get/{project}?wait=20")
    task = fleet.worker(project).submit(project)

    assert in_vain.result().code == "paused"
    assert not waiting.done()
    fleet.admin.post(f"/project/update/{project}", {"paused": False}).content()
    assert waiting.task() == task


def test_a_get_of_any_project_is_not_told_of_one_that_is_paused(pool: ThreadPoolExecutor, fleet: Fleet) -> None:
    projects = [fleet.project(assign_rate=2) for _ in range(8)]
    workers = [fleet.worker(project) for project in projects]
    for project, worker in zip(projects, workers, strict=True):
        worker.post("/task/bulk_submit", {"requests": [{"project": project, "recipe": "r"}] * 2}).content()
    for project, worker in zip(projects, workers, strict=True):
        worker.take(project)

    # They wait for the rate. Some are woken by it before their process knows of the pause.
    gets = [pool.submit(worker.get, "/task/get?wait=2") for worker in workers[::2]]
    turns = [pool.submit(worker.post, "/task/turn", {"get": {"wait": 2}}) for worker in workers[1::2]]
    for project in projects:
        fleet.admin.post(f"/project/update/{project}", {"paused": True}).content()

    assert "paused" not in {get.result(10).body.get("code") for get in gets}
    assert [turn.result(10).content()["refused"] for turn in turns] == [{}] * 4


def test_a_rate_lets_waiting_workers_through_at_its_pace(pool: ThreadPoolExecutor, fleet: Fleet) -> None:
    project = fleet.project(assign_rate=4)
    waiting = [Waiting(pool, fleet.worker(project), f"/task/get/{project}?wait=20") for _ in range(6)]
    producer = fleet.worker(project)
    body = {"requests": [{"project": project, "recipe": "r"} for _ in range(6)]}
    begun = time.monotonic()
    tasks = producer.post("/task/bulk_submit", body).content()["outcomes"]

    assert sorted(one.task() for one in waiting) == sorted(tasks)
    # One at once, five more at four a second.
    assert max(one.answered() for one in waiting) - begun > 1.2


def test_workers_that_wait_for_a_rate_are_served_when_it_is_lifted(pool: ThreadPoolExecutor, fleet: Fleet) -> None:
    project = fleet.project(assign_rate=0.01)
    producer = fleet.worker(project)
    tasks = {producer.submit(project), producer.submit(project)}
    first = fleet.worker(project).take(project)["id"]
    waiting = Waiting(pool, fleet.worker(project), f"/task/get/{project}?wait=20")

    fleet.admin.post(f"/project/update/{project}", {"assign_rate": 0}).content()

    assert {first, waiting.task()} == tasks


def test_a_worker_that_is_paused_while_it_waits_gets_nothing(
    pool: ThreadPoolExecutor, fleet: Fleet, project: int
) -> None:
    worker = fleet.worker(project)
    waiting = Waiting(pool, worker, f"/task/get/{project}?wait=20")
    fleet.admin.post("/worker/set_paused", {"worker": worker.id, "paused": True}).content()

    task = fleet.worker(project).submit(project)

    assert waiting.result().code == "worker_paused"
    assert fleet.worker(project).take(project)["id"] == task


def test_a_get_asks_the_store_once_before_it_waits_where_others_wait(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    with of_one_process(tmp_path) as (fleet, serving), Redis.from_url(serving.store_url) as redis:
        project = fleet.project()
        workers = [fleet.worker(project) for _ in range(2)]
        waiting = [Waiting(pool, workers[0], f"/task/get/{project}?wait=20")]
        redis.config_resetstat()

        waiting.append(Waiting(pool, workers[1], f"/task/get/{project}?wait=20"))

        # Each get of a project that is not public asks whether the worker has access, with this command.
        assert redis.info("commandstats")["cmdstat_hexists"]["calls"] == 1
        submitted = [workers[0].submit(project) for _ in waiting]
        assert [each.task() for each in waiting] == submitted


def test_a_woken_worker_that_may_take_nothing_leaves_the_task_to_the_next(
    single: Fleet, pool: ThreadPoolExecutor
) -> None:
    project = single.project()
    producer = single.worker(project)
    # The poll of each second would hide a fault now and then.
    for _ in range(4):
        paused, other = single.worker(project), single.worker(project)
        first = Waiting(pool, paused, f"/task/get/{project}?wait=20")
        second = Waiting(pool, other, f"/task/get/{project}?wait=20")
        single.admin.post("/worker/set_paused", {"worker": paused.id, "paused": True}).content()

        submitted = time.monotonic()
        task = producer.submit(project)

        assert first.result().code == "worker_paused"
        assert second.task() == task
        assert second.answered() - submitted < SOON


def test_access_that_is_taken_while_a_worker_waits_is_taken(
    pool: ThreadPoolExecutor, fleet: Fleet, project: int
) -> None:
    worker, other = fleet.worker(project), fleet.worker(project)
    in_project = Waiting(pool, worker, f"/task/get/{project}?wait=20")
    anywhere = Waiting(pool, worker, "/task/get?wait=3")
    fleet.admin.post(f"/project/reject_request/{project}/{worker.id}").content()

    tasks = {other.submit(project), other.submit(project)}

    assert in_project.result().status == 403
    assert anywhere.result().code == "no_task"
    assert {other.take(project)["id"], other.take(project)["id"]} == tasks


def test_a_deleted_project_ends_its_waits(pool: ThreadPoolExecutor, fleet: Fleet, project: int) -> None:
    waiting = Waiting(pool, fleet.worker(project), f"/task/get/{project}?wait=20")

    fleet.admin.post(f"/project/delete/{project}").content()

    assert waiting.result().status == 404


def test_a_public_project_serves_workers_that_wait_for_any_project(pool: ThreadPoolExecutor, fleet: Fleet) -> None:
    project = fleet.project(public=True)
    waiting = Waiting(pool, fleet.worker(), "/task/get?wait=20")

    task = fleet.worker(project, may="submit").submit(project)

    assert waiting.task() == task


def test_a_client_that_has_gone_gets_no_task(fleet: Fleet, project: int) -> None:
    gone, other, producer = (fleet.worker(project) for _ in range(3))
    with pytest.raises(httpx.ReadTimeout):
        gone.get(f"/task/get/{project}?wait=20", timeout=0.3)
    gone.http.close()
    time.sleep(0.1)

    task = producer.submit(project)

    assert other.get(f"/task/get/{project}?wait=5").content()["task"]["id"] == task
    counters = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]["counters"]
    assert counters["assigned"] == 1


def test_clients_that_go_as_their_task_comes_lose_none(pool: ThreadPoolExecutor, fleet: Fleet, project: int) -> None:
    producer = fleet.worker(project)
    workers = [fleet.worker(project) for _ in range(8)]
    stop = threading.Event()

    def comes_and_goes(worker: WorkerCaller) -> list[int]:
        got = []
        while not stop.is_set():
            with httpx.Client(base_url=worker.http.base_url, headers=worker.http.headers, verify=False) as http:
                try:
                    answer = http.get(f"/task/get/{project}?wait=20", timeout=0.05).json()
                except httpx.TransportError:
                    continue
            got += [answer["content"]["task"]["id"]] if answer["ok"] else []
        return got

    going = [pool.submit(comes_and_goes, worker) for worker in workers]
    try:
        tasks = [producer.submit(project, max_retries=1) for _ in range(100)]
    finally:
        stop.set()
    got = [task for one in going for task in one.result(20)]

    # A task whose answer a client did not read is waiting again, or the worker holds it.
    stats = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
    assert stats["waiting"] + stats["assigned"] == len(tasks)
    held = [task["id"] for worker in workers for task in worker.get(f"/task/assigned/{project}").content()["tasks"]]
    assert len(held) == stats["assigned"]
    assert set(got) <= set(held)
    assert stats["counters"].get("retried", 0) == 0


def test_a_stop_ends_all_waits_at_once(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    serving = Serving.start(tmp_path, drain="2s")
    admin = serving.admin()
    fleet = Fleet(serving.url, admin)
    project = fleet.project()
    waiting = [
        Waiting(pool, fleet.worker(project), path) for path in (f"/task/get/{project}?wait=60", "/task/get?wait=60")
    ]
    late = fleet.worker(project)
    begun = time.monotonic()

    serving.process.terminate()

    assert {one.result().code for one in waiting} == {"no_task"}
    assert max(one.answered() for one in waiting) - begun < 1
    assert late.get(f"/task/get/{project}?wait=60").code == "no_task"
    fleet.close()
    admin.close()
    assert serving.process.wait(10) == 0
    assert time.monotonic() - begun < 9


def test_waiting_workers_are_served_after_the_store_was_away(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    with of_one_process(tmp_path) as (fleet, serving):
        project = fleet.project()
        worker, producer = fleet.worker(project), fleet.worker(project)
        waiting = Waiting(pool, worker, f"/task/get/{project}?wait=30")
        store = serving.store()

        os.kill(store, signal.SIGKILL)
        until(lambda: producer.post("/task/submit", {"project": project, "recipe": "r"}).status == 200)

        assert waiting.result().content()["task"]["recipe"] == "r"


def test_a_worker_that_waits_again_gets_what_those_before_it_may_not(single: Fleet, pool: ThreadPoolExecutor) -> None:
    project = single.project()
    voter, other = single.worker(project), single.worker(project)
    # It is known to have access.
    assert pool.submit(other.get, f"/task/get/{project}?wait=1").result().code == "no_task"
    voter.submit(project, verification_count=2)
    voter.release(voter.take(project)["id"])
    waiting = pool.submit(voter.get, f"/task/get/{project}?wait=2")
    time.sleep(0.3)

    begun = time.monotonic()
    assert other.get(f"/task/get/{project}?wait=5").content()["task"]["verification_count"] == 2

    assert time.monotonic() - begun < SOON
    assert waiting.result().code == "no_task"


def test_workers_that_wait_again_are_served_in_the_order_of_their_calls(
    single: Fleet, pool: ThreadPoolExecutor
) -> None:
    project = single.project()
    workers, submitter = [single.worker(project) for _ in range(3)], single.worker(project)
    path = f"/task/get/{project}?wait=10"
    for _ in range(2):
        waiting = []
        for worker in workers:
            waiting.append(pool.submit(worker.get, path))
            time.sleep(0.1)
        for answer in waiting:
            submitted = submitter.submit(project)
            assert answer.result().content()["task"]["id"] == submitted
        for worker in workers:
            (held,) = worker.get(f"/task/assigned/{project}").content()["tasks"]
            worker.release(held["id"])


def test_a_worker_that_has_lost_its_access_is_told_so_at_the_end_of_its_wait(
    single: Fleet, pool: ThreadPoolExecutor
) -> None:
    project = single.project()
    stays, leaves = single.worker(project), single.worker(project)
    assert leaves.get(f"/task/get/{project}?wait=1").code == "no_task"
    waiting = pool.submit(stays.get, f"/task/get/{project}?wait=3")
    time.sleep(0.3)
    single.admin.post(f"/project/reject_request/{project}/{leaves.id}").content()

    assert leaves.get(f"/task/get/{project}?wait=1").code == "denied"

    assert waiting.result().code == "no_task"
