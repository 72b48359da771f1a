"""Who may get tasks of a project, submit to it, read it and its secrets."""

from itertools import product
from typing import Any

import pytest

from tests.client import Fleet, WorkerCaller

KINDS: dict[str, dict[str, Any]] = {"public": {"public": True}, "private": {}, "hidden": {"hidden": True}}


@pytest.mark.parametrize(
    ("kind", "granted", "may"),
    [
        ("public", "", "AR"),
        ("private", "", "R"),
        ("hidden", "", ""),
        ("public", "assign", "AR"),
        ("private", "assign", "AR"),
        ("hidden", "assign", "A"),
        ("public", "submit", "ASR"),
        ("private", "submit", "ASR"),
        ("hidden", "submit", "AS"),
        ("public", "assign,submit", "ASR"),
        ("private", "assign,submit", "ASR"),
        ("hidden", "assign,submit", "AS"),
    ],
)
def test_the_permissions_table_of_the_document_is_followed_exactly(
    fleet: Fleet, kind: str, granted: str, may: str
) -> None:
    project = fleet.project()
    worker = fleet.worker(project, may=granted) if granted else fleet.worker()
    fleet.admin.post(f"/project/update/{project}", KINDS[kind]).content()
    fleet.worker(project, may="submit").submit(project, "there before")

    submit = worker.post("/task/submit", {"project": project, "recipe": "x"})
    bulk = worker.post("/task/bulk_submit", {"requests": [{"project": project, "recipe": "x"}]})
    for answer in (submit, bulk):
        assert (answer.status, answer.body.get("code")) == ((200, None) if "S" in may else (403, "denied"))
    for path in (f"/task/get/{project}", f"/task/get/{project}?count=1"):
        fleet.worker(project, may="submit").submit(project)
        get = worker.get(path)
        assert (get.status, get.body.get("code")) == ((200, None) if "A" in may else (403, "denied"))
    assert worker.get(f"/project/get/{project}").status == (200 if "R" in may else 401)
    while worker.get(f"/task/get/{project}").body["ok"]:
        pass


def test_a_request_gains_nothing_until_it_is_accepted(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker()
    asked = {"project": project, "assign": True, "submit": True}

    assert worker.post("/project/request_access", asked).body == {"ok": True}
    assert worker.get(f"/task/get/{project}").status == 403
    assert worker.post("/task/submit", {"project": project, "recipe": "x"}).status == 403
    assert worker.get(f"/project/secret/{project}").status == 403

    fleet.admin.post(f"/project/accept_request/{project}/{worker.id}").content()
    worker.submit(project)
    worker.take(project)


def test_a_worker_asks_once(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker()
    first = {"project": project, "assign": True}
    worker.post("/project/request_access", first).content()

    for again in (first, {"project": project, "submit": True}):
        answer = worker.post("/project/request_access", again)
        assert (answer.status, answer.code) == (400, "already_asked")
        assert answer.message
    fleet.admin.post(f"/project/accept_request/{project}/{worker.id}").content()
    for again in (first, {"project": project, "submit": True}):
        answer = worker.post("/project/request_access", again)
        assert (answer.status, answer.code) == (400, "already_granted")
        assert answer.message
    assert worker.post("/task/submit", {"project": project, "recipe": "x"}).status == 403


def test_a_rejected_worker_may_ask_again(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker()
    asked = {"project": project, "assign": True}

    for _ in range(2):
        worker.post("/project/request_access", asked).content()
        fleet.admin.post(f"/project/reject_request/{project}/{worker.id}").content()
        assert worker.get(f"/task/get/{project}").status == 403
        assert fleet.admin.post(f"/project/accept_request/{project}/{worker.id}").status == 404


def test_a_worker_that_is_granted_assign_on_a_public_project_gets_its_secret(fleet: Fleet) -> None:
    project = fleet.project(public=True)
    fleet.admin.post(f"/project/secret/{project}", {"secret": "of the project"}).content()
    worker = fleet.worker()

    worker.post("/project/request_access", {"project": project, "assign": True}).content()
    assert worker.get(f"/project/secret/{project}").code == "denied"
    fleet.admin.post(f"/project/accept_request/{project}/{worker.id}").content()

    assert worker.get(f"/project/secret/{project}").content() == {"secret": "of the project"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"assign": True}, "project"),
        ({"project": 0, "assign": True}, "project"),
        ({"project": 2**63, "assign": True}, "project"),
        ({"project": "1", "assign": True}, "project"),
        ({"project": 1}, "assign"),
        ({"project": 1, "assign": False, "submit": False}, "assign"),
        ({"project": 1, "assign": None, "submit": None}, "assign"),
        ({"project": 1, "assign": 1}, "assign"),
        ({"project": 1, "submit": "true"}, "submit"),
    ],
)
def test_an_invalid_request_names_the_field(fleet: Fleet, body: object, field: str) -> None:
    answer = fleet.worker().post("/project/request_access", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)


def test_the_access_list_shows_requests_first_and_no_secret(fleet: Fleet) -> None:
    project = fleet.project()
    granted = [fleet.worker(project, may=may) for may in ("assign", "submit", "assign,submit")]
    asking = [fleet.worker(), fleet.worker()]
    for worker in reversed(asking):
        worker.post("/project/request_access", {"project": project, "submit": True}).content()

    accesses = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]

    def entry(worker: WorkerCaller, assign: bool, submit: bool, request: bool) -> dict[str, object]:
        shown = fleet.anybody.get(f"/worker/get/{worker.id}").content()["worker"]
        assert shown["secret"] is None
        return {"submit": submit, "assign": assign, "request": request, "worker": shown, "project": project}

    assert accesses == [
        entry(asking[0], False, True, True),
        entry(asking[1], False, True, True),
        entry(granted[0], True, False, False),
        entry(granted[1], False, True, False),
        entry(granted[2], True, True, False),
    ]


def test_a_project_that_nobody_asked_for_has_an_empty_access_list(fleet: Fleet) -> None:
    assert fleet.admin.get(f"/project/access_list/{fleet.project()}").content() == {"accesses": []}


def test_access_is_managed_with_the_manage_access_role_only(fleet: Fleet) -> None:
    owner, other = fleet.manager(), fleet.manager()
    project = fleet.project(owner)
    worker = fleet.worker()
    worker.post("/project/request_access", {"project": project, "assign": True}).content()
    calls = (
        ("GET", f"/project/access_list/{project}"),
        ("POST", f"/project/reject_request/{project}/{worker.id}"),
        ("POST", f"/project/accept_request/{project}/{worker.id}"),
    )

    for method, path in calls:
        assert fleet.anybody.send(method, path).code == "not_logged_in"
        assert (worker.send(method, path).status, worker.send(method, path).code) == (401, "not_logged_in")
        for role in (0, 31 - 4):
            owner.post(f"/manager/set_role_for_project/{project}", {"manager": other.id, "role": role}).content()
            assert (other.send(method, path).status, other.send(method, path).code) == (403, "denied")
    assert worker.get(f"/task/get/{project}").status == 403
    assert len(owner.get(f"/project/access_list/{project}").content()["accesses"]) == 1

    owner.post(f"/manager/set_role_for_project/{project}", {"manager": other.id, "role": 4}).content()
    assert other.post(f"/project/accept_request/{project}/{worker.id}").content() == {}
    assert worker.get(f"/task/get/{project}").code == "no_task"


def test_accepting_and_rejecting_a_worker_that_never_asked_is_not_found(fleet: Fleet) -> None:
    project = fleet.project()

    for worker in (fleet.worker().id, 2**53):
        for call in ("accept_request", "reject_request"):
            answer = fleet.admin.post(f"/project/{call}/{project}/{worker}")
            assert (answer.status, answer.code) == (404, "not_found")


def test_rejecting_takes_back_what_was_granted(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project)

    assert fleet.admin.post(f"/project/reject_request/{project}/{worker.id}").content() == {}

    assert worker.get(f"/task/get/{project}").status == 403
    assert worker.post("/task/submit", {"project": project, "recipe": "x"}).status == 403
    assert worker.get(f"/project/secret/{project}").status == 403
    assert fleet.admin.get(f"/project/access_list/{project}").content() == {"accesses": []}


def test_a_worker_with_assign_reads_the_secret_that_a_manager_has_set(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project, may="assign")

    assert worker.get(f"/project/secret/{project}").content() == {"secret": "{}"}
    for secret in ('{"key": "\u00e9\N{GRINNING FACE}\x00"}', "", "x" * (1 << 20)):
        assert fleet.admin.post(f"/project/secret/{project}", {"secret": secret}).content() == {}
        assert worker.get(f"/project/secret/{project}").content() == {"secret": secret}
        assert fleet.admin.get(f"/project/secret/{project}").content() == {"secret": secret}


@pytest.mark.parametrize("kind", ["public", "private"])
def test_the_secret_is_for_granted_assign_only(fleet: Fleet, kind: str) -> None:
    project = fleet.project(**KINDS[kind])
    pending, submitting, stranger = fleet.worker(), fleet.worker(project, may="submit"), fleet.worker()
    pending.post("/project/request_access", {"project": project, "assign": True, "submit": True}).content()

    for worker in (pending, submitting, stranger):
        answer = worker.get(f"/project/secret/{project}")
        assert (answer.status, answer.code) == (403, "denied")
        assert "content" not in answer.body
    assert fleet.anybody.get(f"/project/secret/{project}").status == 401


@pytest.mark.parametrize("call", ["secret", "webhook_secret"])
def test_secrets_are_a_manager_s_with_the_secret_role_only(fleet: Fleet, call: str) -> None:
    owner, other = fleet.manager(), fleet.manager()
    project = fleet.project(owner)
    path, body = f"/project/{call}/{project}", {call: "changed"}
    before = owner.get(path).content()

    for role in (0, 31 - 8):
        owner.post(f"/manager/set_role_for_project/{project}", {"manager": other.id, "role": role}).content()
        for answer in (other.get(path), other.post(path, body)):
            assert (answer.status, answer.code) == (403, "denied")
            assert "content" not in answer.body
    for who in (fleet.anybody, fleet.worker(project)):
        answer = who.post(path, body)
        assert (answer.status, answer.code) == (401, "not_logged_in")
    assert owner.get(path).content() == before

    owner.post(f"/manager/set_role_for_project/{project}", {"manager": other.id, "role": 8}).content()
    assert other.get(path).content() == before
    other.post(path, body).content()
    assert owner.get(path).content() == body


def test_a_new_project_has_a_webhook_secret_that_nobody_can_guess(fleet: Fleet) -> None:
    secrets = {
        fleet.admin.get(f"/project/webhook_secret/{fleet.project()}").content()["webhook_secret"] for _ in range(3)
    }

    assert len(secrets) == 3
    assert min(map(len, secrets)) >= 16


def test_a_worker_never_reads_the_webhook_secret(fleet: Fleet) -> None:
    project = fleet.project()

    for who in (fleet.worker(project), fleet.anybody):
        answer = who.get(f"/project/webhook_secret/{project}")
        assert (answer.status, answer.code) == (401, "not_logged_in")


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        *product(["secret"], [None, 5, {}, [], True, "x" * ((1 << 20) + 1)]),
        *product(["webhook_secret"], [None, 5, {}, "", "x" * 1025]),
    ],
)
def test_an_invalid_secret_changes_nothing(fleet: Fleet, call: str, wrong: object) -> None:
    path = f"/project/{call}/{fleet.project()}"
    before = fleet.admin.get(path).content()

    answer = fleet.admin.post(path, {call: wrong})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(call)
    assert fleet.admin.get(path).content() == before


def test_only_the_call_for_a_secret_shows_it(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project)
    fleet.admin.post(f"/project/secret/{project}", {"secret": "very secret"}).content()
    webhook = fleet.admin.get(f"/project/webhook_secret/{project}").content()["webhook_secret"]

    for who, path in (
        (fleet.admin, f"/project/get/{project}"),
        (fleet.admin, "/project/list"),
        (fleet.admin, f"/project/access_list/{project}"),
        (fleet.admin, f"/project/stats/{project}"),
        (worker, f"/task/get/{project}"),
        (worker, f"/task/assigned/{project}"),
        (worker, f"/worker/get/{worker.id}"),
    ):
        text = who.http.get(path).raise_for_status().text
        assert not any(secret in text for secret in ("very secret", webhook, worker.secret))
