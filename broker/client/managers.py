"""The calls of managers that tools need, calls that need no account, and :meth:`~ManagerCalls.call` for all others.

The client keeps a manager's session in a cookie: one client, one manager.
"""

from typing import Any

from msgspec import Struct

from broker.client.calls import Caller, Nothing, Steps
from broker.client.transport import method
from broker.client.types import Manager, Project, Stats, TaskPage, TaskState


class _Account(Struct):
    manager: Manager | None = None


class _SignedIn(Struct):
    manager: Manager


class _Created(Struct):
    id: int


class _Projects(Struct):
    projects: list[Project]


class _Stats(Struct):
    stats: Stats


class ManagerCalls(Caller):
    @method
    def register(self, username: str, password: str) -> Steps[Manager]:
        """Creates an account and signs in. The first account of a broker is an admin. A taken name gives 409."""
        body = {"username": username, "password": password}
        return (yield from self._call("POST", "/register", _SignedIn, body=body, safe=False)).manager

    @method
    def login(self, username: str, password: str) -> Steps[Manager]:
        body = {"username": username, "password": password}
        return (yield from self._call("POST", "/login", _SignedIn, body=body, safe=True, patient=False)).manager

    @method
    def logout(self) -> Steps[None]:
        yield from self._call("POST", "/logout", Nothing, safe=True)

    @method
    def account(self) -> Steps[Manager | None]:
        """The manager who is signed in."""
        return (yield from self._call("GET", "/account", _Account, safe=True)).manager

    @method
    def projects(self) -> Steps[list[Project]]:
        """All projects by name; hidden ones only for managers who may read them."""
        return (yield from self._call("GET", "/project/list", _Projects, safe=True)).projects

    @method
    def project(self, project: int) -> Steps[Project]:
        return (yield from self._call("GET", f"/project/get/{project}", Project, safe=True))

    @method
    def project_stats(self, project: int) -> Steps[Stats]:
        return (yield from self._call("GET", f"/project/stats/{project}", _Stats, safe=True)).stats

    @method
    def project_tasks(
        self, project: int, state: TaskState = "queue", *, offset: int = 0, limit: int = 50, full: bool = False
    ) -> Steps[TaskPage]:
        """A page of at most 500 tasks. Recipes are cut after 200 characters unless ``full``."""
        query: dict[str, object] = {"state": state, "offset": offset, "limit": limit}
        query |= {"full": 1} if full else {}
        return (yield from self._call("GET", f"/project/tasks/{project}", TaskPage, query=query, safe=True))

    @method
    def create_project(self, name: str, /, **fields: object) -> Steps[int]:
        """Returns the id. ``fields``: those of ``/project/create`` in docs/http-api.md."""
        body = {"name": name, **fields}
        return (yield from self._call("POST", "/project/create", _Created, body=body, safe=False)).id

    @method
    def accept_request(self, project: int, worker: int) -> Steps[None]:
        """Grants the access that the worker has requested."""
        yield from self._call("POST", f"/project/accept_request/{project}/{worker}", Nothing, safe=True)

    @method
    def call(self, method: str, path: str, body: object = None, *, safe: bool = False) -> Steps[dict[str, Any]]:
        """Makes any call and returns its content. ``safe``: whether the call may be carried out twice."""
        return (yield from self._call(method, path, dict[str, Any], body=body, safe=safe))
