"""Rates: a 429 that says when to come back, and what does not count."""

import math
import time
from typing import Any

import pytest

from tests.client import Answer, Fleet
from tests.serving import until


def is_rate_limited(answer: Answer, at_most: float) -> None:
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert 0 < answer.body["rate_limit_delay"] <= at_most
    assert answer.headers["retry-after"] == str(math.ceil(answer.body["rate_limit_delay"]))
    assert answer.message


def tasks(project: int, count: int, **fields: Any) -> dict[str, object]:
    return {"requests": [{"project": project, "recipe": "x", **fields} for _ in range(count)]}


@pytest.mark.parametrize(("rate", "delay"), [(0.5, 2), (0.01, 100), (1e-6, 1e6), (5e-324, 1e9)])
def test_a_submit_over_the_rate_is_told_when_to_come_back(fleet: Fleet, rate: float, delay: float) -> None:
    project = fleet.project(submit_rate=rate)
    worker = fleet.worker(project)
    worker.submit(project)

    is_rate_limited(worker.post("/task/submit", {"project": project, "recipe": "x"}), delay)
    is_rate_limited(worker.post("/task/bulk_submit", tasks(project, 1)), delay)

    assert worker.get(f"/project/stats/{project}").content()["stats"]["waiting"] == 1


def test_a_get_over_the_rate_is_told_when_to_come_back(fleet: Fleet) -> None:
    project = fleet.project(assign_rate=0.01)
    worker, other = fleet.worker(project), fleet.worker(project)
    first = worker.submit(project)
    worker.submit(project)

    assert worker.take(project)["id"] == first
    is_rate_limited(worker.get(f"/task/get/{project}"), 100)
    is_rate_limited(other.get(f"/task/get/{project}?count=2"), 100)
    assert worker.release(first) is True


def test_the_delay_is_all_that_one_has_to_wait(fleet: Fleet) -> None:
    project = fleet.project(submit_rate=4)
    worker = fleet.worker(project)
    worker.submit(project)
    asked = time.monotonic()
    refused = worker.post("/task/submit", {"project": project, "recipe": "x"})
    is_rate_limited(refused, 0.25)

    until(lambda: worker.post("/task/submit", {"project": project, "recipe": "x"}).status == 200)

    assert refused.body["rate_limit_delay"] - 0.01 <= time.monotonic() - asked < 2


def test_a_bulk_larger_than_the_rate_is_taken_once_and_then_paid_off(fleet: Fleet) -> None:
    project = fleet.project(submit_rate=10)
    worker = fleet.worker(project)

    assert worker.post("/task/bulk_submit", tasks(project, 1200)).content()["submitted"] == 1200

    answer = worker.post("/task/bulk_submit", tasks(project, 2))
    is_rate_limited(answer, 120)
    assert answer.body["rate_limit_delay"] > 110


def test_a_large_get_is_handed_out_once_and_then_paid_off(fleet: Fleet) -> None:
    project = fleet.project(assign_rate=10)
    worker = fleet.worker(project)
    worker.post("/task/bulk_submit", tasks(project, 700)).content()

    assert len(worker.get(f"/task/get/{project}?count=600").content()["tasks"]) == 600
    answer = worker.get(f"/task/get/{project}")
    is_rate_limited(answer, 60)
    assert answer.body["rate_limit_delay"] > 50


def test_duplicates_and_refused_submits_cost_nothing(fleet: Fleet) -> None:
    project = fleet.project()
    worker, stranger = fleet.worker(project), fleet.worker()
    worker.submit(project, hash64=5)
    fleet.admin.post(f"/project/update/{project}", {"submit_rate": 0.01}).content()

    for _ in range(3):
        assert worker.post("/task/submit", {"project": project, "recipe": "x", "hash64": 5}).status == 409
        assert worker.post("/task/bulk_submit", tasks(project, 5, hash64=5)).content()["duplicates"] == 5
        assert worker.post("/task/submit", {"project": project, "recipe": ""}).status == 400
        assert stranger.post("/task/submit", {"project": project, "recipe": "x"}).status == 403

    worker.submit(project, hash64=6)
    is_rate_limited(worker.post("/task/submit", {"project": project, "recipe": "x", "hash64": 5}), 100)


def test_empty_and_refused_gets_cost_nothing(fleet: Fleet) -> None:
    project = fleet.project(assign_rate=0.01)
    worker, stranger = fleet.worker(project), fleet.worker()

    for _ in range(3):
        assert worker.get(f"/task/get/{project}").code == "no_task"
        assert worker.get(f"/task/get/{project}?count=100").code == "no_task"
        assert stranger.get(f"/task/get/{project}").status == 403

    worker.submit(project)
    worker.take(project)
    is_rate_limited(worker.get(f"/task/get/{project}"), 100)


def test_the_rates_of_two_projects_and_of_two_calls_do_not_mix(fleet: Fleet) -> None:
    one, other = (fleet.project(submit_rate=0.01, assign_rate=0.01) for _ in range(2))
    worker = fleet.worker(one, other)

    for project in (one, other):
        worker.submit(project)
        worker.take(project)


def test_any_number_of_calls_is_within_an_unlimited_rate(fleet: Fleet) -> None:
    project = fleet.project(submit_rate=0, assign_rate=0)
    worker = fleet.worker(project)

    for _ in range(30):
        worker.submit(project)
        worker.take(project)


def test_a_get_from_any_project_says_the_shortest_wait(fleet: Fleet) -> None:
    slow, slower = fleet.project(assign_rate=0.02, priority=2**53), fleet.project(assign_rate=0.01, priority=2**53)
    worker = fleet.worker(slow, slower)
    for project in (slow, slower):
        worker.submit(project)
        worker.submit(project)
    assert {worker.get("/task/get").content()["task"]["project"]["id"] for _ in range(2)} == {slow, slower}

    # Other stories may have left tasks in public projects: those are handed out first.
    answers = [worker.get("/task/get")]
    while answers[-1].body["ok"]:
        answers.append(worker.get("/task/get"))

    is_rate_limited(answers[-1], 50)
