""":class:`Call`: the request as a handler gets it, with methods that read and check its parts."""

import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from starlette.types import Receive, Scope

from broker.counters import Requests
from broker.errors import BrokerError, Invalid, Unavailable
from broker.settings import Settings
from broker.store import Store

SERVED = "broker.served"
"""In the scope of a request: a :class:`Served`."""

SMALL = 64 << 10
"""Bytes of each body that do not count as held: small calls are served even when large ones are refused."""

LARGEST_ID = 2**53
_LONGEST_ID = len(str(LARGEST_ID))

T = TypeVar("T", bound=Struct)
_MOMENT = re.compile(r"[0-9]{1,11}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_AT = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<where>.*)`$", re.DOTALL)
_LONGEST_LENGTH = 19
"""Digits of a Content-Length that can be right."""


class Bodies:
    """Limits the memory for large bodies in a process, from their first bytes until their calls are answered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    def has_room(self, size: int) -> bool:
        """Whether so many bytes could be held now."""
        return self._held + size <= self._most

    def hold(self, size: int) -> None:
        """Raises ``unavailable`` when that is more than may be held."""
        if not self.has_room(size):
            raise _full()
        self._held += size

    def free(self, size: int) -> None:
        self._held -= size


class Description(Protocol):
    """The OpenAPI document of this API."""

    document: dict[str, Any]
    encoded: bytes
    etag: str


class App(Protocol):
    """What handlers use of the application."""

    store: Store
    settings: Settings
    requests: Requests
    bodies: Bodies

    @property
    def description(self) -> "Description": ...


class Client(Protocol):
    """The client of a call: :class:`broker.server.exchange.Exchange`."""

    @property
    def gone(self) -> bool: ...

    def on_leave(self, leaving: Callable[[], None] | None) -> None: ...

    def whole_body(self) -> bytes | None: ...

    async def received(self) -> bool: ...


class _Stays:
    """The client behind another ASGI server, as in tests: it is assumed to wait for its answer."""

    gone = False

    def on_leave(self, leaving: Callable[[], None] | None) -> None:
        pass

    def whole_body(self) -> bytes | None:
        return None

    async def received(self) -> bool:
        return True


_STAYS = _Stays()


class Served:
    """Notes on a request, shared by the server, the application and the handler."""

    route = Requests.OTHER
    """This and the status are for the metrics."""
    status = Requests.CLIENT_GONE
    waited = 0.0
    """Seconds that the call waited for a task."""

    def __init__(self, client: Client = _STAYS, id: bytes = b"") -> None:
        self.client = client
        self.id = id


def served(scope: Scope) -> Served:
    """The notes on this request. Our server has set them; for any other server they are created here."""
    notes: Served | None = scope.get(SERVED)
    if notes is None:
        notes = scope[SERVED] = Served()
    return notes


class Target(NamedTuple):
    """The request line, parsed."""

    method: str
    path: str
    parameters: Mapping[str, str] = {}
    """Of the path."""
    query: Mapping[str, str] = {}


class Disconnected(Exception):
    """The client has gone: there is nobody to answer."""


class Call:
    __slots__ = ("_large", "_receive", "app", "headers", "held", "scope", "served", "target", "undo")

    def __init__(
        self,
        app: App,
        target: Target,
        headers: dict[bytes, bytes],
        served: Served,
        receive: Receive,
        *,
        large: bool = False,
        scope: Scope | None = None,
    ) -> None:
        """``large``: whether its body may be larger than 64 KiB, up to the limit of the settings. ``scope``: of ASGI;
        a hot call has none.
        """
        self.app = app
        self.target = target
        self.scope: Scope = {} if scope is None else scope
        self._large = large
        self.held = 0
        """Bytes of its body that count as held, until the endpoint frees them."""
        self.served = served
        self.undo: Callable[[], Awaitable[None]] | None = None
        """What a handler did that is undone when nobody receives its answer."""
        self.headers = headers
        """Names in lower case. If a name is repeated, the first counts: the last may be a trailer."""
        self._receive = receive

    @property
    def store(self) -> Store:
        """Raises ``unavailable`` until the store has answered once."""
        store = self.app.store
        if not store.ready.is_set():
            raise Unavailable("The store is not available yet")
        return store

    @property
    def client(self) -> Client:
        return self.served.client

    @property
    def settings(self) -> Settings:
        return self.app.settings

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def address(self) -> str:
        """The client's address for rate limits; behind a trusted proxy, the one that the proxy names."""
        return counted_address(self.scope.get("client"))

    def path(self, name: str) -> str:
        """The value of ``{name}`` in the path."""
        return self.target.parameters[name]

    def id(self, name: str) -> int:
        """An id from the path: a decimal number from 1 to 2^53."""
        id = parsed_id(self.path(name))
        if id is None:
            raise Invalid(f"{name}: an id is a decimal number from 1 to {LARGEST_ID}")
        return id

    def query(self, name: str) -> str | None:
        return self.target.query.get(name)

    def number(self, name: str, low: int, high: int) -> int | None:
        """A number from the query, None when it is absent."""
        text = self.query(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise Invalid(f"{name}: a whole number from {low} to {high}")
        return int(text)

    def page(self) -> tuple[int | None, int | None]:
        """``offset`` and ``limit`` from the query."""
        return self.number("offset", 0, 10**9 - 1), self.number("limit", 1, 500)

    def moment(self, name: str) -> int:
        """Unix seconds from the query."""
        text = self.query(name) or ""
        if not _MOMENT.fullmatch(text):
            raise Invalid(f"{name}: required, a whole number of unix seconds")
        return int(text)

    async def decode(self, type: type[T]) -> T:
        """The body; no body, or ``null``, has no fields. Raises ``invalid`` or ``too_large``."""
        body = self._whole()
        return decoded(await self._receive_all() if body is None else body, type)

    async def read(self) -> bytes:
        """The raw body; only once. Raises ``too_large``."""
        body = self._whole()
        return await self._receive_all() if body is None else body

    @property
    def _limit(self) -> int:
        return self.settings.max_body if self._large else SMALL

    def _whole(self) -> bytes | None:
        """The body, if it was received already."""
        headers = self.headers
        if b"upgrade" in headers or b"content-encoding" in headers:
            self._refuse_unreadable(headers.get(b"content-length", b"0"))
        body = self.served.client.whole_body()
        if body is not None and len(body) > self._limit:
            raise _too_large(self._limit)
        return body

    async def _receive_all(self) -> bytes:
        length, limit = self.headers.get(b"content-length", b"0"), self._limit
        if length.isdigit() and (len(length) > _LONGEST_LENGTH or int(length) > limit):
            raise _too_large(limit)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            if length.isdigit() and not self.app.bodies.has_room(int(length) - SMALL):
                raise _full()
            body = await self._rest(body, limit)
        if len(body) > limit:
            raise _too_large(limit)
        return body

    def _refuse_unreadable(self, length: bytes) -> None:
        headers = self.headers
        if b"transfer-encoding" not in headers and not length.strip(b"0"):
            return
        if b"upgrade" in headers:
            # uvicorn's parser drops the body of such a request; acting on an empty body would be worse than a refusal.
            raise Invalid("upgrade: this server speaks HTTP/1.1; send the call without an Upgrade header")
        if headers[b"content-encoding"].strip().lower() != b"identity":
            raise BrokerError("unsupported_encoding", "content-encoding: send the body as it is, not compressed")

    async def _rest(self, first: bytes, limit: int) -> bytes:
        chunks, size, more = [first], len(first), True
        while more and size <= limit:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            more = message.get("more_body", False)
            if (over := size - SMALL - self.held) > 0:
                self.app.bodies.hold(over)
                self.held += over
        return b"".join(chunks)


def parsed_query(query: bytes) -> dict[str, str]:
    """If a name is repeated, the last counts."""
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}


def parsed_id(text: str | bytes) -> int | None:
    """The id in a path or header; None if it cannot be an id."""
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID):
        return None
    id = int(text)
    return id if 1 <= id <= LARGEST_ID else None


@cache
def _decoder(type: type[Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type | None)


def decoded(body: bytes, type: type[T]) -> T:
    """As :meth:`Call.decode`, for a body that was read."""
    body = body.strip()
    try:
        if not body.isascii():
            # msgspec does not check the UTF-8 of fields that it skips.
            body.decode()
        found: T | None = _decoder(type).decode(body) if body else None
    except msgspec.ValidationError as error:
        raise Invalid(_named(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"body: not JSON: {error}") from None
    return type() if found is None else found


def _full() -> Unavailable:
    return Unavailable("The broker has too many large bodies in memory: send this one again, or in smaller parts")


def _too_large(limit: int) -> BrokerError:
    return BrokerError("too_large", f"body: larger than {limit} bytes")


def _named(message: str) -> str:
    """msgspec's message with the field in front: ``requests[1].recipe: expected `str`, got `int```."""
    match = _AT.match(message)
    where, what = (match["where"], match["what"]) if match else ("", message)
    return f"{where or 'body'}: {what[:1].lower()}{what[1:]}"


UNKNOWN_ADDRESS = "unknown"
"""Shared by all clients without an address, as over a Unix socket."""


def counted_address(client: tuple[str, int] | None) -> str:
    """IPv4 as it is, IPv6 as its /64: one customer has the whole /64."""
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return UNKNOWN_ADDRESS
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
