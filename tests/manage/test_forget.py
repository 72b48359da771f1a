"""The hash of a closed task is free again when somebody says so."""

from typing import Any

import pytest

from tests.client import Caller, Fleet, WorkerCaller

UNIQUE = {"unique_string": "https://example.org/"}


def forgotten(caller: Caller, project: int, body: dict[str, Any]) -> bool:
    flag: bool = caller.post(f"/project/forget/{project}", body).content()["forgotten"]
    return flag


def closed(worker: WorkerCaller, project: int, **fields: Any) -> None:
    worker.submit(project, **fields)
    assert worker.release(worker.take(project)["id"]) is True


@pytest.mark.parametrize("remember", [-1, 3600])
def test_a_hash_that_is_forgotten_can_be_submitted_again(fleet: Fleet, remember: int) -> None:
    project = fleet.project(remember_closed=remember)
    worker = fleet.worker(project)
    closed(worker, project, hash64=6838688128588807185)
    closed(worker, project, **UNIQUE)
    assert worker.post("/task/submit", {"project": project, "recipe": "r", **UNIQUE}).code == "duplicate"

    assert forgotten(worker, project, {"unique_str": "test"}) is True
    assert forgotten(fleet.admin, project, UNIQUE) is True
    assert forgotten(fleet.admin, project, UNIQUE) is False

    closed(worker, project, **UNIQUE)
    closed(worker, project, hash64=6838688128588807185)


def test_the_hash_of_a_task_that_is_not_closed_stays(fleet: Fleet) -> None:
    project = fleet.project(remember_closed=-1)
    worker = fleet.worker(project)
    worker.submit(project, hash64=5)

    assert forgotten(worker, project, {"hash_u64": 5}) is False

    assert worker.post("/task/submit", {"project": project, "recipe": "r", "hash64": 5}).code == "duplicate"


def test_a_project_that_remembers_nothing_has_nothing_to_forget(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    closed(worker, project, hash64=5)

    assert forgotten(worker, project, {"hash64": 5}) is False


def test_a_worker_needs_submit_to_forget(fleet: Fleet) -> None:
    project = fleet.project(remember_closed=-1, public=True)
    worker = fleet.worker(project, may="assign")

    for one in (worker, fleet.worker()):
        assert one.post(f"/project/forget/{project}", UNIQUE).code == "denied"
    assert worker.post("/project/forget/99999", UNIQUE).code == "not_found"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "hash64: required"),
        ({"hash64": 0}, "hash64: required"),
        ({"unique_string": ""}, "hash64: required"),
        ({"hash64": 1, "unique_string": "a"}, "unique_string: send this or hash64, not both"),
        ({"hash64": 1, "hash_u64": 2}, "hash_u64: differs from hash64"),
        ({"hash64": 2**63}, "hash64: "),
        ({"hash64": "1"}, "hash64: "),
    ],
)
def test_an_invalid_hash_is_refused(fleet: Fleet, body: dict[str, Any], message: str) -> None:
    project = fleet.project()

    answer = fleet.admin.post(f"/project/forget/{project}", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(message)
