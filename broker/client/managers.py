"""The calls of managers that tools need, those of anybody, and :meth:`~ManagerCalls.call` for all others.

A manager's session is a cookie, which stays with the client: one client, one manager.
"""

from typing import Any

from msgspec import Struct

from broker.client.calls import Caller, Nothing, Steps
from broker.client.transport import method
from broker.client.types import Manager, Project, Stats, TaskPage, TaskState


class _Manager(Struct):
    manager: Manager | None = None


class _SignedIn(Struct):
    manager: Manager


class _Id(Struct):
    id: int


class _Projects(Struct):
    projects: list[Project]


class _Stats(Struct):
    stats: Stats


class ManagerCalls(Caller):
    @method
    def register(self, username: str, password: str) -> Steps[Manager]:
        """A new account, signed in. The first of a broker is its admin. Refused with 409 when the name is taken."""
        body = {"username": username, "password": password}
        reply = yield from self._call("POST", "/register", _SignedIn, body=body, safe=False)
        return reply.content.manager

    @method
    def login(self, username: str, password: str) -> Steps[Manager]:
        body = {"username": username, "password": password}
        reply = yield from self._call("POST", "/login", _SignedIn, body=body, safe=True, patient=False)
        return reply.content.manager

    @method
    def logout(self) -> Steps[None]:
        yield from self._call("POST", "/logout", Nothing, safe=True)

    @method
    def account(self) -> Steps[Manager | None]:
        """Who is signed in."""
        reply = yield from self._call("GET", "/account", _Manager, safe=True)
        return reply.content.manager

    @method
    def projects(self) -> Steps[list[Project]]:
        """By name; hidden ones only for managers who may read them."""
        reply = yield from self._call("GET", "/project/list", _Projects, safe=True)
        return reply.content.projects

    @method
    def project(self, project: int) -> Steps[Project]:
        reply = yield from self._call("GET", f"/project/get/{project}", Project, safe=True)
        return reply.content

    @method
    def project_stats(self, project: int) -> Steps[Stats]:
        reply = yield from self._call("GET", f"/project/stats/{project}", _Stats, safe=True)
        return reply.content.stats

    @method
    def project_tasks(
        self, project: int, state: TaskState = "queue", *, offset: int = 0, limit: int = 50, full: bool = False
    ) -> Steps[TaskPage]:
        """A page of tasks, ``limit`` at most 500; recipes are cut after 200 characters unless ``full``."""
        query: dict[str, object] = {"state": state, "offset": offset, "limit": limit}
        query |= {"full": 1} if full else {}
        reply = yield from self._call("GET", f"/project/tasks/{project}", TaskPage, query=query, safe=True)
        return reply.content

    @method
    def create_project(self, name: str, /, **fields: object) -> Steps[int]:
        """The project's id. ``fields``: as of ``/project/create`` in docs/http-api.md."""
        body = {"name": name, **fields}
        reply = yield from self._call("POST", "/project/create", _Id, body=body, safe=False)
        return reply.content.id

    @method
    def accept_request(self, project: int, worker: int) -> Steps[None]:
        """Grants a worker what it has asked for."""
        yield from self._call("POST", f"/project/accept_request/{project}/{worker}", Nothing, safe=True)

    @method
    def call(self, method: str, path: str, body: object = None, *, safe: bool = False) -> Steps[dict[str, Any]]:
        """Any call; its content. ``safe``: it may be repeated when it perhaps was carried out."""
        reply = yield from self._call(method, path, dict[str, Any], body=body, safe=safe)
        return reply.content
