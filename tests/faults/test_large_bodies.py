"""Many large bodies that arrive slowly: their memory is limited, and small calls go on."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse

import pytest

from tests.client import Caller, Fleet, WorkerCaller
from tests.faults.test_hostile_requests import connected
from tests.faults.test_pipelining import memory
from tests.serving import Serving, until

_LARGEST = 16 << 20
_BODY = b'{"scope": "s", "message": "m", "timestamp": 1}'


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A broker of one process, whose memory nobody else uses."""
    running = Serving.start(tmp_path_factory.mktemp("bodies"), max_bodies="64mb")
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def admin(serving: Serving) -> Caller:
    return serving.admin()


def begun(serving: Serving, worker: WorkerCaller, *, chunked: bool = False) -> socket.socket:
    """A connection on which a call with the largest body begins."""
    how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {_LARGEST}"
    keys = f"X-Worker-ID: {worker.id}\r\nX-Secret: {worker.secret}\r\n{how}\r\n\r\n"
    connection = connected(serving.url)
    connection.sendall(f"POST /log/info HTTP/1.1\r\nHost: x\r\n{keys}".encode())
    return connection


def refused(connection: socket.socket) -> bool:
    """Whether there is an answer; it must be the expected refusal."""
    connection.settimeout(0.001)
    try:
        if not connection.recv(1, socket.MSG_PEEK):
            return False
    except TimeoutError:
        return False
    connection.settimeout(5)
    response = HTTPResponse(connection)
    response.begin()
    body = json.loads(response.read())
    assert (response.status, body["code"], response.getheader("retry-after")) == (503, "unavailable", "1")
    response.close()
    return True


@pytest.mark.parametrize("chunked", [False, True])
def test_twenty_five_large_bodies_that_never_end_take_no_more_than_the_setting(
    serving: Serving, fleet: Fleet, chunked: bool
) -> None:
    worker = fleet.worker()
    before, most = memory(serving), 0
    piece = b" " * (_LARGEST - (1 << 20))
    framed = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
    with ExitStack() as stack:
        clients = [stack.enter_context(begun(serving, worker, chunked=chunked)) for _ in range(25)]
        answered = 0
        for client in clients:
            client.sendall(framed)
            assert fleet.anybody.post("/worker/create", {"alias": "small"}).status == 200
            most = max(most, memory(serving))
        answered = sum(map(refused, clients))

    assert answered >= 25 - 5
    assert most - before < 200
    # What they held is free again.
    until(lambda: worker.post("/log/info", _BODY.ljust(_LARGEST)).status == 200)


def test_a_body_that_ends_is_read_and_those_that_were_refused_leave_their_room(serving: Serving, fleet: Fleet) -> None:
    worker = fleet.worker()
    # Ninety-six megabytes of either, more than there is room for.
    for _ in range(6):
        assert worker.post("/log/info", _BODY.ljust(_LARGEST)).status == 200
        assert worker.post("/log/info", b"no JSON".ljust(_LARGEST)).status == 400
