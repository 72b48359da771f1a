"""The OpenAPI document has every call, and its examples are what a new broker answers.

``tests/client.py`` checks the answers that all other tests get against it as well.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker import __version__
from broker.api import routes
from broker.api.responses import STATUS
from broker.api.routing import SIGNED, TAKER, WORKER
from broker.errors import CODES
from broker.openapi.document import BODIES, document
from broker.openapi.reference import page
from broker.settings import Settings
from tests.client import Answer, Caller, Fleet, ManagerCaller, WorkerCaller
from tests.openapi_check import DOCUMENT
from tests.serving import Serving, until

ENTRIES = {route.call: route.operation for route in routes()}
OPERATIONS = {
    f"{method.upper()} {path}": told for path, way in DOCUMENT["paths"].items() for method, told in way.items()
}

# In this order each example finds what it refers to; the test itself creates what no call before it creates.
STORY = """
POST /register
GET /account
GET HEAD /
GET HEAD /healthz
GET HEAD /readyz
GET /metrics
GET /openapi.json
an index to chain to
POST /project/create
GET /project/get/{id}
GET /project/list
POST /worker/create
POST /worker/update
GET /worker/get/{id}
POST /project/request_access
GET /project/why/{id}
GET /project/access_list/{id}
POST /project/accept_request/{id}/{worker}
another worker asks
POST /project/reject_request/{id}/{worker}
POST /project/join_tokens/{id}
POST /project/join
GET /project/join_tokens/{id}
POST /project/revoke_join_token/{id}
POST /project/secret/{id}
GET /project/secret/{id}
POST /project/webhook_secret/{id}
GET /project/webhook_secret/{id}
POST /project/notify_secret/{id}
GET /project/notify_secret/{id}
POST /git/receivehook
POST /task/submit
POST /task/bulk_submit
GET /project/monitoring-between/{id}
a snapshot
GET /project/monitoring/{id}
GET /task/get/{project}
GET /task/assigned/{project}
GET /project/assignees/{id}
POST /task/extend
POST /task/release
GET /task/get
POST /task/bulk_release
GET /project/stats/{id}
GET /worker/stats
GET /project/tasks/{id}
GET /project/failures/{id}
GET /project/task/{id}/{task}
POST /task/give_back
POST /project/retry_task/{id}/{task}
POST /project/remove_task/{id}/{task}
a task to cancel
POST /task/cancel
a page to crawl
POST /task/turn
POST /project/reset_failed_tasks/{id}
POST /project/reclaim_assigned_tasks/{id}
POST /project/hard_reset/{id}
POST /log/{level}
POST /logs
POST /worker/set_paused
POST /worker/rotate_secret
another manager
GET /manager/list
POST /manager/set_role_for_project/{id}
GET /manager/list_for_project/{id}
GET POST /manager/promote/{id}
GET POST /manager/demote/{id}
POST /project/update/{id}
calls without a place of their own
POST /project/delete/{id}
POST /worker/delete
GET /account/sessions
POST /account/close_sessions
POST /login
POST /account/password
GET POST /logout
"""

VOLATILE = {
    "last",
    "created",
    "register_time",
    "token",
    "expires",
    "assign_time",
    "fail_time",
    "time",
    "deadline",
    "time_stamp",
    "ends",
    "secret",
    "hash64",
}
"""Fields whose values differ in each run. In snapshots and copies all counts do."""


class Story:
    """Sends the examples to a new broker."""

    def __init__(self, serving: Serving) -> None:
        self.ada = serving.caller()
        self.serving = serving
        self.worker: WorkerCaller | None = None
        self.join_token = ""

    def caller(self, call: str) -> Caller:
        by_worker = ENTRIES[call].who in (WORKER, TAKER) or call.startswith("GET /project/secret")
        return self.worker if by_worker and self.worker else self.ada

    def tell(self, call: str) -> None:
        entry = ENTRIES[call]
        *methods, _ = call.split()
        example, body = entry.example, entry.example.body
        if call == "POST /project/join":
            body = body | {"token": self.join_token}
        sent = json.dumps(body) if entry.body else ""
        headers = self._signature(sent) if entry.who is SIGNED else {}
        for method in methods:
            answer = self.caller(call).send(method, example.path, content=sent, headers=headers)
            assert answer.status == entry.good, (call, answer)
            if entry.good == 200 and method != "HEAD" and not entry.media:
                expected = {"ok": True, "message": example.message, "content": example.content}
                told = {name: value for name, value in expected.items() if value is not None}
                assert settled(answer.body, call) == settled(told, call), call
        self._keep(call, answer)

    def _signature(self, sent: str) -> dict[str, str]:
        secret: str = ENTRIES["POST /project/webhook_secret/{id}"].example.body["webhook_secret"]
        return {"X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), sent.encode(), hashlib.sha256).hexdigest()}"}

    def _keep(self, call: str, answer: Answer) -> None:
        if call in {"POST /worker/create", "POST /worker/rotate_secret"}:
            self.worker = WorkerCaller(self.serving.url, answer.content()["worker"])
            self.serving.callers.append(self.worker)
        if call == "POST /project/join_tokens/{id}":
            self.join_token = answer.content()["token"]

    def beside(self, line: str) -> None:
        """Creates what the examples need and do not create themselves."""
        deeds: dict[str, Callable[[], object]] = {
            "an index to chain to": lambda: self.ada.post("/project/create", {"name": "index"}).content(),
            "another worker asks": self._another_worker,
            "a page to crawl": lambda: self.worker and self.worker.take(2),
            "a task to cancel": lambda: self.worker and self.worker.submit(2),
            "a snapshot": lambda: until(
                lambda: bool(self.ada.get("/project/monitoring/2?count=1").content()["snapshots"])
            ),
            "another manager": lambda: self.serving.callers.append(
                ManagerCaller(self.serving.url, "grace", "a long password")
            ),
        }
        deeds[line]()

    def _another_worker(self) -> None:
        worker = WorkerCaller(self.serving.url, self.ada.post("/worker/create").content()["worker"])
        worker.post("/project/request_access", {"project": 2, "assign": True}).content()
        worker.close()


def settled(value: Any, call: str) -> Any:
    """Without the fields that differ in each run."""
    if isinstance(value, list):
        return [settled(one, call) for one in value]
    if not isinstance(value, dict):
        return value
    counts = "monitoring/" in call or call == "GET /worker/stats"
    return {
        name: type(inner)
        if inner is not None and name in VOLATILE and call != "GET /project/secret/{id}"
        else type(inner)
        if counts and name.endswith("_count")
        else "..."
        if name in {"id", "address", "browser"} and call == "GET /account/sessions"
        else "..."
        if name in {"last_seen", "host", "version"} and "/worker/" in call
        else settled(inner, call)
        for name, inner in value.items()
    }


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    serving = Serving.start(tmp_path, snapshot_interval="200ms")
    yield Story(serving)
    assert serving.stop() == 0


def test_every_parameter_of_a_path_is_told() -> None:
    for call, entry in ENTRIES.items():
        assert [f"{{{name}}}" for name in entry.path] == [part for part in call.split("/") if part.startswith("{")], (
            call
        )


def test_every_example_is_what_a_new_broker_answers(story: Story) -> None:
    lines = STORY.split("\n")[1:-1]
    for line in lines:
        if line == "calls without a place of their own":
            for call in ENTRIES:
                if call not in lines:
                    story.tell(call)
        elif line in ENTRIES:
            story.tell(line)
        else:
            story.beside(line)


def test_every_code_is_told_with_its_status() -> None:
    assert set(STATUS) == set(CODES), "each code has a meaning in broker/errors.py, a status in broker/api/responses.py"
    for call, told in OPERATIONS.items():
        for status, answer in told["responses"].items():
            for code in answer.get("x-codes", ()):
                fitting = {STATUS[code]} | ({403} if code == "bad_credentials" else set())
                assert int(status) in fitting, (call, code)


def test_every_field_of_a_body_and_of_a_query_says_what_it_is() -> None:
    made = DOCUMENT["components"]["schemas"]

    for name in BODIES & set(made):
        for field, words in made[name]["properties"].items():
            assert words.get("description"), f"{name}.{field}: needed(...) or optional(...) in broker/api/bodies.py"
    for call, told in OPERATIONS.items():
        for parameter in told.get("parameters", ()):
            assert parameter["description"][0].isupper(), call


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [told["operationId"] for told in OPERATIONS.values()]

    assert len(set(names)) == len(names)


def test_the_document_says_which_calls_need_no_credentials(fleet: Fleet) -> None:
    project = fleet.project()
    for call, told in OPERATIONS.items():
        method, path = call.split()
        filled = path.format(id=project, project=project, worker=1, task=1, level="info")
        answer = fleet.anybody.send(method, filled)

        open_to_all = not told["security"] or {} in told["security"]
        assert (answer.status not in {401, 403}) == open_to_all or path == "/logs", call


def test_the_page_of_the_api_is_current() -> None:
    committed = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()

    assert committed == page(), "make docs writes it"


def test_the_document_is_served_and_kept_until_it_changes(fleet: Fleet) -> None:
    first = fleet.anybody.get("/openapi.json")
    etag = first.headers["etag"]

    again = fleet.anybody.http.get("/api/openapi.json", headers={"If-None-Match": etag})

    assert first.headers["content-type"] == "application/json"
    assert first.body == DOCUMENT
    assert first.body["info"]["version"] == __version__
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


def test_the_document_names_the_cookie_of_the_broker() -> None:
    made = document(routes(), Settings(cookie="another"))

    assert made["components"]["securitySchemes"]["session"]["name"] == "another"
