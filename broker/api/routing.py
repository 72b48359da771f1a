"""Finds the handler of a call, calls it and sends its answer.

Each handler is declared with what its call takes, answers and refuses; the documents are generated from that. Workers
repeat a few calls all day, so this is plain ASGI, without Starlette's requests and responses: they would take as long
as all the rest.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from starlette import routing
from starlette.types import Receive, Scope, Send

from broker.api import auth
from broker.api.requests import Call, Disconnected, Target, parsed_query, served
from broker.api.responses import STATUS, Answer, fault, refused
from broker.counters import Requests
from broker.errors import BrokerError

log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[Answer]]


class Who(NamedTuple):
    """Who may make a call, and how everybody else is refused."""

    security: tuple[tuple[str, ...], ...]
    """Alternatives, each with the names of its security schemes; ``()``: without credentials."""
    refuses: Mapping[str, str]
    """As in :class:`Operation`."""
    status: Mapping[str, int] = {}
    """For codes whose status is not that of ``responses.STATUS``."""


_BY_WORKER = ("workerId", "workerSecret")
_BY_MANAGER = ("session",)
_BY_TOKEN = ("managerToken",)
_NOBODYS = "the bearer token is wrong or has expired"

ANYBODY = Who((), {})
WORKER = Who((_BY_WORKER,), {"bad_credentials": ""})
TAKER = Who((_BY_WORKER,), {"bad_credentials": ""}, {"bad_credentials": 403})
MANAGER = Who((_BY_MANAGER, _BY_TOKEN), {"not_logged_in": ""})
SIGNED_IN = Who((_BY_MANAGER,), {"not_logged_in": "", "denied": "a token may not do this"})
"""A manager with a session cookie."""
PERHAPS_MANAGER = Who(((), _BY_MANAGER, _BY_TOKEN), {"not_logged_in": _NOBODYS})
"""Anybody; managers may see more."""
READER = Who(
    ((), _BY_MANAGER, _BY_TOKEN),
    {"not_logged_in": f"the project is hidden, or {_NOBODYS}", "denied": "the project is hidden, and needs READ"},
)
EITHER = Who((_BY_WORKER, _BY_MANAGER, _BY_TOKEN), {"bad_credentials": "", "not_logged_in": ""})
SCRAPER = Who(((), ("metricsToken",)), {"bad_credentials": "the token is not `BROKER_METRICS_TOKEN`"})
SIGNED = Who(
    (("signature",),), {"denied": "no project of this repository has a webhook secret that matches the signature"}
)

Group = Literal["Tasks", "Workers", "Projects", "Maintenance", "Managers", "The broker"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """A call and its answer, as a test gets it from a new broker."""

    path: str
    body: Any = None
    content: Any = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call. ``openapi/`` adds what follows from its method, its path, its body, and from who may make it."""

    group: Group
    summary: str
    who: Who
    example: Example
    text: str = ""
    """More, in Markdown: what it does, and what happens when it is repeated after a lost answer."""
    path: Mapping[str, str] = field(default_factory=dict)
    """Parameters in the path: name and meaning."""
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    content: tuple[type[Struct], ...] = ()
    """Any of these is the content of a good answer; none: it has no content."""
    refuses: Mapping[str, str] = field(default_factory=dict)
    """Code, and when; ``""``: the general meaning of the code is enough."""
    status: Mapping[str, int] = field(default_factory=dict)
    """As in :class:`Who`."""
    partly: type[Struct] | None = None
    """The content of a 503 that says what was done before it."""
    remarks: Literal["never", "beside", "instead"] = "never"
    """Whether a good answer may have a message: beside its content, or instead of it."""
    in_parts: bool = False
    """Whether some of it may be refused while the rest is done: then a good answer has ``ok`` false."""
    changes: bool = False
    """Whether a GET changes something as well."""
    large: bool = False
    """Its body may be over 64 KiB, up to ``BROKER_MAX_BODY``: tasks, releases, log lines, aliases, project texts, a
    push."""
    store: bool = True
    """Whether it needs the store, and so can answer 503."""
    good: int = 200
    also: Mapping[int, str] = field(default_factory=dict)
    """Other answers that are not refusals: status and meaning."""
    media: str = ""
    """The media type of an answer that is not an envelope."""

    def status_of(self, code: str) -> int:
        """The HTTP status of a refusal with this code."""
        return self.status.get(code) or self.who.status.get(code) or STATUS[code]


HOT = frozenset(
    {
        *("POST /task/submit", "POST /task/release", "POST /task/turn", "POST /task/extend"),
        *("POST /task/bulk_submit", "POST /task/bulk_release"),
        *("GET /task/get", "GET /task/get/{project}"),
    }
)
"""Calls that workers repeat all day: our own server calls their endpoints without ASGI's scope, receive and send."""

PROJECT_ID = {"id": "the project's id"}
NO_SUCH_PROJECT = {"not_found": "no such project"}
NEEDS_READ = {"denied": "needs READ on the project"}
NEEDS_MANAGE_ACCESS = {"denied": "needs MANAGE_ACCESS on the project"}
NEEDS_SECRET = {"denied": "needs SECRET on the project"}
NEEDS_MAINTENANCE = {"denied": "needs MAINTENANCE on the project"}


class Endpoint:
    """A handler as an ASGI application."""

    def __init__(self, path: str, operation: Operation, handler: Handler, *, hot: bool) -> None:
        self.path = path
        self.large = operation.large
        self.hot = hot
        self._operation = operation
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parsed_query(scope["query_string"])
        target = Target(scope["method"], scope["path"], scope.get("path_params", {}), query)
        # If a name is repeated, the first counts: the last may be a trailer.
        headers, notes = dict(reversed(scope["headers"])), served(scope)
        call = Call(scope["app"], target, headers, notes, receive, large=self.large, scope=scope)
        await self.serve(call, lambda reply: reply(scope, receive, send))

    async def serve(self, call: Call, answer: Callable[[Answer], Awaitable[None] | None]) -> None:
        """Calls the handler, and ``answer`` with its reply or refusal, which returns None if it was sent at once."""
        notes = call.served
        notes.route = self.path
        try:
            if b"cookie" in call.headers:
                self._refuse_other_sites(call)
            reply: Answer = await self._handler(call)
        except BrokerError as error:
            reply = refused(error, self._operation.status_of(error.code))
        except Disconnected:
            return
        except Exception:
            log.exception("%s %a", call.target.method, call.target.path)
            reply = fault()
        finally:
            if call.held:
                call.app.bodies.free(call.held)
        notes.status = reply.status
        sending = answer(reply)
        if sending is not None:
            await sending
        # ``undo`` refers to the call: without this, the garbage collector would have to find the cycle.
        undo, call.undo = call.undo, None
        if undo is not None and not (reply.status == 200 and await call.client.received()):
            notes.status = Requests.CLIENT_GONE if reply.status == 200 else reply.status
            await undo()

    def _refuse_other_sites(self, call: Call) -> None:
        """A call that changes something and carries the session cookie must not come from another site, and a GET must
        not come from a link or an image.
        """
        method = call.target.method
        if (self._operation.changes or method == "POST") and auth.session_cookie(call):
            auth.refuse_other_sites(call)
            if method == "GET":
                auth.refuse_links(call)


class Route(routing.Route):
    def __init__(self, call: str, operation: Operation, handler: Handler) -> None:
        *methods, path = call.split()
        self.serve = Endpoint(path, operation, handler, hot=call in HOT)
        super().__init__(path, self.serve, methods=methods)
        self.methods: set[str] = set(methods)
        """Set again, because Starlette adds HEAD to GET: it would assign a task and throw it away."""
        self.call = call
        self.operation = operation


class Routes:
    """The calls of a module, each added where its handler is defined."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(self, call: str, operation: Operation) -> Callable[[Handler], Handler]:
        """``call``: methods and path, as in ``GET POST /logout``."""

        def added(handler: Handler) -> Handler:
            self._routes.append(Route(call, operation, handler))
            return handler

        return added

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)


_HOT_URLS = 1000
"""How many URLs of hot calls are remembered."""

_HOT_URL = re.compile(rb"([a-z_/]{1,40}/?)([0-9]{0,16})(?:\?([a-z0-9_=&]{0,100}))?")
"""URLs that every parser reads in the same way. Others are routed by Starlette."""


class Hot(NamedTuple):
    """The endpoint of a hot call, and what its request line names."""

    endpoint: Endpoint
    target: Target


class Table:
    """Finds the endpoint of a call by its path, in one or two look-ups: Starlette tries one route after another.

    Starlette routes what is not in it: paths with two parameters, wrong methods, unknown paths, the UI.
    """

    def __init__(self, routes: Sequence[Route], prefixes: Sequence[str]) -> None:
        """``prefixes``: what may come before the path of every route."""
        self._fixed: dict[tuple[str, str], Endpoint] = {}
        self._hot: dict[tuple[bytes, bytes], Hot] = {}
        self._open: dict[tuple[str, str], tuple[Endpoint, str]] = {}
        """By the path up to its last part, which is a parameter: the endpoint, and the parameter's name."""
        for route in routes:
            start, _, last = route.path.rpartition("/")
            for method in route.methods:
                for prefix in prefixes:
                    if "{" not in route.path:
                        self._fixed[method, prefix + route.path] = route.serve
                    elif "{" not in start:
                        self._open[method, prefix + start] = route.serve, last.strip("{}")

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint of this call, and the parameter of its path."""
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, {}
        start, _, value = path.rpartition("/")
        found = self._open.get((method, start)) if value else None
        return (found[0], {found[1]: value}) if found else None

    def find_hot(self, method: bytes, url: bytes) -> Hot | None:
        """A hot call, by its request line; None for any other call, and for an unusual spelling of the URL."""
        known = self._hot.get((method, url))
        if known is not None:
            return known
        match = _HOT_URL.fullmatch(url)
        if match is None:
            return None
        path = f"{match[1].decode()}{match[2].decode()}"
        found = self.find(method.decode("latin-1"), path)
        if found is None or not found[0].hot:
            return None
        endpoint, parameters = found
        hot = Hot(endpoint, Target(method.decode(), path, parameters, parsed_query(match[3] or b"")))
        if len(self._hot) < _HOT_URLS:
            self._hot[method, url] = hot
        return hot
