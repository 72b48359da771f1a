"""What every call has in common: the way in (:class:`Call`), the way out (:class:`Reply`), and the envelope.

``{"ok", "message"?, "content"?, "rate_limit_delay"?, "code"?}``: ``content`` is an object or absent.

Workers repeat a few calls all day, so this is ASGI itself, without Starlette's requests and responses: they would take
as long as all the rest.
"""

import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec
import orjson
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from broker.api.addresses import counted
from broker.cookies import session_cookie
from broker.counters import Requests
from broker.errors import BrokerError, Invalid, Unavailable
from broker.settings import Settings
from broker.store import Store

log = logging.getLogger(__name__)

LARGEST_ID = 2**53
_LONGEST_ID = len(str(LARGEST_ID))

T = TypeVar("T")
_MOMENT = re.compile(r"[0-9]{1,11}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_AT = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<where>.*)`$", re.DOTALL)
_JSON = (b"content-type", b"application/json")
_LONGEST_LENGTH = 19
"""Digits of a Content-Length that can be right."""


class Reply(NamedTuple):
    content: Mapping[str, Any] | None = None
    message: str | None = None
    ok: bool = True
    code: str | None = None
    status: int = 200
    delay: float | None = None
    """Seconds after which to ask again."""
    headers: Mapping[str, str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it, as an ASGI application does."""
        body = b"" if self.status == 204 else orjson.dumps(self._envelope())
        headers = [(b"content-length", b"%d" % len(body)), _JSON]
        if self.status == 204:
            headers.clear()
        if self.delay is not None:
            headers.append((b"retry-after", b"%d" % math.ceil(self.delay)))
        if self.headers is not None:
            headers += ((name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in self.headers.items())
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _envelope(self) -> dict[str, Any]:
        body: dict[str, Any] = {"ok": self.ok}
        if self.message is not None:
            body["message"] = self.message
        if self.content is not None:
            body["content"] = self.content
        if self.code is not None:
            body["code"] = self.code
        if self.delay is not None and self.status == 429:
            body["rate_limit_delay"] = self.delay
        return body


def parsed_id(text: str | bytes) -> int | None:
    """The id that a path or header spells, None when it can be none."""
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID):
        return None
    id = int(text)
    return id if 1 <= id <= LARGEST_ID else None


def refused(error: BrokerError) -> Reply:
    """The one place where a refusal becomes an answer."""
    return Reply(error.content, error.message, False, error.code, error.status, error.delay)


class App(Protocol):
    """What the application that an endpoint belongs to has."""

    store: Store
    settings: Settings
    requests: Requests


class Disconnected(Exception):
    """The client has gone; nobody is there to be answered."""


class Call:
    """A request, with the ways of reading it that the API has."""

    __slots__ = ("_receive", "app", "headers", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.app: App = scope["app"]
        self.headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        """Names in lower case. Of a name that comes twice the first counts: the last may stand after the body."""
        self._receive = receive

    @property
    def store(self) -> Store:
        """Raises ``unavailable`` until the store was seen once."""
        store = self.app.store
        if not store.ready.is_set():
            raise Unavailable("The store has not answered yet")
        return store

    @property
    def settings(self) -> Settings:
        return self.app.settings

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def address(self) -> str:
        """The client's, under which it is counted; behind a trusted proxy the one that the proxy names."""
        return counted(self.scope.get("client"))

    @property
    def session_cookie(self) -> str | None:
        header = self.header(b"cookie")
        return None if header is None else session_cookie(header, self.settings.cookie)

    def refuse_other_sites(self) -> None:
        """Raises ``cross_site`` when a browser says that another site made it send this call.

        What is neither said by Sec-Fetch-Site nor by Origin comes from no browser, and carries no cookie unawares.
        """
        site, origin = self.header(b"sec-fetch-site"), self.header(b"origin")
        if site is not None:
            allowed = site in {"same-origin", "none"}
        else:
            allowed = origin is None or origin.partition("://")[2] == self.header(b"host")
        if not allowed:
            raise BrokerError("cross_site", "This call comes from another site")

    def path(self, name: str) -> str:
        """What stands in the path for ``{name}``."""
        text: str = self.scope["path_params"][name]
        return text

    def id(self, name: str) -> int:
        """An id from the path: a decimal number from 1 to 2^53."""
        id = parsed_id(self.path(name))
        if id is None:
            raise Invalid(f"{name}: an id is a decimal number from 1 to {LARGEST_ID}")
        return id

    def query(self, name: str) -> str | None:
        """What the query says for ``name``; the last word counts."""
        query: bytes = self.scope["query_string"]
        return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get(name) if query else None

    def number(self, name: str, low: int, high: int) -> int | None:
        """A number from the query, None when it is absent."""
        text = self.query(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise Invalid(f"{name}: a whole number from {low} to {high}")
        return int(text)

    def moment(self, name: str) -> int:
        """Unix seconds from the query."""
        text = self.query(name) or ""
        if not _MOMENT.fullmatch(text):
            raise Invalid(f"{name}: required, a whole number of unix seconds")
        return int(text)

    async def decode(self, decoder: "msgspec.json.Decoder[T | None]", empty: T) -> T:
        """The body; ``empty`` when there is none, or ``null``. Raises ``invalid`` or ``too_large``."""
        return decoded(await self.read(), decoder, empty)

    async def gone(self) -> None:
        """Returns when the client has gone; until then nothing else may read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def read(self) -> bytes:
        """The body as it came, within the limit; once."""
        headers, limit = self.headers, self.app.settings.max_body
        length = headers.get(b"content-length", b"0")
        if b"upgrade" in headers and (b"transfer-encoding" in headers or length.strip(b"0")):
            # uvicorn's parser drops the body of such a request; acting on an empty one would be worse than saying so.
            raise Invalid("upgrade: this server speaks HTTP/1.1; send the call without an Upgrade header")
        if length.isdigit() and (len(length) > _LONGEST_LENGTH or int(length) > limit):
            raise _too_large(limit)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            body = await self._rest(body, limit)
        if len(body) > limit:
            raise _too_large(limit)
        return body

    async def _rest(self, first: bytes, limit: int) -> bytes:
        chunks, size, more = [first], len(first), True
        while more and size <= limit:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            more = message.get("more_body", False)
        return b"".join(chunks)


def decoded(body: bytes, decoder: "msgspec.json.Decoder[T | None]", empty: T) -> T:
    """As :meth:`Call.decode`, of a body that was read."""
    body = body.strip()
    try:
        if not body.isascii():
            # msgspec does not look into what it skips.
            body.decode()
        found = decoder.decode(body) if body else None
    except msgspec.ValidationError as error:
        raise Invalid(_named(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"body: not JSON: {error}") from None
    return empty if found is None else found


def _too_large(limit: int) -> BrokerError:
    return BrokerError("too_large", f"body: larger than {limit} bytes")


def _named(message: str) -> str:
    """msgspec's message with the field in front: ``requests[1].recipe: expected `str`, got `int```."""
    match = _AT.match(message)
    where, what = (match["where"], match["what"]) if match else ("", message)
    return f"{where or 'body'}: {what[:1].lower()}{what[1:]}"


class Plain(NamedTuple):
    """An answer that is no envelope."""

    body: bytes
    media: bytes
    headers: Mapping[str, str] = {}
    status: int = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", self.media)] if self.body else []
        headers += [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        if self.body:
            headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class Answer(Protocol):
    """A :class:`Reply`, or a :class:`Plain`."""

    @property
    def status(self) -> int: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


Handler = Callable[[Call], Awaitable[Answer]]


class Endpoint:
    """A handler as an ASGI application: no wrapping between it and the server.

    ``changes``: whether a GET of it changes anything, as every POST may. A call that changes something and carries the
    session cookie must not come from another site.
    """

    def __init__(self, path: str, handler: Handler, *, changes: bool = False) -> None:
        self._path = path
        self._handler = handler
        self._changes = changes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["broker.route"] = self._path
        call = Call(scope, receive)
        try:
            if b"cookie" in call.headers and (self._changes or scope["method"] == "POST") and call.session_cookie:
                call.refuse_other_sites()
            reply: Answer = await self._handler(call)
        except BrokerError as error:
            reply = refused(error)
        except Disconnected:
            return
        except Exception:
            log.exception("%s %a", scope["method"], scope["path"])
            reply = fault()
        scope["broker.status"] = reply.status
        await reply(scope, receive, send)


def fault() -> Reply:
    """A fault of ours: the log has its trace, the client sees nothing of it."""
    return Reply(None, "Internal error", False, "internal", 500)


def route(methods: str, path: str, handler: Handler, *, changes: bool = False) -> Route:
    """``methods``: 'GET', 'POST' or both. HEAD is not taken for GET: it would hand a task out and throw it away."""
    made = Route(path, Endpoint(path, handler, changes=changes), methods=methods.split())
    made.methods = set(methods.split())
    return made
