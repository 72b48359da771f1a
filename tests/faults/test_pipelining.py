"""Clients that send many requests before they read an answer: each is answered in turn, and nobody else pays for it."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.client import Caller, Fleet
from tests.faults.test_hostile_requests import connected
from tests.serving import Serving, until

_GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
_FLOOD = _GET * (6_000_000 // len(_GET))


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A broker of one process, whose memory nobody else uses."""
    running = Serving.start(tmp_path_factory.mktemp("pipelining"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def admin(serving: Serving) -> Caller:
    return serving.admin()


def memory(serving: Serving) -> int:
    """MB of the server process."""
    (server,) = serving.servers()
    status = Path(f"/proc/{server}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) >> 10


def pours(client: socket.socket, data: bytes, stop: Event) -> None:
    """Sends as much as the broker takes, and reads nothing."""
    client.settimeout(0.2)
    view = memoryview(data)
    while view and not stop.is_set():
        try:
            view = view[client.send(view) :]
        except TimeoutError:
            continue
        except OSError:
            return


def sends(client: socket.socket, data: bytes, piece: int) -> None:
    for at in range(0, len(data), piece):
        client.sendall(data[at : at + piece])


def answers(client: socket.socket, count: int) -> list[bytes]:
    """The bodies of so many answers, as they came."""
    got: list[bytes] = []
    with client.makefile("rb") as stream:
        while len(got) < count:
            assert stream.readline().startswith(b"HTTP/1.1 200")
            length = 0
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.partition(b": ")
                length = int(value) if name == b"content-length" else length
            got.append(stream.read(length))
    return got


def test_floods_of_small_requests_cost_little_memory_and_delay_nobody(serving: Serving, fleet: Fleet) -> None:
    fleet.anybody.get("/healthz")
    before, most, slowest = memory(serving), 0, 0.0
    stop = Event()
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(serving.url)) for _ in range(8)]
        threads = [Thread(target=pours, args=(client, _FLOOD, stop)) for client in clients]
        for thread in threads:
            thread.start()
        until_then = time.monotonic() + 4
        while time.monotonic() < until_then:
            asked = time.monotonic()
            assert fleet.anybody.get("/healthz").status == 200
            slowest = max(slowest, time.monotonic() - asked)
            most = max(most, memory(serving))
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()

    assert slowest < 1
    assert most - before < 64
    until(lambda: memory(serving) - before < 32)


def test_what_is_read_ahead_has_bounds_for_bodies_as_well(serving: Serving, fleet: Fleet) -> None:
    # The first call waits for a task; those behind it wait for their turn.
    project = fleet.project()
    worker = fleet.worker(project)
    keys = f"Host: x\r\nX-Worker-ID: {worker.id}\r\nX-Secret: {worker.secret}\r\n"
    waits = f"GET /task/get/{project}?wait=3 HTTP/1.1\r\n{keys}\r\n".encode()
    body = b"{}".ljust(50_000)
    behind = b"POST /worker/create HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    before, stop = memory(serving), Event()
    with ExitStack() as stack:
        threads = []
        for _ in range(8):
            client = stack.enter_context(connected(serving.url))
            threads.append(Thread(target=pours, args=(client, waits + behind * 400, stop)))
            threads[-1].start()
        until_then = time.monotonic() + 1.5
        while time.monotonic() < until_then:
            assert memory(serving) - before < 32
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.mark.parametrize("piece", [1 << 20, 4096, 333], ids=["at once", "in pages", "in odd pieces"])
@pytest.mark.parametrize("chunked", [False, True])
def test_all_that_was_sent_ahead_is_answered_in_its_turn(serving: Serving, piece: int, chunked: bool) -> None:
    sent, aliases = b"", []
    for number in range(120):
        aliases.append(f"w{number}")
        # Among them bodies that are read in many parts.
        body = json.dumps({"alias": aliases[-1]}).encode().ljust(60_000 if number % 40 == 20 else 0)
        framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
        how = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
        sent += b"POST /worker/create HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n%b" % (how, framed)

    with connected(serving.url) as client:
        sender = Thread(target=sends, args=(client, sent, piece))
        sender.start()
        got = answers(client, len(aliases))
        sender.join(20)

    assert [json.loads(body)["content"]["worker"]["alias"] for body in got] == aliases


def test_broken_http_behind_good_requests_ends_the_connection(serving: Serving) -> None:
    with connected(serving.url) as client:
        client.sendall(_GET * 100 + b"no http\r\n\r\n" + _GET * 100)
        got = b"".join(iter(lambda: client.recv(65_536), b""))

    assert got.count(b"HTTP/1.1 200") <= 100
    assert got.count(b"HTTP/1.1 400") == 1
