"""Clients that send slowly, or never, or never read: they are dropped, and nobody else is."""

import os
import re
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.client import Fleet
from tests.faults.test_hostile_requests import connected
from tests.serving import Serving, until

_GET = b"GET /project/list HTTP/1.1\r\nHost: x\r\n\r\n"
_POST = b"POST /worker/create HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n"


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A broker that waits for a request for a second, and for the next one for two."""
    serving = Serving.start(tmp_path_factory.mktemp("hasty"), request_timeout="1", keep_alive="2")
    yield serving
    assert serving.stop() == 0


def are_dropped(drips: dict[socket.socket, bytes]) -> bool:
    """Whether the broker closes all these connections, while each client sends its bytes again and again."""
    for client in drips:
        client.settimeout(0.005)
    for _ in range(200):
        drips = {client: drip for client, drip in drips.items() if not has_ended(client, drip)}
        if not drips:
            return True
        time.sleep(0.05)
    return False


def has_ended(client: socket.socket, drip: bytes) -> bool:
    try:
        client.sendall(drip)
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def answered(client: socket.socket) -> bytes:
    """The next answer, whole."""
    client.settimeout(20)
    answer = b""
    while not (found := re.match(rb".*\r\ncontent-length: (\d+)\r\n.*?\r\n\r\n(.*)", answer, re.DOTALL)):
        answer += client.recv(1)
    for _ in range(int(found[1]) - len(found[2])):
        answer += client.recv(1)
    return answer


SLOW = [
    (b"", b""),
    (b"GET /account HTTP/1.1\r\nX-A: ", b"a"),
    (b"GET /account HTTP/1.1\r\n", b"X-A: a\r\n"),
    (b"G", b""),
    (b"", b"\r\n"),
    (_POST.replace(b"16", b"1600"), b" "),
    (_POST, b""),
    (b"POST /worker/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
]
"""What a request begins with, and what is sent of it again and again."""


@pytest.mark.parametrize("before", [b"", _GET], ids=["at first", "after an answer"])
def test_clients_that_take_too_long_to_send_a_request_are_dropped(hasty: Serving, before: bytes) -> None:
    with ExitStack() as stack:
        drips = {}
        for begins, drip in SLOW:
            client = stack.enter_context(connected(hasty.url))
            if before:
                client.sendall(before)
                assert answered(client).startswith(b"HTTP/1.1 200")
            client.sendall(begins)
            drips[client] = drip

        assert are_dropped(drips)


def test_a_client_that_has_its_answer_before_it_has_sent_all_is_dropped_as_well(hasty: Serving) -> None:
    with connected(hasty.url) as client:
        client.sendall(b"POST /project/list HTTP/1.1\r\nHost: x\r\nContent-Length: 1600\r\n\r\n")
        assert answered(client).startswith(b"HTTP/1.1 405")

        assert are_dropped({client: b" "})


def test_between_two_requests_there_is_more_time_and_not_for_ever(hasty: Serving) -> None:
    with connected(hasty.url) as client:
        client.sendall(_GET)
        assert answered(client).startswith(b"HTTP/1.1 200")
        time.sleep(1.3)
        client.sendall(_GET)
        assert answered(client).startswith(b"HTTP/1.1 200")

        assert are_dropped({client: b""})


def test_a_request_that_begins_late_has_all_of_its_time(hasty: Serving) -> None:
    with connected(hasty.url) as client:
        for part in (_POST, b'{"alias": "lat"}'):
            time.sleep(0.6)
            client.sendall(part)

        assert answered(client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [10, len(_POST) - 2, len(_POST) + 8])
def test_a_call_that_takes_long_is_answered_and_what_waits_behind_it_has_its_time_then(
    hasty: Serving, sent: int
) -> None:
    store, behind = hasty.store(), _POST + b'{"alias": "lat"}'
    with connected(hasty.url) as client:
        client.sendall(_GET)
        assert answered(client).startswith(b"HTTP/1.1 200")
        os.kill(store, signal.SIGSTOP)
        try:
            client.sendall(_GET)
            client.sendall(behind[:sent])
            time.sleep(1.4)
        finally:
            os.kill(store, signal.SIGCONT)

        assert answered(client).startswith(b"HTTP/1.1 200")
        client.sendall(behind[sent:])
        assert answered(client).startswith(b"HTTP/1.1 200")


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux gives up such a client")
@pytest.mark.parametrize("head", ["", "Connection: close\r\n"])
def test_a_client_that_never_reads_its_answer_is_dropped(hasty: Serving, head: str) -> None:
    fleet = Fleet(hasty.url, hasty.caller())
    fleet.admin.post("/register", {"username": secrets.token_hex(6), "password": "a long password"}).content()
    project = fleet.project()
    worker = fleet.worker(project)
    for _ in range(8):
        worker.submit(project, "x" * (1 << 20))
    fleet.close()

    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        broker = httpx.URL(hasty.url)
        client.connect((broker.host, broker.port))
        keys = f"X-Worker-ID: {worker.id}\r\nX-Secret: {worker.secret}\r\n{head}"
        client.sendall(f"GET /task/get/{project}?count=8 HTTP/1.1\r\nHost: x\r\n{keys}\r\n".encode())
        ports = f":{broker.port:04X}", f":{client.getsockname()[1]:04X}"
        assert serves(*ports)

        until(lambda: not serves(*ports), 20)


def serves(broker: str, client: str) -> bool:
    """Whether the broker's port has a connection to the client's, as /proc/net/tcp spells them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(row[1].endswith(broker) and row[2].endswith(client) for row in rows)
