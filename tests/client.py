"""A client of the HTTP API for tests, and a fleet that creates workers, managers and projects."""

import json
import re
import secrets
import socket
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import httpx

from tests import openapi_check

_NOTHING = object()
_LINE = re.compile(rb"(GET|POST) ([!-~]+) HTTP/1\.1\r\n")


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]
    headers: httpx.Headers

    def content(self) -> dict[str, Any]:
        """The content of an answer that must be ok."""
        assert self.status == 200, self
        assert self.body["ok"] is True, self
        content: dict[str, Any] = self.body.get("content", {})
        return content

    @property
    def code(self) -> str | None:
        """Of a refusal."""
        assert self.body["ok"] is False, self
        code: str | None = self.body.get("code")
        return code

    @property
    def message(self) -> str:
        message: str = self.body["message"]
        return message


def exchange(url: str, request: bytes, method: str = "POST", *, seconds: float = 20) -> Answer:
    """Sends these bytes on a new connection: what no HTTP client would send."""
    to = httpx.URL(url)
    with socket.create_connection((to.host, to.port or 80), timeout=seconds) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection, method=method)
        response.begin()
        body = response.read()
        response.close()
    is_json = response.getheader("content-type") == "application/json"
    if (line := _LINE.match(request)) and is_json:
        openapi_check.hold(line[1].decode(), line[2].decode(), None, response.status, body)
    return Answer(response.status, json.loads(body) if is_json else {}, httpx.Headers(response.getheaders()))


class Caller:
    """Sends calls with the same headers and its own cookies. Bodies go out without Content-Type, as in the field."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        # Without certificates, which would take longer to load than most calls take.
        self.http = httpx.Client(base_url=url, headers=headers, timeout=20, verify=False)

    def get(self, path: str, **options: Any) -> Answer:
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any = _NOTHING, **options: Any) -> Answer:
        """``body``: text and bytes go out as they are, everything else as JSON."""
        if body is not _NOTHING:
            options["content"] = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self.send("POST", path, **options)

    def send(self, method: str, path: str, **options: Any) -> Answer:
        """Raises AssertionError for an answer that the OpenAPI document does not allow."""
        response = self.http.request(method, path, **options)
        openapi_check.hold(method, path, options.get("content"), response.status_code, response.content)
        is_json = response.headers.get("content-type") == "application/json" and response.content
        return Answer(response.status_code, response.json() if is_json else {}, response.headers)

    def close(self) -> None:
        self.http.close()


class WorkerCaller(Caller):
    def __init__(self, url: str, worker: dict[str, Any]) -> None:
        super().__init__(url, {"X-Worker-ID": str(worker["id"]), "X-Secret": worker["secret"]})
        self.id: int = worker["id"]
        self.alias: str = worker["alias"]
        self.secret: str = worker["secret"]

    def submit(self, project: int, recipe: str = "recipe", **fields: Any) -> int:
        """The task's id."""
        answer = self.post("/task/submit", {"project": project, "recipe": recipe, **fields})
        task: int = answer.content()["task_id"]
        return task

    def take(self, project: int, wait: int = 0) -> dict[str, Any]:
        """The task that a get returns; there must be one within ``wait`` seconds."""
        task: dict[str, Any] = self.get(f"/task/get/{project}?wait={wait}").content()["task"]
        return task

    def release(self, task: int, result: int = 0, verification: int = 0) -> bool:
        """Whether it was updated."""
        body = {"task_id": task, "result": result, "verification": verification}
        updated: bool = self.post("/task/release", body).content()["updated"]
        return updated


class ManagerCaller(Caller):
    def __init__(self, url: str, username: str, password: str) -> None:
        super().__init__(url)
        self.username = username
        self.password = password
        answer = self.post("/register", {"username": username, "password": password})
        self.id: int = answer.content()["manager"]["id"]


class Fleet:
    """Creates what tests need, with unique names: all tests of a run share the broker."""

    def __init__(self, url: str, admin: Caller) -> None:
        self.url = url
        self.admin = admin
        self.anybody = Caller(url)
        self._callers: list[Caller] = [self.anybody]

    def worker(self, *projects: int, alias: str = "crawler", may: str = "assign,submit") -> WorkerCaller:
        """A worker with access to these projects: ``may`` is assign, submit or both."""
        worker = WorkerCaller(self.url, self.anybody.post("/worker/create", {"alias": alias}).content()["worker"])
        self._callers.append(worker)
        for project in projects:
            asked = {"project": project, "assign": "assign" in may, "submit": "submit" in may}
            worker.post("/project/request_access", asked).content()
            self.admin.post(f"/project/accept_request/{project}/{worker.id}").content()
        return worker

    def manager(self) -> ManagerCaller:
        """A manager who is no admin and has no role anywhere."""
        manager = ManagerCaller(self.url, f"m-{secrets.token_hex(5)}", "a long password")
        self._callers.append(manager)
        return manager

    def project(self, manager: Caller | None = None, **fields: Any) -> int:
        """A project of the admin, private unless ``fields`` say otherwise."""
        fields.setdefault("name", f"project {secrets.token_hex(6)}")
        project: int = (manager or self.admin).post("/project/create", fields).content()["id"]
        return project

    def close(self) -> None:
        for caller in self._callers:
            caller.close()
