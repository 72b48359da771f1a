"""Delays, holds, reasons and rounds as a client sees them; tests/store/test_time.py has the rules with a clock."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest

from tests.client import Answer, Fleet, WorkerCaller

TEN_YEARS = 315_360_000
SOON = 0.5
"""Seconds: far less than the second between two polls of the store, far more than a wake-up takes."""


def rows(fleet: Fleet, project: int, state: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fleet.admin.get(f"/project/tasks/{project}?state={state}").content()["tasks"]
    return found


def test_a_delay_and_a_date_are_seconds_kept_to_a_millisecond(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    begun, date = time.time(), round(time.time()) + 5000.1234
    worker.submit(project, "in a while", delay=1000.5, priority=1)
    worker.submit(project, "at a date", not_before=date)

    at_date, in_a_while = sorted(rows(fleet, project, "delayed"), key=lambda row: str(row["recipe"]))
    assert at_date["not_before"] == round(date, 3)
    assert begun + 1000 <= in_a_while["not_before"] <= time.time() + 1001
    stats = fleet.admin.get(f"/project/stats/{project}").content()["stats"]
    assert (stats["waiting"], stats["delayed"]) == (0, 2)
    assert worker.get(f"/task/get/{project}").code == "no_task"


def test_what_is_0_or_over_waits_at_once(project: int, worker: WorkerCaller) -> None:
    for fields in (
        {"delay": 0},
        {"not_before": 0},
        {"not_before": 1.5},
        {"delay": None, "not_before": 5},
        {"delay": 0.0001},
    ):
        task = worker.submit(project, **fields)
        assert worker.take(project)["id"] == task
        assert worker.release(task)


WRONG = ["1", True, [], -1, -0.001, TEN_YEARS + 1, 10**400]


@pytest.mark.parametrize(
    ("field", "wrong"), [*product(["delay"], WRONG), *product(["not_before"], ["1", True, [], -1])]
)
def test_a_submit_names_what_is_wrong_about_its_time(
    project: int, worker: WorkerCaller, field: str, wrong: object
) -> None:
    answer = worker.post("/task/submit", {"project": project, "recipe": "r", field: wrong})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(f"{field}:") or wrong == 10**400
    assert worker.get(f"/task/get/{project}").code == "no_task"


def test_a_submit_says_one_time_of_the_next_ten_years(project: int, worker: WorkerCaller) -> None:
    for fields in ({"delay": 1, "not_before": 5}, {"not_before": time.time() + TEN_YEARS + 60}):
        answer = worker.post("/task/submit", {"project": project, "recipe": "r", **fields})
        assert (answer.status, answer.message.split(":")[0]) == (400, "not_before")


@pytest.mark.parametrize(
    ("field", "wrong"), [*product(["delay", "again_in"], WRONG), *product(["message"], [5, [], {}])]
)
def test_a_release_names_what_is_wrong_and_does_nothing(
    project: int, worker: WorkerCaller, field: str, wrong: object
) -> None:
    worker.submit(project)
    task = worker.take(project)["id"]

    answer = worker.post("/task/release", {"task_id": task, "result": int(field != "again_in"), field: wrong})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(f"{field}:") or wrong == 10**400
    assert worker.release(task)


@pytest.mark.parametrize("result", [1, 2])
def test_only_an_ok_lets_a_task_come_again(project: int, worker: WorkerCaller, result: int) -> None:
    worker.submit(project)
    task = worker.take(project)["id"]

    refused = worker.post("/task/release", {"task_id": task, "result": result, "again_in": 5})
    zeros = {"delay": 0, "again_in": 0, "group_delay": 0, "group_blocked": 0, "message": ""}

    assert (refused.status, refused.message.split(":")[0]) == (400, "again_in")
    assert worker.post("/task/release", {"task_id": task, "result": result, **zeros}).content()["updated"] is True


def test_the_first_thousand_characters_of_a_message_are_kept(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    message = "line one\nline two \N{GRINNING FACE}\x00 " + "é" * 200_000
    task = worker.submit(project)
    worker.take(project)
    worker.post("/task/release", {"task_id": task, "result": 1, "message": message}).content()

    (row,) = rows(fleet, project, "failed")
    assert row["error"] == {"message": message[:1000], "worker": worker.id, "time": row["fail_time"]}
    assert fleet.admin.get(f"/project/task/{project}/{task}").content()["task"]["error"] == row["error"]


@pytest.mark.parametrize("wrong", ["0", "86401", "-1", "1.5", "x", ""])
def test_a_hold_is_a_second_to_a_day(project: int, worker: WorkerCaller, wrong: str) -> None:
    for answer in (
        worker.get(f"/task/get/{project}?hold={wrong}"),
        worker.post("/task/turn", {"get": {"project": project, "hold": wrong}}),
    ):
        assert (answer.status, answer.code) == (400, "invalid")
        assert "hold" in answer.message


def test_a_task_is_held_for_as_long_as_the_get_says(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    for number in range(3):
        worker.submit(project, str(number), max_assign_time=60 * number)
    begun = time.time()
    worker.get(f"/task/get/{project}?count=2&hold=100").content()
    worker.post("/task/turn", {"get": {"project": project, "hold": 100}}).content()

    held = {row["recipe"]: row["deadline"] - begun for row in rows(fleet, project, "assigned")}
    assert all(99 <= held[recipe] <= 130 for recipe in ("0", "2"))
    assert 59 <= held["1"] <= 90


def test_a_task_comes_again_with_its_round(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    task = worker.submit(project, hash64=5)
    worker.take(project)
    worker.post("/task/release", {"task_id": task, "result": 0, "again_in": 0.05}).content()

    again = worker.take(project, wait=10)

    assert (again["id"], again["round"]) == (task, 2)
    assert "round" not in again["project"]


def waits(pool: ThreadPoolExecutor, worker: WorkerCaller, project: int) -> "Future[Answer]":
    return pool.submit(worker.get, f"/task/get/{project}?wait=20")


def test_a_waiting_worker_is_woken_when_a_delay_ends(project: int, fleet: Fleet, worker: WorkerCaller) -> None:
    other = fleet.worker(project)
    with ThreadPoolExecutor(2) as pool:
        waiting = waits(pool, worker, project)
        time.sleep(0.2)  # it waits
        begun = time.monotonic()
        task = other.submit(project, delay=0.3)
        assert waiting.result(20).content()["task"]["id"] == task
        assert 0.29 < time.monotonic() - begun < 0.3 + SOON


def test_of_waiting_workers_one_that_did_not_fail_a_task_gets_it(fleet: Fleet) -> None:
    project = fleet.project(retry_delay=0.5)
    failing, other = fleet.worker(project), fleet.worker(project)
    task = failing.submit(project, max_retries=5)
    failing.take(project)
    assert failing.release(task, result=1)

    with ThreadPoolExecutor(2) as pool:
        first = waits(pool, failing, project)
        time.sleep(0.1)  # it is the first in the queue
        second = waits(pool, other, project)
        assert second.result(20).content()["task"]["id"] == task
        assert other.release(task, result=2)
        assert first.result(20).content()["task"]["id"] == task


def test_a_lone_waiting_worker_gets_the_task_that_it_failed(fleet: Fleet) -> None:
    project = fleet.project(retry_delay=0.3)
    worker = fleet.worker(project)
    task = worker.submit(project, max_retries=5)
    worker.take(project)
    begun = time.monotonic()
    assert worker.release(task, result=1)

    assert worker.take(project, wait=20)["id"] == task
    assert time.monotonic() - begun < 0.33 + 2 * SOON


def test_workers_give_back_what_they_hold(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    task = worker.submit(project)
    worker.take(project)

    wrong = worker.post("/task/give_back", {"task_ids": list(range(1, 1002))})
    assert (wrong.status, wrong.message.split(":")[0]) == (400, "task_ids")
    assert worker.post("/task/give_back", {"task_ids": [task, 5, -1]}).content()["returned"] == [True, False, False]
    (row,) = rows(fleet, project, "queue")
    assert (row["reclaims"], row["retries"]) == (1, 0)
