"""The life of a task as a worker sees it, and the order in which tasks are assigned."""

import json

import pytest

from tests.client import Fleet


def test_a_task_is_submitted_taken_and_closed(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    task_id = worker.submit(project, "crawl it", priority=1, max_retries=3, max_assign_time=60)
    task = worker.take(project)

    assert task_id == 100_000 + project
    assert task["assign_time"] > 1_700_000_000
    whole = fleet.anybody.get(f"/project/get/{project}").content()["project"]
    added = {"group_delay", "group_limit", "group_order", "retry_delay", "retry_delay_max", "max_reclaims", "max_votes"}
    added |= {"notify_url", "notify_failed", "notify_stalled"}
    assert task == {
        "id": task_id,
        "priority": 1,
        "assignee": worker.id,
        "retries": 0,
        "round": 1,
        "max_retries": 3,
        "status": 1,
        "recipe": "crawl it",
        "max_assign_time": 60,
        "assign_time": task["assign_time"],
        "verification_count": 1,
        "group": "",
        "project": {name: value for name, value in whole.items() if name not in added},
    }
    assert worker.release(task_id) is True
    assert worker.get(f"/task/get/{project}").code == "no_task"


def test_a_task_says_all_about_itself_though_only_a_recipe_was_given(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, "only a recipe")

    task = worker.take(project)

    given = ("priority", "retries", "max_retries", "max_assign_time", "verification_count", "status")
    assert [task[name] for name in given] == [0, 0, 0, 0, 1, 1]


def test_within_a_priority_the_first_submitted_is_the_first_handed_out(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    submitted = [worker.submit(project, f"page {n}", priority=7) for n in range(12)]

    assert [worker.take(project)["id"] for _ in submitted] == submitted


def test_the_highest_priority_is_handed_out_first_whatever_its_sign(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    for priority in (0, -1, 32767, 1, -32768, -1, 32766):
        worker.submit(project, priority=priority)

    assert [worker.take(project)["priority"] for _ in range(7)] == [32767, 32766, 1, 0, -1, -1, -32768]


def test_a_task_is_handed_out_once(fleet: Fleet) -> None:
    project = fleet.project()
    one, other = fleet.worker(project), fleet.worker(project)
    task = one.submit(project)

    assert one.take(project)["id"] == task
    assert other.get(f"/task/get/{project}").code == "no_task"
    assert one.get(f"/task/get/{project}").code == "no_task"


def test_nothing_to_do_is_a_200_that_is_not_ok(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    answer = worker.get(f"/task/get/{project}")

    assert answer.status == 200
    detail = "No task is waiting that this worker may get"
    assert answer.body == {"ok": False, "code": "no_task", "message": "No task available", "detail": detail}
    assert worker.get(f"/task/get/{project}?count=5").code == "no_task"


def test_a_get_with_a_count_hands_out_a_list_best_first(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    low, high = worker.submit(project, priority=-5), worker.submit(project, priority=5)

    assert [task["id"] for task in worker.get(f"/task/get/{project}?count=1").content()["tasks"]] == [high]
    rest = worker.get(f"/task/get/{project}?count=1000").content()
    assert [task["id"] for task in rest["tasks"]] == [low]
    assert rest["tasks"][0]["project"]["id"] == project
    assert "task" not in rest


@pytest.mark.parametrize("count", ["0", "1001", "-1", "abc", "", "1e3", "1.0", "+1", "%D9%A3", "%00", "9" * 4301])
def test_a_count_outside_1_to_1000_is_refused_and_takes_nothing(fleet: Fleet, count: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project)

    for path in (f"/task/get/{project}", "/task/get"):
        answer = worker.get(f"{path}?count={count}")
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.message.startswith("count")
    assert worker.get(f"/project/stats/{project}").content()["stats"]["waiting"] == 1


def test_a_batch_stops_at_8_mib_of_recipes_and_the_next_goes_on(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = {"requests": [{"project": project, "recipe": "x" * 1_000_000} for _ in range(10)]}
    worker.post("/task/bulk_submit", body).content()

    first = worker.get(f"/task/get/{project}?count=1000").content()["tasks"]
    second = worker.get(f"/task/get/{project}?count=1000").content()["tasks"]

    assert (len(first), len(second)) == (8, 2)


def test_a_batch_stops_at_8_mib_whatever_the_recipes_are_written_in(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    # More than a chunk of 500, of 14,000 bytes each.
    body = {"requests": [{"project": project, "recipe": "\u00e9" * 7000} for _ in range(700)]}
    worker.post("/task/bulk_submit", json.dumps(body, ensure_ascii=False)).content()

    taken = worker.get(f"/task/get/{project}?count=1000").content()["tasks"]
    held = worker.get(f"/task/assigned/{project}").content()["tasks"]

    assert len(taken) == len(held) == (8 << 20) // 14_000


def test_a_single_get_is_answered_in_full_after_many_were_taken(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.post("/task/bulk_submit", {"requests": [{"project": project, "recipe": f"{n}"} for n in range(1001)]})

    tasks = worker.get(f"/task/get/{project}?count=1000").content()["tasks"]

    assert [task["recipe"] for task in tasks] == [f"{n}" for n in range(1000)]
    assert worker.take(project)["recipe"] == "1000"


def test_a_paused_project_hands_out_nothing_and_still_takes_tasks_in(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    held = worker.submit(project, "before")
    worker.take(project)
    fleet.admin.post(f"/project/update/{project}", {"paused": True}).content()

    submitted = worker.submit(project, "meanwhile")
    answer = worker.get(f"/task/get/{project}")
    assert (answer.status, answer.code) == (200, "paused")
    assert worker.get(f"/task/get/{project}?count=3").code == "paused"
    assert worker.release(held) is True

    fleet.admin.post(f"/project/update/{project}", {"paused": False}).content()
    assert worker.take(project)["id"] == submitted


def test_a_paused_worker_is_kept_from_get_and_from_nothing_else(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    held, other = worker.submit(project), worker.submit(project)
    worker.take(project)
    fleet.admin.post("/worker/set_paused", {"worker": worker.id, "paused": True}).content()

    for path in (f"/task/get/{project}", "/task/get"):
        answer = worker.get(path)
        assert (answer.status, answer.code) == (400, "worker_paused")
        assert "paused" in answer.message
    assert worker.post("/task/extend", {"task_id": held, "seconds": 60}).content() == {"extended": [True]}
    assert worker.release(held) is True
    worker.submit(project)

    fleet.admin.post("/worker/set_paused", {"worker": worker.id, "paused": False}).content()
    assert worker.take(project)["id"] == other


def test_a_revoked_worker_may_extend_and_release_what_it_holds_and_no_more(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    held = worker.submit(project)
    worker.submit(project)
    worker.take(project)
    fleet.admin.post(f"/project/reject_request/{project}/{worker.id}").content()

    assert worker.get(f"/task/get/{project}").status == 403
    assert worker.post("/task/submit", {"project": project, "recipe": "x"}).status == 403
    assert worker.post("/task/extend", {"task_id": held, "seconds": 60}).content() == {"extended": [True]}
    assert worker.release(held) is True


def test_assigned_shows_what_a_worker_holds_so_that_it_can_go_on_after_a_crash(fleet: Fleet) -> None:
    project = fleet.project()
    worker, other = fleet.worker(project), fleet.worker(project)
    for n in range(4):
        worker.submit(project, f"page {n}", max_retries=n)
    mine = [worker.take(project), worker.take(project)]
    other.take(project)

    assert worker.get(f"/task/assigned/{project}").content() == {"tasks": mine}
    worker.release(mine[0]["id"])
    assert worker.get(f"/task/assigned/{project}").content() == {"tasks": mine[1:]}
    assert fleet.worker().get(f"/task/assigned/{project}").content() == {"tasks": []}


def test_a_held_task_can_be_extended_by_its_holder_only(fleet: Fleet) -> None:
    project = fleet.project()
    worker, other = fleet.worker(project), fleet.worker(project)
    one, two = worker.submit(project), worker.submit(project)
    worker.take(project)

    asked = {"task_ids": [two, one, 0, -1, 2**63 - 1, one], "seconds": 2**31 - 1}
    assert worker.post("/task/extend", asked).content() == {"extended": [False, True, False, False, False, True]}
    assert other.post("/task/extend", {"task_id": one, "seconds": 1}).content() == {"extended": [False]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"seconds": 5}, "task_ids"),
        ({"task_id": 100_001}, "seconds"),
        ({"task_id": 100_001, "seconds": 0}, "seconds"),
        ({"task_id": 100_001, "seconds": -1}, "seconds"),
        ({"task_id": 100_001, "seconds": 2**31}, "seconds"),
        ({"task_id": 2**63, "seconds": 5}, "task_id"),
        ({"task_ids": [], "seconds": 5}, "task_ids"),
        ({"task_ids": [1] * 10_001, "seconds": 5}, "task_ids"),
        ({"task_ids": [1, "2"], "seconds": 5}, "task_ids[1]"),
        ({"task_id": 1, "task_ids": [1], "seconds": 5}, "task_ids"),
    ],
)
def test_an_invalid_extend_names_the_field(fleet: Fleet, body: object, field: str) -> None:
    answer = fleet.worker().post("/task/extend", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)


def test_an_unknown_project_is_not_found_by_every_call_on_tasks(fleet: Fleet) -> None:
    worker = fleet.worker()

    for answer in (
        worker.get("/task/get/99999"),
        worker.get(f"/task/get/{2**53}"),
        worker.get("/task/assigned/99999"),
        worker.post("/task/submit", {"project": 99999, "recipe": "x"}),
        worker.post("/task/bulk_submit", {"requests": [{"project": 99999, "recipe": "x"}]}),
    ):
        assert (answer.status, answer.code) == (404, "not_found")
