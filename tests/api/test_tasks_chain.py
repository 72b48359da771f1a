"""Closed tasks that go on to the next project."""

from typing import Any

from tests.client import Fleet


def test_a_closed_task_is_in_the_chained_project_when_the_release_answers(fleet: Fleet) -> None:
    target = fleet.project()
    source = fleet.project(chain=target)
    worker = fleet.worker(source, target)
    fields: dict[str, Any] = {
        "priority": -7,
        "max_retries": 4,
        "max_assign_time": 77,
        "verification_count": 1,
        "group": "a site @ 10 -5",
    }
    task = worker.submit(source, "a\x00b\N{GRINNING FACE}", **fields)
    worker.take(source)

    assert worker.release(task) is True
    chained = worker.take(target)

    assert chained["id"] == 100_000 + target
    assert chained["recipe"] == "a\x00b\N{GRINNING FACE}"
    assert {name: chained[name] for name in fields} == fields
    assert (chained["retries"], chained["project"]["id"]) == (0, target)
    assert worker.get(f"/task/get/{source}").code == "no_task"


def test_a_chained_task_needs_as_many_votes_in_each_project(fleet: Fleet) -> None:
    target = fleet.project()
    source = fleet.project(chain=target)
    one, other = fleet.worker(source, target), fleet.worker(source, target)
    task = one.submit(source, verification_count=2)
    for worker, closes in ((one, False), (other, True)):
        worker.take(source)
        assert worker.release(task, verification=1) is closes

    for worker, closes in ((one, False), (other, True)):
        chained = worker.take(target)
        assert chained["verification_count"] == 2
        assert worker.release(chained["id"], verification=1) is closes


def test_failed_and_skipped_tasks_do_not_go_on(fleet: Fleet) -> None:
    target = fleet.project()
    source = fleet.project(chain=target)
    worker = fleet.worker(source, target)
    task = worker.submit(source)
    for result in (2, 1):
        worker.take(source)
        assert worker.release(task, result=result) is True

    assert worker.get(f"/task/get/{target}").code == "no_task"


def test_a_chained_task_keeps_its_hash(fleet: Fleet) -> None:
    target = fleet.project()
    source = fleet.project(chain=target)
    worker = fleet.worker(source, target)
    worker.submit(source, unique_string="https://example.org/")
    worker.release(worker.take(source)["id"])

    again = {"recipe": "again", "unique_string": "https://example.org/"}
    assert worker.post("/task/submit", {"project": target, **again}).status == 409
    assert worker.post("/task/submit", {"project": source, **again}).status == 200


def test_a_task_whose_hash_the_chained_project_has_is_dropped_there(fleet: Fleet) -> None:
    target = fleet.project()
    source = fleet.project(chain=target)
    worker = fleet.worker(source, target)
    there_before = worker.submit(target, "there before", hash64=5)
    worker.submit(source, "duplicate", hash64=5)
    worker.submit(source, "new", hash64=6)
    for _ in range(2):
        assert worker.release(worker.take(source)["id"]) is True

    assert worker.take(target)["id"] == there_before
    assert worker.take(target)["recipe"] == "new"
    assert worker.get(f"/task/get/{target}").code == "no_task"
    counters = worker.get(f"/project/stats/{target}").content()["stats"]["counters"]
    assert (counters["chained"], counters["duplicates"]) == (1, 1)


def test_a_task_walks_down_a_chain_of_three(fleet: Fleet) -> None:
    last = fleet.project()
    middle = fleet.project(chain=last)
    first = fleet.project(chain=middle)
    worker = fleet.worker(first, middle, last)
    worker.submit(first, "walks", priority=3)

    for project in (first, middle, last):
        task = worker.take(project)
        assert (task["recipe"], task["priority"], task["project"]["id"]) == ("walks", 3, project)
        assert worker.release(task["id"]) is True

    assert all(worker.get(f"/task/get/{project}").code == "no_task" for project in (first, middle, last))


def test_pause_rates_and_access_of_the_chained_project_do_not_apply_to_the_chain(fleet: Fleet) -> None:
    target = fleet.project(paused=True, submit_rate=0.001, hidden=True)
    source = fleet.project(chain=target)
    worker = fleet.worker(source)
    for n in range(3):
        worker.submit(source, f"page {n}")
    for _ in range(3):
        assert worker.release(worker.take(source)["id"]) is True

    fleet.admin.post(f"/project/update/{target}", {"paused": False}).content()
    other = fleet.worker(target)
    assert [other.take(target)["recipe"] for _ in range(3)] == ["page 0", "page 1", "page 2"]


def test_all_that_a_bulk_release_closes_goes_on_in_its_order(fleet: Fleet) -> None:
    target = fleet.project()
    source = fleet.project(chain=target)
    worker = fleet.worker(source, target)
    worker.post("/task/bulk_submit", {"requests": [{"project": source, "recipe": f"{n}"} for n in range(600)]})
    taken = worker.get(f"/task/get/{source}?count=600").content()["tasks"]

    worker.post("/task/bulk_release", {"requests": [{"task_id": task["id"], "result": 0} for task in taken]}).content()

    chained = worker.get(f"/task/get/{target}?count=600").content()["tasks"]
    assert [task["recipe"] for task in chained] == [f"{n}" for n in range(600)]


def test_an_unchained_project_keeps_its_closed_tasks_to_itself(fleet: Fleet) -> None:
    target = fleet.project()
    source = fleet.project(chain=target)
    worker = fleet.worker(source, target)
    fleet.admin.post(f"/project/update/{source}", {"chain": 0}).content()
    worker.submit(source)

    assert worker.release(worker.take(source)["id"]) is True

    assert worker.get(f"/task/get/{target}").code == "no_task"
