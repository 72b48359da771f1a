"""Workers join a project with a join token that a manager has created."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.client import Answer, Caller, Fleet, WorkerCaller


def new_token(fleet: Fleet, project: int, **fields: Any) -> str:
    token: str = created(fleet, project, **fields)["token"]
    return token


def created(fleet: Fleet, project: int, **fields: Any) -> dict[str, Any]:
    body = fields if "assign" in fields or "submit" in fields else {"assign": True, **fields}
    return fleet.admin.post(f"/project/join_tokens/{project}", body).content()


def tokens(fleet: Fleet, project: int) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = fleet.admin.get(f"/project/join_tokens/{project}").content()["tokens"]
    return listed


def join(worker: WorkerCaller, project: int, token: str) -> Answer:
    return worker.post("/project/join", {"project": project, "token": token})


def is_denied(answer: Answer, why: str) -> None:
    assert (answer.status, answer.code) == (403, "denied"), answer
    assert why in answer.message


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(
    ("assign", "submit", "may"), [(True, False, "assign"), (False, True, "submit"), (True, True, "assign,submit")]
)
def test_a_worker_with_a_token_has_access_at_once(
    fleet: Fleet, assign: bool, submit: bool, may: str, hidden: bool
) -> None:
    project = fleet.project(hidden=hidden)
    token = new_token(fleet, project, assign=assign, submit=submit)
    worker = fleet.worker()
    assert worker.get(f"/task/get/{project}").status == 403

    assert join(worker, project, token).content() == {"assign": assign, "submit": submit}

    fleet.worker(project).submit(project)
    # It finds the project without naming it.
    assert worker.get("/task/get").content()["task"]["project"]["id"] == project
    assert worker.post("/task/submit", {"project": project, "recipe": "r"}).status == (200 if submit else 403)
    assert worker.get(f"/project/secret/{project}").status == (200 if "assign" in may else 403)
    (row,) = [row for row in access(fleet, project) if row["worker"]["id"] == worker.id]
    assert (row["assign"], row["submit"], row["request"]) == (assign, submit, False)


def access(fleet: Fleet, project: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
    return rows


def test_a_token_is_shown_once(fleet: Fleet) -> None:
    project = fleet.project()
    before = time.time()

    made = created(fleet, project, assign=True, submit=True, uses=3, expires_in=600)

    assert set(made) == {"token", "token_id"}
    assert len(made["token"]) >= 40
    assert re.fullmatch("[A-Za-z0-9_-]+", made["token"])
    (listed,) = tokens(fleet, project)
    assert before + 599 <= listed.pop("expires") <= time.time() + 600
    assert listed == {"id": made["token_id"], "assign": True, "submit": True, "uses_left": 3}
    assert made["token"] not in json.dumps(fleet.admin.get(f"/project/join_tokens/{project}").body)


def test_without_limits_a_token_works_for_30_days_and_any_number_of_workers(fleet: Fleet) -> None:
    project = fleet.project()
    for fields in ({}, {"uses": 0, "expires_in": 0}, {"uses": None, "expires_in": None}):
        before = time.time()
        id = created(fleet, project, **fields)["token_id"]

        (listed,) = [token for token in tokens(fleet, project) if token["id"] == id]
        assert listed["uses_left"] is None
        assert before + 30 * 86_400 - 1 <= listed["expires"] <= time.time() + 30 * 86_400


def test_each_use_counts_and_no_worker_uses_up_two(fleet: Fleet) -> None:
    project = fleet.project()
    token = new_token(fleet, project, uses=2)
    first, second, third = fleet.worker(), fleet.worker(), fleet.worker()

    for _ in range(3):
        join(first, project, token).content()
        assert tokens(fleet, project)[0]["uses_left"] == 1
    for _ in range(2):
        join(second, project, token).content()
        assert tokens(fleet, project)[0]["uses_left"] == 0

    is_denied(join(third, project, token), "used up")
    # The answer of the last use may have been lost.
    join(second, project, token).content()
    assert third.get(f"/task/get/{project}").status == 403


def test_access_that_covers_the_token_uses_nothing_up_and_less_access_is_completed(fleet: Fleet) -> None:
    project = fleet.project()
    token = new_token(fleet, project, assign=True, uses=1)

    assert join(fleet.worker(project), project, token).content() == {"assign": True, "submit": True}
    assert tokens(fleet, project)[0]["uses_left"] == 1

    assert join(fleet.worker(project, may="submit"), project, token).content() == {"assign": True, "submit": True}
    assert tokens(fleet, project)[0]["uses_left"] == 0


def test_of_many_workers_that_come_at_once_no_more_get_in_than_the_token_has_uses(fleet: Fleet) -> None:
    project = fleet.project()
    token = new_token(fleet, project, uses=10)
    workers = [fleet.worker() for _ in range(25)]

    with ThreadPoolExecutor(25) as threads:
        statuses = list(threads.map(lambda worker: join(worker, project, token).status, workers))

    assert sorted(statuses) == [200] * 10 + [403] * 15
    let_in = {row["worker"]["id"] for row in access(fleet, project)}
    assert let_in == {worker.id for worker, status in zip(workers, statuses, strict=True) if status == 200}
    assert tokens(fleet, project)[0]["uses_left"] == 0


def test_a_wrong_token_and_one_of_another_project_let_nobody_in(fleet: Fleet) -> None:
    project, other = fleet.project(), fleet.project()
    right, worker = new_token(fleet, project), fleet.worker()

    for wrong in ("x", right[:-1], right + "x", right.swapcase(), new_token(fleet, other), "\0", "é" * 10_000):
        is_denied(join(worker, project, wrong), "token")
    is_denied(join(worker, other, right), "token")

    assert access(fleet, project) == []
    assert worker.get("/task/get").status == 200


def test_an_expired_token_lets_nobody_in(fleet: Fleet) -> None:
    project = fleet.project()
    token = new_token(fleet, project, expires_in=1)
    early, late = fleet.worker(), fleet.worker()
    join(early, project, token).content()

    deadline = time.monotonic() + 5
    while tokens(fleet, project) and time.monotonic() < deadline:
        time.sleep(0.05)

    is_denied(join(late, project, token), "expired")
    assert early.get(f"/task/get/{project}").status == 200
    assert tokens(fleet, project) == []


def test_a_revoked_token_lets_nobody_in_and_those_inside_stay(fleet: Fleet) -> None:
    project = fleet.project()
    kept, revoked = created(fleet, project), created(fleet, project)
    inside, outside = fleet.worker(), fleet.worker()
    join(inside, project, revoked["token"]).content()

    fleet.admin.post(f"/project/revoke_join_token/{project}", {"token_id": revoked["token_id"]}).content()

    is_denied(join(outside, project, revoked["token"]), "token")
    assert [token["id"] for token in tokens(fleet, project)] == [kept["token_id"]]
    assert inside.get(f"/task/get/{project}").status == 200
    again = fleet.admin.post(f"/project/revoke_join_token/{project}", {"token_id": revoked["token_id"]})
    assert (again.status, again.code) == (404, "not_found")
    join(outside, project, kept["token"]).content()


def test_a_rejected_worker_cannot_join_until_a_manager_accepts_it(fleet: Fleet) -> None:
    project = fleet.project()
    token = new_token(fleet, project, assign=True, submit=True)
    requested, inside = fleet.worker(), fleet.worker()
    requested.post("/project/request_access", {"project": project, "assign": True}).content()
    join(inside, project, token).content()

    for worker in (requested, inside):
        fleet.admin.post(f"/project/reject_request/{project}/{worker.id}").content()
        for _ in range(2):
            is_denied(join(worker, project, token), "rejected")
        worker.post("/project/request_access", {"project": project, "assign": True}).content()
        is_denied(join(worker, project, token), "rejected")

    fleet.admin.post(f"/project/accept_request/{project}/{requested.id}").content()
    fleet.admin.post(f"/project/accept_requests/{project}", {"workers": [inside.id]}).content()
    for worker in (requested, inside):
        assert join(worker, project, token).content() == {"assign": True, "submit": True}


def test_a_request_that_the_token_covers_is_over_and_another_one_stays(fleet: Fleet) -> None:
    project = fleet.project()
    token = new_token(fleet, project, assign=True)
    covered, more = fleet.worker(), fleet.worker()
    covered.post("/project/request_access", {"project": project, "assign": True}).content()
    more.post("/project/request_access", {"project": project, "submit": True}).content()

    for worker in (covered, more):
        join(worker, project, token).content()

    assert [row["worker"]["id"] for row in access(fleet, project) if row["request"]] == [more.id]
    fleet.admin.post(f"/project/accept_request/{project}/{more.id}").content()
    more.submit(project)


def test_a_project_has_100_tokens_that_work_at_most(fleet: Fleet) -> None:
    project = fleet.project()
    worker, used = fleet.worker(), created(fleet, project, uses=1)
    rest = [created(fleet, project) for _ in range(99)]

    one_more = fleet.admin.post(f"/project/join_tokens/{project}", {"assign": True})
    assert (one_more.status, one_more.code) == (403, "limit_reached")
    assert len(tokens(fleet, project)) == 100

    join(worker, project, used["token"]).content()
    newest = created(fleet, project)
    assert [token["id"] for token in tokens(fleet, project)] == [token["token_id"] for token in [*rest, newest]]
    assert fleet.admin.post(f"/project/join_tokens/{project}", {"assign": True}).status == 403
    fleet.admin.post(f"/project/revoke_join_token/{project}", {"token_id": newest["token_id"]}).content()
    created(fleet, project)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "assign"),
        ({"assign": False, "submit": False}, "assign"),
        ({"assign": 1}, "assign"),
        ({"assign": True, "uses": -1}, "uses"),
        ({"assign": True, "uses": 1.5}, "uses"),
        ({"assign": True, "uses": "3"}, "uses"),
        ({"assign": True, "uses": 2**31}, "uses"),
        ({"assign": True, "expires_in": -1}, "expires_in"),
        ({"assign": True, "expires_in": 0.5}, "expires_in"),
        ({"assign": True, "expires_in": 315_360_001}, "expires_in"),
    ],
    ids=str,
)
def test_an_invalid_token_is_refused(fleet: Fleet, body: object, field: str) -> None:
    project = fleet.project()

    answer = fleet.admin.post(f"/project/join_tokens/{project}", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(f"{field}:")
    assert tokens(fleet, project) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"token": "x"}, "project"),
        ({"project": 1}, "token"),
        ({"project": 1, "token": ""}, "token"),
        ({"project": 1, "token": 5}, "token"),
        ({"project": 0, "token": "x"}, "project"),
    ],
    ids=str,
)
def test_a_join_without_a_project_or_token_is_refused(fleet: Fleet, body: object, field: str) -> None:
    answer = fleet.worker().post("/project/join", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(f"{field}:")


def test_a_project_that_is_unknown_or_deleted_is_404(fleet: Fleet, admin: Caller) -> None:
    project, worker = fleet.project(), fleet.worker()
    token = created(fleet, project)
    admin.post(f"/project/delete/{project}").content()

    for id in (project, 99_998, 2**53):
        assert (join(worker, id, token["token"]).status, join(worker, id, "x").code) == (404, "not_found")
    for id in (project, 99_998):
        assert admin.get(f"/project/join_tokens/{id}").status == 404
        assert admin.post(f"/project/join_tokens/{id}", {"assign": True}).status == 404
        assert admin.post(f"/project/revoke_join_token/{id}", {"token_id": token["token_id"]}).status == 404


def test_a_hard_reset_keeps_tokens_and_access(fleet: Fleet) -> None:
    project = fleet.project()
    token, inside, later = new_token(fleet, project, uses=2), fleet.worker(), fleet.worker()
    join(inside, project, token).content()

    fleet.admin.post(f"/project/hard_reset/{project}").content()

    assert tokens(fleet, project)[0]["uses_left"] == 1
    join(later, project, token).content()
    for worker in (inside, later):
        assert worker.get(f"/task/get/{project}").status == 200


def test_a_paused_worker_and_a_paused_project_do_not_hinder_a_join(fleet: Fleet) -> None:
    project = fleet.project(paused=True)
    worker = fleet.worker()
    fleet.admin.post("/worker/set_paused", {"worker": worker.id, "paused": True}).content()

    assert join(worker, project, new_token(fleet, project)).content() == {"assign": True, "submit": False}
