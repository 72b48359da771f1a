"""Submitting and releasing many tasks in one call."""

from typing import Any

import pytest

from tests.client import Fleet
from tests.serving import Serving
from tests.stores import looking_into


def tasks(project: int, count: int) -> dict[str, list[dict[str, Any]]]:
    return {"requests": [{"project": project, "recipe": f"page {n}"} for n in range(count)]}


@pytest.mark.parametrize("count", [1, 499, 500, 501, 1200, 10_000])
def test_a_bulk_of_up_to_10000_tasks_is_taken_in_order(fleet: Fleet, count: int) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    content = worker.post("/task/bulk_submit", tasks(project, count)).content()

    assert (content["submitted"], content["duplicates"]) == (count, 0)
    assert content["outcomes"] == [n * 100_000 + project for n in range(1, count + 1)]
    assert worker.take(project)["recipe"] == "page 0"
    rest = worker.get(f"/task/get/{project}?count=1000").body.get("content", {"tasks": []})["tasks"]
    assert [task["recipe"] for task in rest] == [f"page {n}" for n in range(1, min(count, 1001))]


@pytest.mark.parametrize("count", [0, 10_001])
def test_a_bulk_of_none_or_of_more_than_10000_is_refused(fleet: Fleet, count: int) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    answer = worker.post("/task/bulk_submit", tasks(project, count))

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("requests:")
    assert worker.get(f"/task/get/{project}").code == "no_task"


@pytest.mark.parametrize(
    ("wrong", "field", "status"),
    [
        ({"recipe": ""}, "recipe", 400),
        ({"recipe": None}, "recipe", 400),
        ({"recipe": 5}, "recipe", 400),
        ({"recipe": "x" * ((1 << 20) + 1)}, "recipe", 413),
        ({"priority": 40_000}, "priority", 400),
        ({"max_assign_time": -1}, "max_assign_time", 400),
        ({"hash64": 2**63}, "hash64", 400),
        ({"hash64": 1, "unique_string": "a"}, "unique_string", 400),
        ({"unique_string": "a", "unique_str": "b"}, "unique_str", 400),
        ({"project": None}, "project", 400),
        ({"project": 99_999}, "project", 400),
    ],
)
@pytest.mark.parametrize("place", [1, 1100])
def test_one_invalid_task_refuses_the_whole_bulk_and_is_named_by_its_index(
    fleet: Fleet, wrong: dict[str, Any], field: str, status: int, place: int
) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = tasks(project, place + 1)
    body["requests"][place] |= wrong

    answer = worker.post("/task/bulk_submit", body)

    assert (answer.status, answer.code) == (status, "too_large" if status == 413 else "invalid")
    assert answer.message.startswith(f"requests[{place}].{field}")
    assert worker.get(f"/task/get/{project}").code == "no_task"


def test_the_tasks_of_a_bulk_are_for_one_project(fleet: Fleet) -> None:
    one, other = fleet.project(), fleet.project()
    worker = fleet.worker(one, other)
    body = {"requests": [{"project": one, "recipe": "x"}, {"project": other, "recipe": "x"}]}

    answer = worker.post("/task/bulk_submit", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("requests[1].project")
    assert worker.get(f"/task/get/{one}").code == worker.get(f"/task/get/{other}").code == "no_task"


def test_duplicates_in_a_bulk_are_skipped_one_by_one_and_the_others_go_on(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, "there before", hash64=3)
    hashes = [1, 2, 1, 0, 0, 3, 2, 4]
    body = {"requests": [{"project": project, "recipe": f"page {n}", "hash64": h} for n, h in enumerate(hashes)]}

    content = worker.post("/task/bulk_submit", body).content()

    assert (content["submitted"], content["duplicates"]) == (5, 3)
    assert [outcome is None for outcome in content["outcomes"]] == [False, False, True, False, False, True, True, False]
    taken = worker.get(f"/task/get/{project}?count=10").content()["tasks"]
    assert [task["recipe"] for task in taken] == ["there before", "page 0", "page 1", "page 3", "page 4", "page 7"]
    assert [task["id"] for task in taken[1:]] == [outcome for outcome in content["outcomes"] if outcome]


def test_a_bulk_of_nothing_but_duplicates_is_ok_and_says_so(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = {"requests": [{"project": project, "recipe": "x", "unique_string": f"{n}"} for n in range(700)]}
    worker.post("/task/bulk_submit", body).content()

    assert worker.post("/task/bulk_submit", body).content() == {
        "submitted": 0,
        "duplicates": 700,
        "outcomes": [None] * 700,
    }


def test_duplicates_are_found_across_the_whole_of_a_large_bulk(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = {"requests": [{"project": project, "recipe": "x", "hash64": n % 600 + 1} for n in range(1200)]}

    content = worker.post("/task/bulk_submit", body).content()

    assert (content["submitted"], content["duplicates"]) == (600, 600)
    assert content["outcomes"][600:] == [None] * 600


@pytest.mark.parametrize("call", ["bulk_submit", "bulk_release"])
@pytest.mark.parametrize("requests", [None, {}, {"project": 1}, "x", 5, [5], [None], [[]]])
def test_requests_that_are_no_list_of_objects_are_refused(fleet: Fleet, call: str, requests: object) -> None:
    answer = fleet.worker().post(f"/task/{call}", {"requests": requests})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("requests")


def test_a_bulk_release_answers_in_the_order_asked_across_projects(fleet: Fleet) -> None:
    one, other = fleet.project(), fleet.project()
    worker = fleet.worker(one, other)
    for project in (one, one, other, other):
        worker.submit(project)
    a, b, c, d = (worker.take(project)["id"] for project in (one, one, other, other))
    body = [{"task_id": task, "result": 0} for task in (c, a, a, 0, -1, 2**63 - 1, d)]

    content = worker.post("/task/bulk_release", {"requests": body}).content()

    assert content == {"updated": [True, True, False, False, False, False, True]}
    assert [task["id"] for task in worker.get(f"/task/assigned/{one}").content()["tasks"]] == [b]


def test_a_bulk_may_name_many_projects_at_once(fleet: Fleet) -> None:
    projects = [fleet.project(public=True) for _ in range(40)]
    worker = fleet.worker(*projects)
    tasks = [worker.submit(project) for project in projects for _ in range(2)]
    held = [worker.take(project)["id"] for project in projects]

    extended = worker.post("/task/extend", {"task_ids": tasks, "seconds": 60}).content()["extended"]
    body = {"requests": [{"task_id": task, "result": 0} for task in tasks]}
    updated = worker.post("/task/bulk_release", body).content()["updated"]

    assert extended == updated == [task in held for task in tasks]


def test_a_bulk_release_may_fail_skip_and_vote(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    ids = [worker.submit(project), worker.submit(project), worker.submit(project, verification_count=2)]
    worker.get(f"/task/get/{project}?count=3").content()
    body = [{"task_id": task, "result": result} for task, result in zip(ids, (1, 2, 0), strict=True)]

    assert worker.post("/task/bulk_release", {"requests": body}).content() == {"updated": [True, True, False]}

    stats = worker.get(f"/project/stats/{project}").content()["stats"]
    assert [stats[name] for name in ("waiting", "verifying", "assigned", "failed")] == [1, 1, 0, 1]


def test_ten_thousand_tasks_are_released_in_one_call(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.post("/task/bulk_submit", tasks(project, 10_000)).content()
    taken = [task["id"] for _ in range(10) for task in worker.get(f"/task/get/{project}?count=1000").content()["tasks"]]

    body = {"requests": [{"task_id": task, "result": 0} for task in taken]}

    assert worker.post("/task/bulk_release", body).content() == {"updated": [True] * 10_000}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"task_id": None}, "task_id"),
        ({"task_id": 2**63}, "task_id"),
        ({"result": None}, "result"),
        ({"result": 3}, "result"),
        ({"verification": 2**63}, "verification"),
    ],
)
def test_one_invalid_release_refuses_the_whole_bulk(fleet: Fleet, wrong: dict[str, Any], field: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    task = worker.submit(project)
    worker.take(project)
    right = {"task_id": task, "result": 0}

    answer = worker.post("/task/bulk_release", {"requests": [right, right | wrong]})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(f"requests[1].{field}")
    assert worker.release(task) is True


@pytest.mark.parametrize("count", [0, 10_001])
def test_a_bulk_release_of_none_or_of_more_than_10000_is_refused(fleet: Fleet, count: int) -> None:
    answer = fleet.worker().post("/task/bulk_release", {"requests": [{"task_id": 100_001, "result": 0}] * count})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("requests:")


def test_a_project_that_has_too_few_ids_left_takes_nothing_of_a_call(fleet: Fleet, serving: Serving) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    with looking_into(serving.store_url) as redis:
        # The first 500 of a large call would fit, all of it would not.
        redis.hset(f"broker:{{project:{project}}}", "seq", 90_071_992_546 - 600)
    one = {"project": project, "recipe": "r"}

    for count in (601, 1200):
        answer = worker.post("/task/bulk_submit", {"requests": [one] * count})
        assert (answer.status, answer.code, answer.message.partition(":")[0]) == (413, "too_large", "project")
    assert fleet.anybody.get(f"/project/stats/{project}").content()["stats"]["counters"] == {}

    last = worker.post("/task/bulk_submit", {"requests": [one] * 600}).content()["outcomes"][-1]
    assert worker.post("/task/submit", one).status == 413
    assert worker.get(f"/task/get/{project}?count=600").content()["tasks"][-1]["id"] == last
    assert worker.release(last) is True
