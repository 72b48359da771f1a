"""Hot calls are served without ASGI: a client gets the same answers, to the byte, as through ASGI."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis import Redis

from broker import processes
from broker.api import routes
from broker.api.routing import HOT
from tests.client import Caller, Fleet, WorkerCaller
from tests.servers import a_server
from tests.serving import until

WAYS = ("direct", "usual")

_MASKED = re.compile(
    rb"(?<=date: )[^\r]+|(?<=x-request-id: )[0-9a-f]{8}-[0-9a-f]+(?=\r)|(?<=\"assign_time\":)\d+|(?<=\"created\":)\d+"
)
"""What differs between two servers."""


@dataclass
class Side:
    """A server with data of its own, which serves hot calls directly or through ASGI."""

    url: str
    process: "subprocess.Popen[bytes]"
    fleet: Fleet
    project: int
    worker: WorkerCaller

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def counts(self) -> dict[str, int]:
        """Tasks by state."""
        stats = self.fleet.admin.get(f"/project/stats/{self.project}").content()["stats"]
        return {state: stats[state] for state in ("waiting", "assigned", "failed")}


@contextmanager
def running(way: str, store: str, **settings: str) -> Iterator[Side]:
    its = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    its |= {"BROKER_REDIS_URL": store, "BROKER_PREFIX": way, "BROKER_PROJECT_LIMIT": "0"}
    its |= {f"BROKER_{name.upper()}": value for name, value in settings.items()}
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener, ExitStack() as stack:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "tests.server.process", str(listener.fileno()), way]
        process = processes.spawn(command, environment=its, keep=[listener.fileno()])
        stack.callback(processes.stop, [process], 10)
        listener.close()
        admin = Caller(url)
        stack.callback(admin.close)
        admin.post("/register", {"username": "admin", "password": "a long password"}).content()
        fleet = Fleet(url, admin)
        stack.callback(fleet.close)
        project = fleet.project(name="the project", public=False)
        yield Side(url, process, fleet, project, fleet.worker(project))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with a_server(tmp_path_factory.mktemp("store")) as port:
        yield f"redis://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def sides(store: str) -> Iterator[list[Side]]:
    """A server for each way; both have got the same calls."""
    with ExitStack() as stack:
        # The same limits, small enough to be reached.
        limits = {"max_body": "1mb", "max_recipe": "100kb", "max_head": "16kb", "request_timeout": "5s"}
        yield [stack.enter_context(running(way, store, **limits)) for way in WAYS]


@pytest.fixture(params=WAYS)
def side(request: pytest.FixtureRequest, sides: list[Side]) -> Side:
    return sides[WAYS.index(request.param)]


CREDENTIALS = b"X-Worker-ID: {worker}\r\nX-Secret: {secret}\r\n"


def get(path: str, more: str = "", *, method: str = "GET", version: str = "1.1") -> bytes:
    return f"{method} {path} HTTP/{version}\r\nHost: x\r\n{more}".encode() + CREDENTIALS + b"\r\n"


def post(path: str, body: object, more: str = "", *, version: str = "1.1") -> bytes:
    """``body``: bytes as they are, everything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    length = f"Content-Length: {len(content)}\r\n"
    head = f"POST {path} HTTP/{version}\r\nHost: x\r\n{more}{length}".encode()
    return head + CREDENTIALS + b"\r\n" + content


def chunked(path: str, *chunks: bytes, end: bytes = b"0\r\n\r\n", more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}Transfer-Encoding: chunked\r\n".encode()
    return head + CREDENTIALS + b"\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def task(recipe: str = "r", **fields: object) -> dict[str, object]:
    return {"project": 1, "recipe": recipe, **fields}


def release(task: int, **fields: object) -> dict[str, object]:
    return {"task_id": task, "result": 0, **fields}


SUBMIT, TURN = "/task/submit", "/task/turn"
RECIPE = json.dumps(task("split", unique_string="split")).encode()
GZIP = "Content-Encoding: gzip\r\n"
MOZILLA = "User-Agent: Mozilla/5.0\r\n"
SESSION = "Cookie: tt={session}\r\n"

CONVERSATIONS: dict[str, list[bytes]] = {
    "submits": [
        post(SUBMIT, task("a", unique_string="a", priority=3)),
        post(SUBMIT, task("a", unique_string="a")),
        post("/api" + SUBMIT, task("b", hash64=-5, group="host.example", max_retries=2)),
        post(SUBMIT, task("delayed", delay=6000)),
        post(SUBMIT, task("x" * 70_000)),
        post(SUBMIT, task("\N{SNOWMAN}" * 1000)),
        LAST,
    ],
    "submits that are refused": [
        post(SUBMIT, {"project": 1}),
        post(SUBMIT, {"recipe": "r"}),
        post(SUBMIT, task("")),
        post(SUBMIT, task("r", hash64=1, unique_string="a")),
        post(SUBMIT, task("r", priority="high")),
        post(SUBMIT, {"project": 99, "recipe": "r"}),
        post(SUBMIT, task("x" * 150_000)),
        post(SUBMIT, b""),
        post(SUBMIT, b"null"),
        post(SUBMIT, b"  {} "),
        post(SUBMIT, b"[1]"),
        post(SUBMIT, b"{"),
        post(SUBMIT, b'{"project":1,"recipe":"\xff"}'),
        post(SUBMIT, b"[" * 5000),
        LAST,
    ],
    "a body over the limit": [post(SUBMIT, task("x" * 1_100_000)), LAST],
    "a release of over 64 KiB": [post("/task/release", {"task_id": 1, "padding": "x" * 70_000}), LAST],
    "a length over the limit": [
        post(SUBMIT, b"", "Connection: close\r\n").replace(b"Content-Length: 0", b"Content-Length: 999999999999999")
    ],
    "gets": [
        get("/task/get/1"),
        get("/task/get/1?count=2&hold=500"),
        get("/task/get/1?count=2&count=1"),
        get("/task/get"),
        get("/task/get?count=1"),
        get("/api/task/get/1"),
        get("/task/get/1?wait=0"),
        get("/task/get/1?"),
        LAST,
    ],
    "gets that are refused": [
        get("/task/get/0"),
        get("/task/get/99"),
        get("/task/get/x"),
        get("/task/get/99999999999999999999"),
        get("/task/get/"),
        get("/task/get/1/"),
        get("/task/get/1?count=0"),
        get("/task/get/1?count=abc"),
        get("/task/get/1?count="),
        get("/task/get/1?hold=%31"),
        get("/task/get/1?wait=61"),
        get("/task/get/1?count=1#count=2"),
        LAST,
    ],
    "spelled in an unusual way": [
        get("/task/%67et/1?count=1"),
        get("//task/get/1"),
        get("/task//get/1"),
        get("http://x/task/get/1?count=1"),
        get("/task/get/1?a=%ff&count=1"),
        get("/TASK/GET/1"),
        LAST,
    ],
    "releases": [
        post("/task/release", release(100001)),
        post("/task/release", release(100001)),
        post("/task/release", release(200001, result=1, message="why")),
        post("/task/release", release(300001, result=2, delay=3000)),
        post("/task/release", release(400001, group_delay=-7)),
        post("/task/release", release(5)),
        post("/task/release", {"task_id": "x", "result": 0}),
        post("/task/release", {}),
        LAST,
    ],
    "turns": [
        post(TURN, {"releases": [release(100001)], "submits": [task("t1"), task("t2")], "get": {"project": 1}}),
        post(TURN, {}),
        post(TURN, {"get": {}}),
        post(TURN, {"get": {"project": 99}, "submits": [task("t3")]}),
        post(TURN, {"submits": [task("t4"), task("")]}),
        post(TURN, {"releases": [{"task_id": 3}]}),
        post(TURN, {"get": {"project": 1, "count": 5000}}),
        LAST,
    ],
    "in bulk": [
        post(
            "/task/bulk_submit", {"requests": [task(f"bulk{n}", unique_string=f"bulk{n % 700}") for n in range(1500)]}
        ),
        post("/task/bulk_submit", {"requests": []}),
        post("/task/bulk_submit", {"requests": [task(), {"project": 2, "recipe": "r"}]}),
        post("/task/bulk_release", {"requests": [release(n * 100_000 + 1) for n in range(1, 900)]}),
        post("/task/extend", {"task_ids": [200001, 300001, 7], "seconds": 600}),
        post("/task/extend", {"task_id": 200001}),
        LAST,
    ],
    "who asks": [
        get("/task/get/1").replace(CREDENTIALS, b""),
        get("/task/get/1").replace(b"{secret}", b"c2VjcmV0"),
        get("/task/get/1").replace(b"{secret}", b"no base64"),
        get("/task/get/1").replace(b"{worker}", b"one"),
        post(SUBMIT, task()).replace(b"{worker}", b"99"),
        get("/task/get/1", "X-Worker-ID: 99\r\n"),
        post(SUBMIT, task("cookie"), f"{SESSION}Origin: http://evil.example\r\n"),
        post(SUBMIT, task("cookie"), f"{SESSION}Origin: http://x\r\n"),
        get("/task/get/1", f"{SESSION}{MOZILLA}Sec-Fetch-Site: cross-site\r\n"),
        LAST,
    ],
    "ids of requests": [
        get("/task/get/1", "X-Request-ID: mine\r\n"),
        get("/task/get/1", "X-Request-ID: two words\r\nX-Request-ID: second\r\n"),
        get("/task/get/1", f"X-Request-ID: {'x' * 129}\r\n"),
        post(SUBMIT, task("with an id"), "x-request-id: a;b\r\n"),
        LAST,
    ],
    "methods": [
        get("/task/get/1", method="HEAD"),
        get("/task/get/1", method="POST"),
        get(SUBMIT),
        get(SUBMIT, method="PUT"),
        get(SUBMIT, method="OPTIONS"),
        LAST,
    ],
    "closed by the client's wish": [post(SUBMIT, task("close"), "Connection: close\r\n"), LAST],
    "closed by one of many wishes": [get("/task/get/1", "Connection: x, Close\r\n"), LAST],
    "kept": [get("/task/get/1?count=1", "Connection: keep-alive\r\n"), LAST],
    "HTTP/1.0": [get("/task/get/1?count=1", version="1.0"), LAST],
    "HTTP/1.0, kept": [get("/task/get/1?count=1", "Connection: keep-alive\r\n", version="1.0"), LAST],
    "HTTP/1.0 with a body": [post(SUBMIT, task("1.0"), version="1.0"), LAST],
    "HTTP/1.2": [get("/task/get/1?count=1", version="1.2"), LAST],
    "chunked": [
        chunked(SUBMIT, *(b'{"project":1,', b'"recipe":"chunked"}')),
        chunked(SUBMIT, *[b" " * 1000] * 80, b'{"project":1,"recipe":"chunked, large"}'),
        chunked(SUBMIT),
        chunked(SUBMIT, RECIPE, end=b"0\r\nX-Secret: of a trailer\r\n\r\n"),
        LAST,
    ],
    "chunked, over the limit": [chunked("/task/release", *[b" " * 9000] * 20), LAST],
    "chunked in a wrong way": [chunked(SUBMIT, b'{"project":1', end=b"no number\r\n\r\n"), LAST],
    "a length and chunks": [chunked(SUBMIT, RECIPE, more="Content-Length: 5\r\n"), LAST],
    "two lengths": [post(SUBMIT, RECIPE, "Content-Length: 5\r\n"), LAST],
    "expects": [post(SUBMIT, task("expects"), "Expect: 100-continue\r\n"), LAST],
    "expects something else": [post(SUBMIT, task("expects"), "Expect: the best\r\n"), LAST],
    "an upgrade": [post(SUBMIT, task("h2"), "Connection: Upgrade\r\nUpgrade: h2c\r\n"), LAST],
    "an upgrade of a get": [
        get("/task/get/1?count=1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"),
        LAST,
    ],
    "half an upgrade": [post(SUBMIT, task("h2"), "Upgrade: h2c\r\n"), get("/task/get/1", "Upgrade: h2c\r\n"), LAST],
    "encoded": [
        post(SUBMIT, task("gzip"), GZIP),
        post(SUBMIT, b"", GZIP),
        post(SUBMIT, task("identity"), "Content-Encoding: identity\r\n"),
        LAST,
    ],
    "a large head": [get("/task/get/1", f"X-Padding: {'x' * 12_000}\r\n"), LAST],
    "too large a head": [get("/task/get/1", f"X-Padding: {'x' * 20_000}\r\n")],
    "not HTTP after a hot call": [get("/task/get/1?count=1"), b"not HTTP\r\n\r\n"],
    "a bare line feed": [get("/task/get/1?count=1").replace(b"\r\n", b"\n"), LAST],
}


CUT_SHORT = {
    "closed by the client's wish",
    "closed by one of many wishes",
    "HTTP/1.0",
    "HTTP/1.0, kept",
    "HTTP/1.0 with a body",
    "chunked in a wrong way",
    "too large a head",
    "not HTTP after a hot call",
    "HTTP/1.2",
    "two lengths",
    "an upgrade",
    "an upgrade of a get",
    "a length and chunks",
    "a bare line feed",
}
"""Requests that the server refuses before they were sent completely: whether a client reads the answer is luck."""

WHOLE = 1 << 30


def filled(side: Side, request: bytes) -> bytes:
    """With the credentials of this side."""
    session = side.fleet.admin.http.cookies.get("tt") or ""
    for name, value in (("worker", str(side.worker.id)), ("secret", side.worker.secret), ("session", session)):
        request = request.replace(b"{%b}" % name.encode(), value.encode())
    return request


def connected(side: Side) -> socket.socket:
    client = socket.create_connection(side.address, timeout=20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def rest(client: socket.socket) -> bytes:
    """All that comes back until the server closes, with what differs masked."""
    received = b""
    while part := client.recv(65_536):
        received += part
    return _MASKED.sub(b"X", received)


def talk(side: Side, request: bytes, *, size: int = WHOLE, half_closes: bool = False) -> bytes:
    """What comes back for requests that are sent in pieces of ``size`` bytes, all before an answer is read."""
    with connected(side) as client:
        data = filled(side, request)
        for at in range(0, len(data), size):
            client.sendall(data[at : at + size])
        if half_closes:
            client.shutdown(socket.SHUT_WR)
        return rest(client)


def test_each_hot_call_is_a_call() -> None:
    assert {route.call for route in routes() if route.serve.hot} == HOT


@pytest.mark.parametrize("size", [WHOLE, 700, 11], ids=["at once", "in pieces", "in small pieces"])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_answers_are_the_same(sides: list[Side], name: str, size: int) -> None:
    request = b"".join(CONVERSATIONS[name])
    if name in CUT_SHORT:
        size = WHOLE
    if len(request) // size > 2000:
        size = len(request) // 2000

    direct, usual = (talk(side, request, size=size) for side in sides)

    assert direct == usual
    assert direct.startswith(b"HTTP/1.1 ")
    assert sides[0].counts() == sides[1].counts()


@pytest.mark.parametrize("name", ["submits", "gets", "turns", "in bulk", "chunked"])
def test_a_client_that_sends_no_more_gets_all_answers(sides: list[Side], name: str) -> None:
    request = b"".join(CONVERSATIONS[name][:-1])

    direct, usual = (talk(side, request, half_closes=True) for side in sides)

    assert direct == usual
    assert direct.count(b"HTTP/1.1 ") == len(CONVERSATIONS[name]) - 1
    assert sides[0].counts() == sides[1].counts()


def test_a_client_that_stops_in_the_middle_of_a_body_gets_no_answer_and_submits_nothing(sides: list[Side]) -> None:
    before = [side.counts() for side in sides]

    direct, usual = (talk(side, post(SUBMIT, task("half"))[:-3], half_closes=True) for side in sides)

    assert direct == usual == b""
    assert [side.counts() for side in sides] == before


def test_a_body_may_come_after_its_head(side: Side) -> None:
    head, _, body = filled(side, post(SUBMIT, task("late"), "Connection: close\r\n")).partition(b"\r\n\r\n")
    before = side.counts()
    with connected(side) as client:
        client.sendall(head + b"\r\n\r\n")
        side.fleet.anybody.get("/healthz")
        client.sendall(body[:9])
        side.fleet.anybody.get("/healthz")
        client.sendall(body[9:])

        assert rest(client).startswith(b"HTTP/1.1 200 OK")
    assert side.counts()["waiting"] == before["waiting"] + 1


def test_a_client_that_is_refused_need_not_send_a_body(side: Side) -> None:
    head, _, _ = post(SUBMIT, task(), "Connection: close\r\n").replace(b"{secret}", b"eA==").partition(b"\r\n\r\n")
    with connected(side) as client:
        client.sendall(filled(side, head) + b"\r\n\r\n")

        assert rest(client).startswith(b"HTTP/1.1 401 Unauthorized")


def test_a_client_that_leaves_before_its_body_is_there_submits_nothing(side: Side) -> None:
    before = side.counts()
    with connected(side) as client:
        client.sendall(filled(side, post(SUBMIT, task("cut"))[:-3]))
        side.fleet.anybody.get("/healthz")
    until(lambda: in_flight(side) == 0)

    assert side.counts() == before


def test_a_client_that_leaves_while_it_waits_leaves_the_next_task_to_others(side: Side) -> None:
    project = side.fleet.project()
    worker = side.fleet.worker(project)
    with connected(side) as client:
        client.sendall(filled(replace(side, worker=worker), get(f"/task/get/{project}?wait=60")))
        until(lambda: in_flight(side) == 1)
    until(lambda: in_flight(side) == 0)
    submitted = worker.submit(project)

    assert worker.take(project)["id"] == submitted


def test_many_requests_at_once_are_answered_in_their_order(sides: list[Side]) -> None:
    calls = [post(SUBMIT, task(f"many{n}")) for n in range(40)]
    mixed = [
        request
        for n, call in enumerate(calls)
        for request in (call, get("/task/get/1"), get("/healthz", f"X-Request-ID: {n}\r\n"), post(TURN, {}))
    ]

    direct, usual = (talk(side, b"".join([*mixed, LAST])) for side in sides)

    assert direct == usual
    assert direct.count(b"HTTP/1.1 200") == len(mixed) + 1


@pytest.mark.parametrize("name", ["gets", "turns", "releases"])
def test_both_ways_are_counted_alike(sides: list[Side], name: str) -> None:
    before = [counted(side) for side in sides]
    for side in sides:
        talk(side, b"".join(CONVERSATIONS[name]))
    direct, usual = (counted(side) - was for side, was in zip(sides, before, strict=True))

    assert direct == usual
    assert direct.total() == len(CONVERSATIONS[name]) + 1


def counted(side: Side) -> Counter[str]:
    """Requests by route and status, as the metrics have them."""
    lines = side.fleet.anybody.http.get("/metrics").text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if line.startswith("broker_requests_total{"))
    return Counter({name: int(float(value)) for name, _, value in pairs})


def in_flight(side: Side) -> int:
    """Requests that are not answered yet, but the one that asks."""
    lines = side.fleet.anybody.http.get("/metrics").text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("broker_requests_in_flight")) - 1


@contextmanager
def silent(store: str) -> Iterator[None]:
    """While the block runs, the store takes commands and answers none."""
    with Redis.from_url(store) as redis:
        process = redis.info("server")["process_id"]
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_hangs_is_told_of_and_a_stop_ends_waits(way: str, tmp_path: Path) -> None:
    with a_server(tmp_path / "store") as port, running(way, f"redis://127.0.0.1:{port}", redis_timeout="500ms") as side:
        with silent(f"redis://127.0.0.1:{port}"):
            hung = talk(side, post(SUBMIT, task("hangs"), "Connection: close\r\n"))
        until(lambda: b"200 OK" in talk(side, get("/task/get/1?count=1", "Connection: close\r\n")))
        with connected(side) as client:
            client.sendall(filled(side, get("/task/get/1?wait=60")))
            until(lambda: in_flight(side) == 1)
            side.process.send_signal(signal.SIGTERM)
            waited = rest(client)

        assert hung.startswith(b"HTTP/1.1 503 Service Unavailable")
        assert b"connection: close\r\n" in waited
        assert b'"code":"no_task"' in waited
        assert side.process.wait(10) == -signal.SIGTERM


@contextmanager
def known(side: Side) -> Iterator[socket.socket]:
    """A connection that the server reads from. One that is only accepted is closed by a stop, whatever was sent."""
    with connected(side) as client:
        client.sendall(get("/healthz"))
        answer = b""
        while not answer.endswith(b"}"):
            answer += client.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        yield client


@pytest.mark.parametrize("way", WAYS)
def test_a_stop_waits_for_calls_but_not_for_ever(way: str, tmp_path: Path) -> None:
    with a_server(tmp_path / "store") as port:
        store = f"redis://127.0.0.1:{port}"
        with running(way, store, redis_timeout="60s", grace="3") as side, known(side) as client:
            with silent(store):
                client.sendall(filled(side, post(SUBMIT, task("soon"))))
                assert side.fleet.anybody.get("/healthz").status == 200
                side.process.send_signal(signal.SIGTERM)
                until(lambda: refuses_connections(side))
            assert rest(client).startswith(b"HTTP/1.1 200 OK")
            assert side.process.wait(10) == -signal.SIGTERM
        with running(way, store, prefix="again", redis_timeout="60s", grace="1") as side, known(side) as client:
            with silent(store):
                client.sendall(filled(side, post(SUBMIT, task("never"))))
                assert side.fleet.anybody.get("/healthz").status == 200
                side.process.send_signal(signal.SIGTERM)
                answer = rest(client)
            assert answer.startswith(b"HTTP/1.1 500 Internal Server Error")
            assert answer.endswith(b"connection: close\r\n\r\nInternal Server Error")


def refuses_connections(side: Side) -> bool:
    try:
        connected(side).close()
    except OSError:
        return True
    return False
