"""What every call has in common: the way in (:class:`Call`), the way out (:class:`Reply`), and the envelope.

``{"ok", "message"?, "content"?, "rate_limit_delay"?, "code"?}``: ``content`` is an object or absent.
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
import orjson
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from broker.errors import BrokerError, Invalid, Unavailable
from broker.settings import Settings
from broker.store import Store

LARGEST_ID = 2**53

T = TypeVar("T")
_ID = re.compile(r"[0-9]{1,16}")
_COOKIE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LENGTH = re.compile(r"[0-9]{1,20}")
_MOMENT = re.compile(r"[0-9]{1,11}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_AT = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<where>.*)`$", re.DOTALL)


class Reply(NamedTuple):
    content: Mapping[str, Any] | None = None
    message: str | None = None
    ok: bool = True
    code: str | None = None
    status: int = 200
    delay: float | None = None
    """Seconds after which to ask again."""
    headers: Mapping[str, str] | None = None

    def response(self) -> Response:
        if self.status == 204:
            return Response(status_code=204, headers=self.headers)
        body: dict[str, Any] = {"ok": self.ok}
        if self.message is not None:
            body["message"] = self.message
        if self.content is not None:
            body["content"] = self.content
        if self.code is not None:
            body["code"] = self.code
        headers = MutableHeaders(self.headers)
        if self.delay is not None:
            headers["Retry-After"] = str(math.ceil(self.delay))
            if self.status == 429:
                body["rate_limit_delay"] = self.delay
        return Response(orjson.dumps(body), self.status, headers, media_type="application/json")


def parsed_id(text: str) -> int | None:
    """The id that a path or header spells, None when it can be none."""
    return int(text) if _ID.fullmatch(text) and 1 <= int(text) <= LARGEST_ID else None


def refused(error: BrokerError) -> Reply:
    """The one place where a refusal becomes an answer."""
    return Reply(error.content, error.message, False, error.code, error.status, error.delay)


class Call(Request):
    """A request, with the ways of reading it that the API has."""

    @property
    def store(self) -> Store:
        """Raises ``unavailable`` until the store was seen once."""
        store: Store = self.app.state.store
        if not store.ready.is_set():
            raise Unavailable("The store has not answered yet")
        return store

    @property
    def settings(self) -> Settings:
        settings: Settings = self.app.state.settings
        return settings

    @property
    def session_cookie(self) -> str | None:
        """The session cookie, if it can be one of ours. Python's own parser takes minutes for some hostile cookies."""
        for pair in self.headers.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self.settings.cookie and _COOKIE.fullmatch(value):
                return value
        return None

    def refuse_other_sites(self) -> None:
        """Raises ``cross_site`` when a browser says that another site made it send this call.

        What is neither said by Sec-Fetch-Site nor by Origin comes from no browser, and carries no cookie unawares.
        """
        site, origin = self.headers.get("sec-fetch-site"), self.headers.get("origin")
        if site is not None:
            allowed = site in {"same-origin", "none"}
        else:
            allowed = origin is None or origin.partition("://")[2] == self.headers.get("host", "")
        if not allowed:
            raise BrokerError("cross_site", "This call comes from another site")

    def id(self, name: str) -> int:
        """An id from the path: a decimal number from 1 to 2^53."""
        id = parsed_id(self.path_params[name])
        if id is None:
            raise Invalid(f"{name}: an id is a decimal number from 1 to {LARGEST_ID}")
        return id

    def number(self, name: str, low: int, high: int) -> int | None:
        """A number from the query, None when it is absent."""
        text = self.query_params.get(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise Invalid(f"{name}: a whole number from {low} to {high}")
        return int(text)

    def moment(self, name: str) -> int:
        """Unix seconds from the query."""
        text = self.query_params.get(name, "")
        if not _MOMENT.fullmatch(text):
            raise Invalid(f"{name}: required, a whole number of unix seconds")
        return int(text)

    async def decode(self, decoder: "msgspec.json.Decoder[T | None]", empty: T) -> T:
        """The body; ``empty`` when there is none, or ``null``. Raises ``invalid`` or ``too_large``."""
        body = (await self.read()).strip()
        try:
            if not body.isascii():
                # msgspec does not look into what it skips.
                body.decode()
            decoded = decoder.decode(body) if body else None
        except msgspec.ValidationError as error:
            raise Invalid(_named(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid(f"body: not JSON: {error}") from None
        return empty if decoded is None else decoded

    async def read(self) -> bytes:
        """The body as it came, within the limit."""
        if "upgrade" in self.headers and ("transfer-encoding" in self.headers or self.headers.get("content-length")):
            # uvicorn's parser drops the body of such a request; acting on an empty one would be worse than saying so.
            raise Invalid("upgrade: this server speaks HTTP/1.1; send the call without an Upgrade header")
        limit = self.settings.max_body
        length = self.headers.get("content-length", "0")
        chunks: list[bytes] = []
        size = 0
        if _LENGTH.fullmatch(length) and int(length) > limit:
            size = int(length)
        else:
            async for chunk in self.stream():
                size += len(chunk)
                if size > limit:
                    break
                chunks.append(chunk)
        if size > limit:
            raise BrokerError("too_large", f"body: larger than {limit} bytes")
        # Kept where Starlette looks for it, so that it can be read again.
        self._body = b"".join(chunks)
        return self._body


def _named(message: str) -> str:
    """msgspec's message with the field in front: ``requests[1].recipe: expected `str`, got `int```."""
    match = _AT.match(message)
    where, what = (match["where"], match["what"]) if match else ("", message)
    return f"{where or 'body'}: {what[:1].lower()}{what[1:]}"


Handler = Callable[[Call], Awaitable[Reply]]


class Endpoint:
    """A handler as an ASGI application: no wrapping between it and the server.

    ``changes``: whether a GET of it changes anything, as every POST may. A call that changes something and carries the
    session cookie must not come from another site.
    """

    def __init__(self, handler: Handler, *, changes: bool = False) -> None:
        self._handler = handler
        self._changes = changes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        try:
            if (self._changes or scope["method"] == "POST") and call.session_cookie:
                call.refuse_other_sites()
            reply = await self._handler(call)
        except BrokerError as error:
            reply = refused(error)
        except ClientDisconnect:
            # Nobody is there to be answered.
            return
        await reply.response()(scope, receive, send)


def route(methods: str, path: str, handler: Handler, *, changes: bool = False) -> Route:
    """``methods``: 'GET', 'POST' or both. HEAD is not taken for GET: it would hand a task out and throw it away."""
    made = Route(path, Endpoint(handler, changes=changes), methods=methods.split())
    made.methods = set(methods.split())
    return made
