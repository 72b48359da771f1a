"""Every call is answered with a :class:`Reply`, which is the envelope.

``{"ok", "message"?, "content"?, "rate_limit_delay"?, "code"?, "detail"?}``: ``content`` is an object or absent.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson
from starlette.types import Receive, Scope, Send

from broker.errors import BrokerError

_NOSNIFF = (b"x-content-type-options", b"nosniff")
_GUARDS = (_NOSNIFF, (b"cache-control", b"no-store"))
_JSON = ((b"content-type", b"application/json"), *_GUARDS)
_JSON_LINES = b"".join(b"%b: %b\r\n" % header for header in _JSON)

STATUS = {
    "no_task": 200,
    "paused": 200,
    "invalid": 400,
    "worker_paused": 400,
    "already_asked": 400,
    "already_granted": 400,
    "bad_credentials": 401,
    "not_logged_in": 401,
    "denied": 403,
    "reserved": 403,
    "cross_site": 403,
    "limit_reached": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "duplicate": 409,
    "too_large": 413,
    "unsupported_encoding": 415,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
}
"""The HTTP status of each code, unless a call has another."""


class Reply(NamedTuple):
    content: Mapping[str, Any] | None = None
    message: str | None = None
    ok: bool = True
    code: str | None = None
    status: int = 200
    delay: float | None = None
    """Seconds to wait before the next attempt."""
    headers: Sequence[tuple[str, str]] | None = None
    detail: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it, as an ASGI application does."""
        body = b"" if self.status == 204 else orjson.dumps(self._envelope())
        headers = [(b"content-length", b"%d" % len(body)), *_JSON]
        if self.status == 204:
            headers = [*_GUARDS]
        if self.delay is not None:
            headers.append((b"retry-after", b"%d" % math.ceil(self.delay)))
        if self.headers is not None:
            headers += ((name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in self.headers)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def lines(self) -> tuple[bytes, bytes] | None:
        """The header lines in HTTP/1.1 and the body, as ``__call__`` sends them; None: only ``__call__`` can."""
        if self.status == 204 or self.headers is not None:
            return None
        body = orjson.dumps(self._envelope())
        lines = b"content-length: %d\r\n%b" % (len(body), _JSON_LINES)
        if self.delay is not None:
            lines += b"retry-after: %d\r\n" % math.ceil(self.delay)
        return lines, body

    def _envelope(self) -> dict[str, Any]:
        body: dict[str, Any] = {"ok": self.ok}
        if self.message is not None:
            body["message"] = self.message
        if self.content is not None:
            body["content"] = self.content
        if self.code is not None:
            body["code"] = self.code
        if self.detail is not None:
            body["detail"] = self.detail
        if self.delay is not None and self.status == 429:
            body["rate_limit_delay"] = self.delay
        return body


class Plain(NamedTuple):
    """An answer that is not an envelope."""

    body: bytes
    media: bytes
    headers: Mapping[str, str] = {}
    status: int = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", self.media), _NOSNIFF] if self.body else [_NOSNIFF]
        headers += [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        if self.body:
            headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class Listed(NamedTuple):
    """A good answer with one long list, sent in slices: other calls are served in between."""

    name: str
    slices: Sequence[bytes]
    """JSON arrays, each not empty."""
    status: int = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head, tail = b'{"ok":true,"content":{"%b":[' % self.name.encode(), b"]}}"
        size = len(head) + sum(len(part) - 1 for part in self.slices) - bool(self.slices) + len(tail)
        headers = [(b"content-length", b"%d" % size), *_JSON]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": head, "more_body": True})
        for number, part in enumerate(self.slices):
            body = part[1:-1] if number == 0 else b"," + part[1:-1]
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": tail})


class Answer(Protocol):
    """A :class:`Reply`, a :class:`Plain` or a :class:`Listed`."""

    @property
    def status(self) -> int: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


def refused(error: BrokerError, status: int) -> Reply:
    """The one place where a refusal becomes an answer."""
    return Reply(error.content, error.message, False, error.code, status, error.delay, detail=error.detail)


def fault() -> Reply:
    """The answer after a bug: the log has the trace, the client sees nothing of it."""
    return Reply(None, "Internal error", False, "internal", 500)
