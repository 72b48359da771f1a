"""The two clients have the same methods: ``Client`` blocks, ``AsyncClient`` is awaited.

The calls of workers and managers are here, those on tasks in ``tasks.py``. A manager's session is in a cookie of the
client: one client, one manager.
"""

from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

from broker.client.calls import Nothing, Steps
from broker.client.credentials import Credentials
from broker.client.tasks import TaskCalls
from broker.client.transport import AsyncTransport, BlockingTransport, method
from broker.client.types import (
    Access,
    AccessState,
    Affected,
    ClientError,
    Failure,
    Group,
    GroupState,
    Manager,
    Project,
    Refused,
    Stats,
    TaskPage,
    TaskRow,
    TaskState,
    WorkerInfo,
)


class _CreatedWorker(Struct):
    worker: Credentials


class _Worker(Struct):
    worker: WorkerInfo


class _Secret(Struct):
    secret: str


class _Account(Struct):
    manager: Manager | None = None


class _SignedIn(Struct):
    manager: Manager


class _CreatedProject(Struct):
    id: int


class _Projects(Struct):
    projects: list[Project]


class _Stats(Struct):
    stats: Stats


class _OneGroup(Struct):
    group: Group


class _GroupPage(Struct):
    groups: list[Group]
    next: str | None


class _Affected(Struct):
    affected_tasks: int


class _MatchPage(Struct):
    tasks: list[TaskRow]
    next: str | None


class _Failures(Struct):
    failures: list[Failure]


class _Forgotten(Struct):
    forgotten: bool


class _Token(Struct):
    token: str


class _Accepted(Struct):
    accepted: int


class Calls(TaskCalls):
    """All methods of the clients. :meth:`call` makes a call that has no method of its own."""

    @method
    def identify(self, file: str | Path = "worker.json", *, alias: str = "") -> Steps[Credentials]:
        """Makes this client the worker in the file. Without a file, it creates a worker and the file.

        An ``alias`` that differs from the one in the file renames the worker, in the broker and in the file.
        """
        found = Credentials.load(file)
        if found is None:
            Credentials.check(file)
            found = (yield from Calls.create_worker(self, alias)).save(file)
        self.worker = found
        if alias not in {"", found.alias}:
            yield from Calls.update_worker(self, alias)
            self.worker = found.rename(file, alias)
        return self.worker

    @method
    def create_worker(self, alias: str = "") -> Steps[Credentials]:
        """Creates a worker. This client does not become it: pass it to a client as ``worker``, or ``save`` it."""
        # A repeat may create a worker that nobody uses, which does no harm.
        return (
            yield from self._call("POST", "/worker/create", _CreatedWorker, body={"alias": alias}, safe=True)
        ).worker

    @method
    def update_worker(self, alias: str) -> Steps[None]:
        """Changes the alias of this worker."""
        yield from self._call("POST", "/worker/update", Nothing, body={"alias": alias}, safe=True)

    @method
    def rotate_secret(self) -> Steps[Credentials]:
        """Replaces the secret. The call is never repeated: if its answer is lost, the worker may be lost as well."""
        if self.worker is None:
            raise ClientError("rotate_secret: this client has no worker")
        self.worker = (yield from self._call("POST", "/worker/rotate_secret", _CreatedWorker, safe=False)).worker
        return self.worker

    @method
    def worker_info(self, worker: int) -> Steps[WorkerInfo]:
        return (yield from self._call("GET", f"/worker/get/{worker}", _Worker, safe=True)).worker

    @method
    def request_access(self, project: int, *, assign: bool = True, submit: bool = False) -> Steps[AccessState]:
        """Requests access to the project, and returns whether it is ``requested`` now, ``pending`` since an earlier
        call, or ``granted``. A worker with access can request more only after a manager has rejected that.
        """
        body = {"project": project, "assign": assign, "submit": submit}
        try:
            yield from self._call("POST", "/project/request_access", Nothing, body=body, safe=True)
        except Refused as refused:
            if refused.code == "already_asked":
                return "pending"
            if refused.code == "already_granted":
                return "granted"
            raise
        return "requested"

    @method
    def join(self, project: int, token: str) -> Steps[Access]:
        """Gets access with a join token of the project, and returns what this worker may do there now."""
        body = {"project": project, "token": token}
        return (yield from self._call("POST", "/project/join", Access, body=body, safe=True))

    @method
    def project_secret(self, project: int) -> Steps[str]:
        """The text that the project's managers share with its workers; ``{}`` at first. It needs granted access."""
        return (yield from self._call("GET", f"/project/secret/{project}", _Secret, safe=True)).secret

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
        self, project: int, state: TaskState = "waiting", *, offset: int = 0, limit: int = 50, full: bool = False
    ) -> Steps[TaskPage]:
        """A page of at most 500 tasks. Recipes are cut after 200 characters unless ``full``."""
        query: dict[str, object] = {"state": state, "offset": offset, "limit": limit}
        query |= {"full": 1} if full else {}
        return (yield from self._call("GET", f"/project/tasks/{project}", TaskPage, query=query, safe=True))

    @method
    def find_tasks(
        self,
        project: int,
        state: TaskState,
        *,
        contains: str = "",
        group: str = "",
        worker: int | None = None,
        newest: bool = False,
        full: bool = False,
        most: int = 500,
    ) -> Steps[list[TaskRow]]:
        """Up to ``most`` tasks that match, by id. It makes as many calls as it needs to find them.

        ``contains``: a text in the recipe or the error; ``worker``: the worker that holds the task, or failed it last.
        """
        query: dict[str, object] = {"state": state, "order": "newest" if newest else "oldest", "limit": min(500, most)}
        given = {"contains": contains, "group": group, "worker": worker, "full": 1 if full else None}
        query |= {name: value for name, value in given.items() if value}
        found: list[TaskRow] = []
        while len(found) < most:
            page = yield from self._call("GET", f"/project/tasks/{project}", _MatchPage, query=query, safe=True)
            found += page.tasks
            if page.next is None:
                break
            query["after"] = page.next
        return found[:most]

    @method
    def failures(self, project: int) -> Steps[list[Failure]]:
        """The error messages of the newest 1,000 failed tasks, the most frequent one first."""
        return (yield from self._call("GET", f"/project/failures/{project}", _Failures, safe=True)).failures

    @method
    def retry_tasks(
        self, project: int, *, contains: str = "", group: str = "", worker: int | None = None
    ) -> Steps[Affected]:
        """Retries the failed tasks that match; the call answers after 5 seconds at most."""
        body = {"contains": contains, "group": group, "worker": worker}
        return (yield from self._call("POST", f"/project/retry_tasks/{project}", Affected, body=body, safe=True))

    @method
    def remove_tasks(
        self, project: int, state: TaskState, *, contains: str = "", group: str = "", worker: int | None = None
    ) -> Steps[Affected]:
        """Deletes the tasks in this state that match; the call answers after 5 seconds at most."""
        body = {"state": state, "contains": contains, "group": group, "worker": worker}
        return (yield from self._call("POST", f"/project/remove_tasks/{project}", Affected, body=body, safe=True))

    @method
    def reclaim_worker(self, project: int, worker: int) -> Steps[int]:
        """Reclaims the tasks that a worker holds, and returns how many wait again."""
        path = f"/project/reclaim_worker/{project}/{worker}"
        return (yield from self._call("POST", path, _Affected, safe=True)).affected_tasks

    @method
    def forget(self, project: int, *, hash64: int = 0, unique_string: str = "") -> Steps[bool]:
        """Frees the hash of a closed task; workers with submit may do this as well. False: it was not remembered."""
        body = {"hash64": hash64, "unique_string": unique_string}
        return (yield from self._call("POST", f"/project/forget/{project}", _Forgotten, body=body, safe=True)).forgotten

    @method
    def groups(self, project: int, state: GroupState) -> Steps[list[Group]]:
        """All groups of the project's tasks that are in this state."""
        found: list[Group] = []
        query: dict[str, object] = {"state": state, "limit": 500}
        while True:
            page = yield from self._call("GET", f"/project/groups/{project}", _GroupPage, query=query, safe=True)
            found += page.groups
            if page.next is None:
                return found
            query["after"] = page.next

    @method
    def group(self, project: int, group: str) -> Steps[Group]:
        """One group, with zeros if the project has no tasks of it. Workers with access may do this as well."""
        query = {"group": group}
        return (yield from self._call("GET", f"/project/group/{project}", _OneGroup, query=query, safe=True)).group

    @method
    def set_group(
        self,
        project: int,
        group: str,
        *,
        delay: float | None = None,
        limit: int | None = None,
        blocked_for: float | None = None,
    ) -> Steps[Group]:
        """Gives a group its own limits, in seconds and tasks; -1: the project's again. ``blocked_for`` 0 ends a block.

        None leaves a value as it is.
        """
        body = {"group": group, "delay": delay, "limit": limit, "blocked_for": blocked_for}
        return (yield from self._call("POST", f"/project/group/{project}", _OneGroup, body=body, safe=True)).group

    @method
    def remove_group(self, project: int, group: str) -> Steps[int]:
        """Deletes the waiting and delayed tasks of a group, and returns how many there were."""
        path, body = f"/project/remove_group/{project}", {"group": group}
        return (yield from self._call("POST", path, _Affected, body=body, safe=True)).affected_tasks

    @method
    def create_project(self, name: str, /, **fields: object) -> Steps[int]:
        """Returns the id. ``fields``: those of ``/project/create`` in docs/http-api.md."""
        body = {"name": name, **fields}
        return (yield from self._call("POST", "/project/create", _CreatedProject, body=body, safe=False)).id

    @method
    def create_join_token(
        self, project: int, *, assign: bool = True, submit: bool = False, uses: int = 0, expires_in: int = 0
    ) -> Steps[str]:
        """Creates a token with which workers get access: see :meth:`join`. The broker shows it only this once.

        ``uses``: how many workers, 0 for any number. ``expires_in``: seconds, 0 for 30 days.
        """
        body = {"assign": assign, "submit": submit, "uses": uses, "expires_in": expires_in}
        return (yield from self._call("POST", f"/project/join_tokens/{project}", _Token, body=body, safe=False)).token

    @method
    def accept_requests(self, project: int, workers: list[int] | None = None) -> Steps[int]:
        """Grants the requests of these workers, or of all workers (None), and returns how many there were."""
        body = {"workers": workers, "all": workers is None}
        path = f"/project/accept_requests/{project}"
        return (yield from self._call("POST", path, _Accepted, body=body, safe=True)).accepted

    @method
    def accept_request(self, project: int, worker: int) -> Steps[None]:
        """Grants the access that the worker has requested."""
        yield from self._call("POST", f"/project/accept_request/{project}/{worker}", Nothing, safe=True)

    @method
    def call(self, method: str, path: str, body: object = None, *, safe: bool = False) -> Steps[dict[str, Any]]:
        """Makes any call and returns its content. ``safe``: whether the call may be carried out twice."""
        return (yield from self._call(method, path, dict[str, Any], body=body, safe=safe))


class Client(Calls, BlockingTransport):
    """Calls a broker and returns its answer. Threads may share it.

    ``worker``: who makes the calls; :meth:`identify` reads it from a file. ``patience``: seconds for which a call
    without an answer is repeated, where that is safe, before it raises ``Unreachable``. ``timeout``: seconds for an
    answer. ``http``: your own client, with proxies or certificates; you close it.
    """

    def __init__(
        self,
        url: str,
        worker: Credentials | None = None,
        *,
        patience: float = 60,
        timeout: float = 30,
        http: httpx.Client | None = None,
    ) -> None:
        Calls.__init__(self, _checked(url), worker, patience)
        BlockingTransport.__init__(self, self.url, timeout, http)


class AsyncClient(Calls, AsyncTransport):
    """As :class:`Client`, but its methods are awaited. The tasks of one event loop may share it."""

    def __init__(
        self,
        url: str,
        worker: Credentials | None = None,
        *,
        patience: float = 60,
        timeout: float = 30,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        Calls.__init__(self, _checked(url), worker, patience)
        AsyncTransport.__init__(self, self.url, timeout, http)


def _checked(url: str) -> str:
    """The URL without a slash at its end."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host or (parsed.port or 0) > 65_535:
        raise ValueError(f"{url!r} is not the address of a broker: http://host:port")
    return url.rstrip("/")
