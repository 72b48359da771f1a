"""What a hostile client may send to any route of the application, and how an answer is read from a bare socket."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import httpx
import msgspec
from hypothesis import strategies as st
from starlette.routing import Mount, Route

from broker.api import bodies as schemas
from broker.app import create_app
from broker.settings import Settings


def routes(app: Any, prefix: str = "") -> Iterator[tuple[str, Route]]:
    """Every route below ``app``, through mounts and middleware, with the prefix of its path."""
    while not hasattr(app, "routes"):
        app = getattr(app, "app", None) or app._app
    for route in app.routes:
        if isinstance(route, Mount):
            yield from routes(route.app, prefix + route.path)
        elif isinstance(route, Route):
            yield prefix, route


ROUTES = {prefix + route.path: route for prefix, route in routes(create_app(Settings(redis_url="redis://127.0.0.1")))}
PATHS = sorted(path for path in ROUTES if not path.startswith("/api/"))
"""Without those that are there twice."""

NUMBERS = [0, 1, -1, 2**15, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30, 0.5, 1e308, -0.0]
TEXTS = [
    "",
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "unassigned",
    "{}",
    "1",
    "\N{GRINNING FACE}" * 100,
    "x" * 70_000,
    "\u202e",
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.sampled_from([float("nan"), float("inf"), -float("inf")]),
    st.integers(),
    st.floats(),
    st.sampled_from(TEXTS),
    st.text(max_size=20),
    st.lists(st.sampled_from([*NUMBERS, *TEXTS, None]), max_size=3),
    st.just({}),
)

NAMES = sorted(
    {
        field.encode_name
        for struct in vars(schemas).values()
        if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and struct is not msgspec.Struct
        for field in msgspec.structs.fields(struct)
    }
)
_RIGHT: dict[str, Any] = {
    "project": 1,
    "recipe": "page",
    "task_id": 100_001,
    "task_ids": [100_001, 200_001],
    "result": 0,
    "seconds": 60,
    "requests": [{"project": 1, "recipe": "page", "task_id": 100_001, "result": 1}],
    "scope": "fuzz",
    "message": "a line",
    "timestamp": 1_700_000_000,
    "username": "somebody",
    "password": "a long password",
    "old": "a long password",
    "new": "short",
    "role": 1,
    "manager": 2,
    "worker": 2,
    "level": 5,
    "since": 1,
    "name": "a project",
    "alias": "a worker",
    "secret": "{}",
    "webhook_secret": "secret",
    "submit": True,
    "assign": True,
    "paused": False,
}
"""A valid body. A call ignores fields that it does not know, so this body is valid for all calls."""

_SHAPED = st.dictionaries(st.sampled_from(NAMES), ODD, max_size=3).flatmap(
    lambda odd: st.sets(st.sampled_from(sorted(_RIGHT)), max_size=5).map(
        lambda left_out: {name: value for name, value in _RIGHT.items() if name not in left_out} | odd
    )
)
_LISTED = st.lists(_SHAPED | ODD, max_size=3).map(lambda requests: {"requests": requests})


def _twice(body: dict[str, Any]) -> bytes:
    """Each key twice, the second time with null."""
    pairs = [*body.items(), *((name, None) for name in body)]
    return ("{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs) + "}").encode()


BODIES = st.one_of(
    _SHAPED.map(lambda body: json.dumps(body).encode()),
    _LISTED.map(lambda body: json.dumps(body).encode()),
    _SHAPED.map(lambda body: json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    _SHAPED.map(_twice),
    ODD.map(lambda body: json.dumps(body).encode()),
    st.sampled_from(
        [b"", b"null", b"[" * 100_000, b'{"a":' * 5_000, b"{", b'{"alias": "\xff"}', b"\xef\xbb\xbf{}", b"NaN"]
    ),
    st.binary(max_size=100),
)
METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "G\x00T"]
_SEGMENTS = st.one_of(
    st.sampled_from(["1", "2", "100001", "info", "app.css", "0"]),
    st.sampled_from(
        ["-1", str(2**53), str(2**64), "9" * 400, "1.0", "%00", "..", "%2e%2e%2f", "%ff", "%", "%F0%9F", "\u0661"]
    ),
    st.text(max_size=8).map(lambda text: "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))),
)
_WORDS = [
    "1",
    "0",
    "-1",
    "999",
    "1000000000",
    "x",
    "",
    "%00",
    "%ff",
    "1&count=2",
    "queue",
    "\u00e9",
    "../../x",
    "%0d%0a",
]
_QUERIES = st.dictionaries(
    st.sampled_from(
        ["count", "from", "to", "state", "offset", "limit", "full", "project", "next", "page", "level", "q", "wait"]
    ),
    st.sampled_from(_WORDS),
    max_size=3,
).map(lambda query: "&".join(f"{name}={value}" for name, value in query.items()))
_VALUES = st.one_of(
    st.sampled_from(
        ["", "None", "-1", "gzip", "same-origin", "cross-site", "null", "sha256=" + "0" * 64, "1" * 10_000]
    ),
    st.sampled_from(["text/html", "bytes=0-1", "h2c", "100-continue", "https", "http://x", "tt=" + "a" * 43, 'tt="\\']),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=20),
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Accept",
            "Accept-Encoding",
            "Connection-X",
            "Content-Encoding",
            "Content-Type",
            "Cookie",
            "Expect",
            "If-None-Match",
            "Origin",
            "Range",
            "Referer",
            "Sec-Fetch-Site",
            "Upgrade",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Hub-Signature-256",
            "X-Request-ID",
            "X-Secret",
            "X-Worker-ID",
        ]
    ),
    _VALUES,
    max_size=3,
)


@st.composite
def targets(draw: st.DrawFn, path: str) -> str:
    """A path and query for a route's path."""
    # The second project is there to be deleted; all others call the first.
    likely = {
        "{id}": "2" if "delete" in path else "1",
        "{worker}": "2",
        "{task}": "200001",
        "{level}": "info",
        "{name}": "app.css",
    }
    parts = [
        draw(st.just(likely.get(part, "1")) | _SEGMENTS) if part.startswith("{") else part for part in path.split("/")
    ]
    query = draw(_QUERIES)
    return "/".join(parts) + (f"?{query}" if query else "")


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Received(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def exchanged(url: httpx.URL, request: Request) -> Received:
    """The answer to a request on a connection of its own."""
    method, target, headers, body = request
    lines = {**headers, "Host": "broker", "Connection": "close", "Content-Length": str(len(body))}
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        # It may be refused before all of it was sent.
        with suppress(OSError):
            connection.sendall(head.encode("latin-1", "replace") + b"\r\n" + body)
        received = b""
        with suppress(ConnectionResetError):
            while more := connection.recv(65_536):
                received += more
    interim, _, rest = received.partition(b"\r\n\r\n")
    if interim.startswith(b"HTTP/1.1 100"):
        received = rest
    top, _, content = received.partition(b"\r\n\r\n")
    first, *fields = top.decode("latin-1").split("\r\n")
    pairs = (field.partition(": ") for field in fields)
    return Received(int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, content)
