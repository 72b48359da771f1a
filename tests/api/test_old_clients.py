"""The bytes that clients written for the original tracker send, and what they read of the answers.

None of them says a Content-Type.
"""

import json
from typing import Any

import pytest

from tests.client import Answer, Fleet, WorkerCaller, exchange


def go(url: str, method: str, path: str, worker: WorkerCaller | None = None, body: str | None = None) -> Answer:
    """As Go's net/http writes it: headers in canonical case and in alphabetical order."""
    lines = [f"{method} {path} HTTP/1.1", "Host: tracker.example", "User-Agent: Go-http-client/1.1"]
    if body is not None:
        lines.append(f"Content-Length: {len(body.encode())}")
    if worker is not None:
        lines += [f"X-Secret: {worker.secret}", f"X-Worker-Id: {worker.id}"]
    return exchange(url, "\r\n".join([*lines, "Accept-Encoding: gzip", "", body or ""]).encode(), method)


def python(url: str, method: str, path: str, headers: dict[str, object], body: object = None) -> Answer:
    """As Python's requests writes it, with a body that was made by json.dumps and sent as text."""
    lines = [f"{method} {path} HTTP/1.1", "Host: tracker.example", "User-Agent: python-requests/2.22.0"]
    lines += ["Accept-Encoding: gzip, deflate", "Accept: */*", "Connection: keep-alive"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    text = "" if body is None else json.dumps(body)
    return exchange(url, "\r\n".join([*lines, f"Content-Length: {len(text)}", "", text]).encode(), method)


def headers_of(worker: WorkerCaller) -> dict[str, object]:
    return {"X-Worker-Id": worker.id, "X-Secret": worker.secret}


def test_the_go_client_registers_with_an_alias(fleet: Fleet) -> None:
    worker = go(fleet.url, "POST", "/worker/create", body='{"alias":"go worker"}').content()["worker"]

    assert worker["alias"] == "go worker"
    assert isinstance(worker["created"], int)


def test_the_go_client_submits_with_hash_u64_and_gets_all_its_fields(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = (
        f'{{"project":{project},"max_retries":3,"recipe":"r","priority":-1,"max_assign_time":60,'
        '"hash_u64":-8000000000000000001,"unique_str":"","verification_count":0}'
    )

    assert go(fleet.url, "POST", "/task/submit", worker, body).body["ok"] is True
    again = go(fleet.url, "POST", "/task/submit", worker, body)
    assert (again.status, again.body["ok"]) == (409, False)
    assert isinstance(again.message, str)

    task = go(fleet.url, "GET", f"/task/get/{project}", worker).content()["task"]
    assert (task["recipe"], task["priority"], task["max_retries"], task["max_assign_time"]) == ("r", -1, 3, 60)
    release = f'{{"task_id":{task["id"]},"result":0,"verification":0}}'
    assert go(fleet.url, "POST", "/task/release", worker, release).content() == {"updated": True}


def test_the_go_client_submits_in_bulk(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    one = f'{{"project":{project},"max_retries":0,"recipe":"r","priority":0,"max_assign_time":0,"hash_u64":%d}}'

    answer = go(fleet.url, "POST", "/task/bulk_submit", worker, f'{{"requests":[{one % 1},{one % 2},{one % 1}]}}')

    assert answer.body["ok"] is True
    assert (answer.content()["submitted"], answer.content()["duplicates"]) == (2, 1)


@pytest.mark.parametrize("level", ["trace", "info", "warn", "error"])
def test_the_go_client_logs_with_a_capital_message(fleet: Fleet, level: str) -> None:
    body = '{"scope":"go","Message":"hello","timestamp":1559393394}'

    assert go(fleet.url, "POST", f"/log/{level}", fleet.worker(), body).body == {"ok": True}


@pytest.mark.parametrize("body", ["null", "", None, "null\n"])
def test_the_go_client_sends_null_where_it_has_nothing_to_say(fleet: Fleet, body: str | None) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project)

    assert go(fleet.url, "GET", f"/task/get/{project}", worker, body).content()["task"]["assignee"] == worker.id
    assert go(fleet.url, "GET", "/project/list", body=body).content()["projects"]
    assert go(fleet.url, "GET", f"/project/get/{project}", body=body).content()["project"]["id"] == project
    assert go(fleet.url, "GET", f"/project/secret/{project}", worker, body).content() == {"secret": "{}"}
    assert go(fleet.url, "POST", "/worker/create", body=body).content()["worker"]["alias"] == "default_alias"
    assert go(fleet.url, "POST", "/worker/rotate_secret", worker, body).content()["worker"]["id"] == worker.id


def test_the_go_client_reads_a_project_in_content_project(fleet: Fleet) -> None:
    project = fleet.project(public=True)

    read = go(fleet.url, "GET", f"/project/get/{project}").content()["project"]

    assert (read["id"], read["public"], read["assign_rate"]) == (project, True, 1.7976931348623157e308)


def test_a_client_finds_the_delay_of_every_429(fleet: Fleet) -> None:
    project = fleet.project(submit_rate=0.01)
    worker = fleet.worker(project)
    body = f'{{"project":{project},"recipe":"r"}}'

    answers = [go(fleet.url, "POST", "/task/submit", worker, body) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 429]
    assert answers[1].body["rate_limit_delay"] > 0
    assert int(answers[1].headers["Retry-After"]) >= answers[1].body["rate_limit_delay"]


@pytest.mark.parametrize("query", ["", "?count=3", "?wait=1"])
def test_the_go_client_finds_the_words_on_which_it_sleeps_whatever_keeps_tasks_from_it(
    fleet: Fleet, query: str
) -> None:
    empty, paused, closed = fleet.project(), fleet.project(paused=True), fleet.project()
    worker = fleet.worker(empty, paused)

    answers = [go(fleet.url, "GET", f"/task/get/{project}{query}", worker) for project in (empty, paused, closed)]
    # Other tests may have left tasks in public projects.
    while (anywhere := go(fleet.url, "GET", f"/task/get{query}", worker)).body["ok"]:
        pass

    assert {answer.message for answer in [*answers, anywhere]} == {"No task available"}
    assert [(answer.status, answer.code) for answer in answers] == [(200, "no_task"), (200, "paused"), (403, "denied")]
    assert [answer.body["detail"] for answer in answers] == [
        "No task is waiting that this worker may get",
        "The project is paused",
        "This worker may not get tasks of the project",
    ]


def test_the_python_client_sends_null_for_what_it_does_not_know(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body: dict[str, Any] = {
        "project": project,
        "recipe": '{"url": "https://example.org/"}',
        "priority": None,
        "max_assign_time": None,
        "max_retries": None,
        "hash64": None,
        "unique_str": "https://example.org/",
        "verification_count": None,
    }

    first = python(fleet.url, "POST", "/task/submit", headers_of(worker), body)
    again = python(fleet.url, "POST", "/task/submit", headers_of(worker), body)
    without = python(fleet.url, "POST", "/task/submit", headers_of(worker), {**body, "unique_str": None})
    task = python(fleet.url, "GET", f"/task/get/{project}", headers_of(worker)).content()["task"]

    assert [answer.status for answer in (first, again, without)] == [200, 409, 200]
    assert json.loads(task["recipe"]) == {"url": "https://example.org/"}
    assert (task["priority"], task["max_retries"], task["verification_count"]) == (0, 0, 1)
    body = {"task_id": task["id"], "result": 0, "verification": None}
    assert python(fleet.url, "POST", "/task/release", headers_of(worker), body).content() == {"updated": True}


def test_the_python_client_creates_its_worker_before_it_has_an_id(fleet: Fleet) -> None:
    nobody: dict[str, object] = {"X-Worker-Id": None, "X-Secret": None}

    worker = python(fleet.url, "POST", "/worker/create", nobody, {"alias": "python worker"}).content()["worker"]

    assert worker["alias"] == "python worker"
    assert python(fleet.url, "GET", "/project/list", nobody).status == 200
    for method, path, status in (("POST", "/task/submit", 401), ("GET", "/task/get/1", 403), ("GET", "/task/get", 403)):
        answer = python(fleet.url, method, path, nobody, {})
        assert (answer.status, answer.code) == (status, "bad_credentials")


def test_the_python_client_s_bulk_of_an_object_is_refused(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    one = {"project": project, "recipe": "x"}

    answer = python(fleet.url, "POST", "/task/bulk_submit", headers_of(worker), {"requests": one})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("requests")
    assert worker.get(f"/task/get/{project}").code == "no_task"


def test_the_python_client_asks_for_access_with_a_null_or_two(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker()
    body = {"project": project, "assign": True, "submit": None}

    assert python(fleet.url, "POST", "/project/request_access", headers_of(worker), body).body == {"ok": True}


@pytest.mark.parametrize("name", ["X-Worker-ID", "X-Worker-Id", "x-worker-id", "X-WORKER-ID"])
def test_the_case_of_a_header_does_not_matter(fleet: Fleet, name: str) -> None:
    worker = fleet.worker()

    answer = python(fleet.url, "POST", "/worker/update", {name: worker.id, "x-secret": worker.secret}, {"alias": "x"})

    assert answer.body == {"ok": True}


@pytest.mark.parametrize(
    "path", ["//worker/create", "/api//worker/create", "//api///worker//create", "/worker/%2Fcreate"]
)
def test_repeated_slashes_count_as_one(fleet: Fleet, path: str) -> None:
    assert go(fleet.url, "POST", path, body='{"alias":"slashes"}').content()["worker"]["alias"] == "slashes"


def test_repeated_slashes_count_as_one_before_an_id_and_on_a_page(fleet: Fleet) -> None:
    project = fleet.project(public=True)
    worker = fleet.worker(project)
    worker.submit(project)

    assert go(fleet.url, "GET", f"//task/get//{project}", worker).content()["task"]["assignee"] == worker.id
    newcomer = fleet.worker()
    newcomer.post("/project/request_access", {"project": project, "assign": True}).content()
    fleet.admin.post(f"/project//accept_request/{project}//{newcomer.id}").content()
    assert go(fleet.url, "GET", f"//project/get/{project}//").status == 404
    assert go(fleet.url, "GET", "//").content()["name"] == "task-broker"
    assert fleet.anybody.http.get(f"{fleet.url}//ui//sign-in").status_code == 200


def test_a_body_in_chunks_is_a_body(fleet: Fleet) -> None:
    request = (
        b"POST /worker/create HTTP/1.1\r\nHost: broker\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'8\r\n{"alias"\r\n1\r\n:\r\n9\r\n"chunked"\r\n1\r\n}\r\n0\r\n\r\n'
    )

    assert exchange(fleet.url, request).content()["worker"]["alias"] == "chunked"


def test_an_old_http_1_0_client_is_answered(fleet: Fleet) -> None:
    request = b'POST /worker/create HTTP/1.0\r\nContent-Length: 15\r\n\r\n{"alias":"1.0"}'

    assert exchange(fleet.url, request).content()["worker"]["alias"] == "1.0"
