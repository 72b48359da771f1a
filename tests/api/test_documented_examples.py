"""The original document's own curl examples, sent as curl sends them, against what the document answers.

curl says that ``-d`` is a form; the bodies begin with a line feed, as they stand in the document.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client import Answer, Fleet, WorkerCaller, exchange

Curl = Callable[..., Answer]

FORM = "application/x-www-form-urlencoded"

PROJECT: dict[str, Any] = {
    "priority": 999,
    "clone_url": "http://github.com/test/test",
    "git_repo": "myrepo",
    "version": "1.0",
    "motd": "",
    "public": True,
    "hidden": False,
    "chain": 0,
    "paused": False,
    "assign_rate": 2,
    "submit_rate": 2,
}


@pytest.fixture
def curl(fleet: Fleet) -> Curl:
    def run(method: str, path: str, body: str = "", worker: WorkerCaller | None = None) -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost:3010", "User-Agent: curl/7.64.0", "Accept: */*"]
        if worker is not None:
            lines += [f"X-Worker-ID: {worker.id}", f"X-Secret: {worker.secret}"]
        if body:
            lines += [f"Content-Length: {len(body.encode())}", f"Content-Type: {FORM}"]
        return exchange(fleet.url, "\r\n".join([*lines, "", body]).encode(), method)

    return run


@pytest.fixture
def project(fleet: Fleet) -> Iterator[int]:
    """Paused at the end: it is public, and workers of other tests would get its tasks."""
    made = fleet.project(**PROJECT)
    yield made
    fleet.admin.post(f"/project/update/{made}", {"paused": True}).content()


def same_shape(answered: object, documented: object) -> None:
    """Each field of the document is there, with a value of its type."""
    assert type(answered) is type(documented) or {type(answered), type(documented)} == {int, float}
    if isinstance(documented, dict) and isinstance(answered, dict):
        assert set(documented) <= set(answered)
        for name, value in documented.items():
            same_shape(answered[name], value)


def test_worker_create(curl: Curl) -> None:
    answer = curl("POST", "/worker/create", '\n{\n"alias": "some alias"\n}')

    assert answer.status == 200
    same_shape(
        answer.body,
        {
            "ok": True,
            "content": {
                "worker": {
                    "id": 1,
                    "created": 1559396382,
                    "alias": "some alias",
                    "secret": "ftZVO4w9Fc7bDuOISRaJL9P92ijkfvNah1Ldgc0a9f8=",
                    "paused": False,
                }
            },
        },
    )
    worker = answer.content()["worker"]
    assert (worker["alias"], worker["paused"], len(worker["secret"])) == ("some alias", False, 44)


def test_worker_update(curl: Curl, fleet: Fleet) -> None:
    worker = fleet.worker()

    answer = curl("POST", "/worker/update", '\n{\n"alias": "another alias"\n}', worker)

    assert (answer.status, answer.body) == (200, {"ok": True})
    assert fleet.anybody.get(f"/worker/get/{worker.id}").content()["worker"]["alias"] == "another alias"


def test_task_submit_get_and_release(curl: Curl, fleet: Fleet, project: int) -> None:
    worker = fleet.worker(project)
    submit = f"""
{{
"project": {project},
"max_retries": 3,
"recipe": "test recipe",
"priority": 1,
"max_assign_time": 3600,
"hash64": 0,
"unique_string": "",
"verification_count": 0
}}"""
    assert curl("POST", "/task/submit", submit, worker).content()["task_id"] == 100_000 + project

    task = curl("GET", f"/task/get/{project}", worker=worker).content()["task"]
    same_shape(
        task,
        {
            "id": 7,
            "priority": 1,
            "assignee": 1,
            "retries": 0,
            "max_retries": 3,
            "status": 1,
            "recipe": "test recipe",
            "max_assign_time": 0,
            "assign_time": 1559397394,
            "verification_count": 0,
            "project": {"id": 1, "name": "My project", **PROJECT},
        },
    )
    given = ("priority", "assignee", "retries", "max_retries", "status", "recipe", "max_assign_time")
    assert [task[name] for name in given] == [1, worker.id, 0, 3, 1, "test recipe", 3600]
    assert {name: task["project"][name] for name in PROJECT} == PROJECT

    release = f'\n{{\n"task_id": {task["id"]},\n"result": 0,\n"verification": -32315129\n}}'
    assert curl("POST", "/task/release", release, worker).body == {"ok": True, "content": {"updated": True}}


def test_task_bulk_submit(curl: Curl, fleet: Fleet, project: int) -> None:
    worker = fleet.worker(project)
    one = f'{{"project": {project}, "max_retries": 3, "recipe": "test recipe", "priority": 1, "hash64": 0}}'

    answer = curl("POST", "/task/bulk_submit", f'\n{{"requests": [\n{one},\n{one}\n]}}', worker)

    assert answer.content()["submitted"] == 2


@pytest.mark.parametrize("level", ["trace", "info", "warn", "error"])
def test_log(curl: Curl, fleet: Fleet, level: str) -> None:
    line = '\n{\n"scope": "Arbitrary log category",\n"message": "message",\n"timestamp": 1559393394\n}'

    answer = curl("POST", f"/log/{level}", line, fleet.worker())

    assert (answer.status, answer.body) == (200, {"ok": True})


def test_project_request_access(curl: Curl, fleet: Fleet, project: int) -> None:
    worker = fleet.worker()
    body = f'\n{{\n"assign": true,\n"submit": true,\n"project": {project}\n}}'

    answer = curl("POST", "/project/request_access", body, worker)

    assert (answer.status, answer.body) == (200, {"ok": True})
    accesses = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
    assert [(access["worker"]["id"], access["assign"], access["submit"]) for access in accesses] == [
        (worker.id, True, True)
    ]


def test_project_get(curl: Curl, project: int) -> None:
    answer = curl("GET", f"/project/get/{project}")

    documented: dict[str, Any] = {"id": project, **PROJECT}
    same_shape(answer.body, {"ok": True, "content": {"name": "My project", **documented}})
    assert {name: answer.content()[name] for name in documented} == documented


def test_project_list(curl: Curl, project: int) -> None:
    projects = curl("GET", "/project/list").content()["projects"]

    (listed,) = [view for view in projects if view["id"] == project]
    assert listed == curl("GET", f"/project/get/{project}").content()["project"]
