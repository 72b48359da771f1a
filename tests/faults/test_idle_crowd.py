"""Thousands of idle connections do not slow down the clients that work."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.client import Fleet

IDLE = 4096
_ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} files may be open")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def asks(connection: socket.socket) -> bool:
    """Whether a call on this connection is answered."""
    connection.sendall(_ASK)
    answer = b""
    while not answer.endswith(b"}") and (more := connection.recv(4096)):
        answer += more
    return answer.startswith(b"HTTP/1.1 200") and answer.endswith(b'{"ok":true}')


def test_thousands_of_idle_connections_delay_nobody_and_stay_usable(many_files: None, fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    url = httpx.URL(fleet.url)
    with ExitStack() as crowd:
        idle = [
            crowd.enter_context(socket.create_connection((url.host, url.port or 80), timeout=10)) for _ in range(IDLE)
        ]
        assert all(asks(connection) for connection in idle)

        newcomer = fleet.worker(project)
        for n in range(100):
            task = worker.submit(project, str(n))
            assert newcomer.take(project)["id"] == task
            assert newcomer.release(task)

        assert all(asks(connection) for connection in idle)
