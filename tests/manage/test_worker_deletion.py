"""Workers are deleted: what ends with them, and what stays."""

import pytest

from tests.client import Caller, Fleet, WorkerCaller


def delete(fleet: Fleet, worker: int) -> None:
    assert fleet.admin.post("/worker/delete", {"worker": worker}).content() == {"deleted": 1, "pending": False}


def test_what_a_deleted_worker_holds_waits_again_and_its_credentials_end(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    other, public = fleet.worker(project), fleet.project(public=True)
    producer = fleet.worker(public)
    for to in (project, public):
        for _ in range(3):
            (other if to == project else producer).submit(to)
    held = [worker.take(project)["id"], worker.take(public)["id"]]
    theirs = other.take(project)["id"]

    delete(fleet, worker.id)

    for method, path, body in (
        ("POST", "/task/release", {"task_id": held[0], "result": 0}),
        ("GET", f"/task/get/{project}", None),
        ("POST", "/task/submit", {"project": project, "recipe": "r"}),
        ("GET", f"/project/secret/{project}", None),
        ("POST", "/project/request_access", {"project": project, "assign": True}),
    ):
        answer = worker.post(path, body) if method == "POST" else worker.get(path)
        assert (answer.status, answer.code) == (
            403 if path.startswith(("/task/get", "/task/release")) else 401,
            "bad_credentials",
        )
    assert fleet.anybody.get(f"/worker/get/{worker.id}").status == 404
    for to in (project, public):
        stats = fleet.admin.get(f"/project/stats/{to}").content()["stats"]
        assert (stats["waiting"], stats["assigned"]) == ((2, 1) if to == project else (3, 0))
    assert other.release(theirs)
    assert {other.take(project)["id"] for _ in range(2)} > {held[0]}
    # Or workers of other tests would find them.
    fleet.admin.post(f"/project/hard_reset/{public}").content()


def test_access_and_requests_of_a_deleted_worker_end(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    applicant, other = fleet.worker(), fleet.worker(project)
    applicant.post("/project/request_access", {"project": project, "assign": True}).content()

    delete(fleet, worker.id)
    delete(fleet, applicant.id)

    accesses = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
    assert [access["worker"]["id"] for access in accesses] == [other.id]
    for verb in ("accept", "reject"):
        assert fleet.admin.post(f"/project/{verb}_request/{project}/{applicant.id}").status == 404


def test_votes_and_closed_tasks_of_a_deleted_worker_still_count(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    other = fleet.worker(project)
    other.submit(project, "first")
    assert worker.release(worker.take(project)["id"])
    other.submit(project, "second", verification_count=2)
    assert not worker.release(worker.take(project)["id"], verification=7)

    delete(fleet, worker.id)

    assert other.release(other.take(project)["id"], verification=7)
    stats = fleet.admin.get(f"/project/stats/{project}").content()["stats"]
    assert (stats["counters"]["closed"], stats["counters"]["voted"]) == (2, 2)


def test_the_id_of_a_deleted_worker_is_not_used_again(fleet: Fleet) -> None:
    last = fleet.worker()

    delete(fleet, last.id)

    assert fleet.worker().id > last.id
    stats = fleet.anybody.get("/worker/stats").content()["stats"]
    assert last.id not in {row["id"] for row in stats}
    assert fleet.admin.post("/worker/set_paused", {"worker": last.id, "paused": True}).status == 404
    answer = fleet.admin.post("/worker/delete", {"worker": last.id})
    assert (answer.status, answer.code) == (404, "not_found")


def test_a_worker_that_waits_for_a_task_while_it_is_deleted_gets_none(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    other = fleet.worker(project)
    delete(fleet, worker.id)
    other.submit(project)

    assert worker.get(f"/task/get/{project}?wait=1").status == 403
    assert other.take(project)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        *(({"worker": worker}, "worker") for worker in (None, 0, -1, "1", 1.5, True, 2**64)),
        *(({"silent_for": seconds}, "silent_for") for seconds in (0, 86_399, 86_399.9, -1, "86400", 315_360_001, True)),
        ({}, "worker"),
        ({"worker": 1, "silent_for": 86_400}, "worker"),
    ],
    ids=str,
)
def test_invalid_values_are_refused(admin: Caller, body: dict[str, object], field: str) -> None:
    answer = admin.post("/worker/delete", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(f"{field}: ")


def test_a_worker_that_was_seen_today_is_not_silent(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    worker.submit(project)

    assert fleet.admin.post("/worker/delete", {"silent_for": 86_400}).content() == {"deleted": 0, "pending": False}

    assert worker.take(project)
