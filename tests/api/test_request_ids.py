"""Every answer carries an ``X-Request-ID``, and so does every line of the log that was written for it."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from http.client import parse_headers
from pathlib import Path
from typing import Any

import pytest

from tests.client import Fleet
from tests.serving import Serving, until

ID = "X-Request-ID"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("HEAD", "/readyz"),
        ("POST", "/task/submit"),
        ("GET", "/project/get/nothing"),
        ("GET", "/nowhere"),
        ("PUT", "/api/task/submit"),
        ("GET", "/ui/sign-in"),
        ("GET", "/ui/nowhere"),
        ("POST", "/ui/sign-in"),
        ("GET", "/metrics"),
        ("POST", "/git/receivehook"),
    ],
)
def test_whatever_is_answered_it_has_the_id_that_the_client_gave_or_one_of_its_own(
    fleet: Fleet, method: str, path: str
) -> None:
    given = fleet.anybody.http.request(method, path, headers={ID: "the-clients"})
    made = fleet.anybody.http.request(method, path)

    assert given.headers.get_list(ID) == ["the-clients"]
    assert len(made.headers.get_list(ID)) == 1
    assert made.headers[ID]


@pytest.mark.parametrize("given", ["a", "f3:/?&=\"'{}", "x" * 128])
def test_a_sane_id_comes_back(fleet: Fleet, given: str) -> None:
    assert fleet.anybody.get("/healthz", headers={ID: given}).headers.get_list(ID) == [given]


@pytest.mark.parametrize("given", ["", "x" * 129, "two words", "tab\there", "\xe9", "\x80"])
def test_another_is_replaced(fleet: Fleet, given: str) -> None:
    answer = fleet.anybody.get("/healthz", headers={ID.encode(): given.encode("latin-1")})

    (made,) = answer.headers.get_list(ID)
    assert made != given
    assert made.isascii()


def test_no_two_requests_get_the_same_one_whichever_process_makes_it(serving: Serving) -> None:
    made = [serving.caller().get("/healthz").headers[ID] for _ in range(50)]
    kept = serving.caller()
    made += [kept.get("/healthz").headers[ID] for _ in range(50)]

    assert len(set(made)) == 100
    # Both processes have answered.
    assert len({id.partition("-")[0] for id in made}) == 2


def spoken(serving: Serving, *packets: tuple[bytes, int]) -> list[tuple[int, str]]:
    """Status and id of the answers on one connection. For each packet: its bytes, and how many answers it gets."""
    host, _, port = serving.url.removeprefix("http://").partition(":")
    read = []
    with socket.create_connection((host, int(port)), timeout=20) as connection, connection.makefile("rb") as stream:
        for packet, answers in packets:
            connection.sendall(packet)
            for _ in range(answers):
                status, headers = int(stream.readline().split()[1]), parse_headers(stream)
                stream.read(int(headers["content-length"]))
                read.append((status, headers[ID]))
    return read


def test_each_of_the_requests_that_come_in_one_packet_has_its_own(serving: Serving) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: %b\r\n\r\n"

    answers = spoken(serving, (one % b"a" + one % b"b" + one % b"" + one % b"c", 4))

    first, second, made, last = (id for _, id in answers)
    assert [first, second, last] == ["a", "b", "c"]
    assert made not in {"", "a", "b", "c"}


@pytest.fixture(scope="module")
def logging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Path]]:
    folder = tmp_path_factory.mktemp("logging")
    running = Serving.start(folder, log_file=str(folder / "log.json"), redis_timeout="0.5s", sweep_interval="0.2s")
    yield running, folder / "log.json"
    assert running.stop() == 0


def lines(file: Path, message: str) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in file.read_text().splitlines()]
    return [line for line in read if message in line["message"]]


def test_a_line_of_the_log_tells_the_request_that_wrote_it(logging: tuple[Serving, Path]) -> None:
    serving, file = logging
    caller = serving.caller()
    admin = {"username": "admin", "password": "a long password"}
    caller.post("/register", admin).content()
    fleet = Fleet(serving.url, caller)
    worker = fleet.worker()
    line = {"scope": "fetch", "message": "said by a worker", "timestamp": 1559393394}

    worker.post("/log/warn", line, headers={ID: "from-the-client"})
    made = worker.post("/log/warn", line).headers[ID]
    fleet.close()

    until(lambda: len(lines(file, "said by a worker")) == 2)
    assert [line["request"] for line in lines(file, "said by a worker")] == ["from-the-client", made]
    assert "said by a worker (worker 1, fetch) (request from-the-client)\n" in serving.log.read_text()


def test_what_the_broker_does_by_itself_has_no_request(logging: tuple[Serving, Path]) -> None:
    serving, file = logging
    caller = serving.caller()
    os.kill(serving.store(), signal.SIGSTOP)
    try:
        # On the connection and in the process that are also asked meanwhile.
        until(lambda: caller.get("/readyz", headers={ID: "mine"}).status == 503 and bool(lines(file, "sweep: ")))
    finally:
        os.kill(serving.store(), signal.SIGCONT)

    assert not any("request" in line for line in lines(file, "sweep: "))


@pytest.mark.parametrize("head", [b"nonsense", b"GET /x HTTP/9.9", b"GET /x HTTP/1.1\r\nno header", b"\x16\x03\x01"])
def test_what_is_no_http_is_refused_with_the_id_of_its_line(logging: tuple[Serving, Path], head: bytes) -> None:
    serving, file = logging

    fine, refused = spoken(serving, (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 1), (head + b"\r\n\r\n", 1))

    assert (fine[0], refused[0]) == (200, 400)
    assert fine[1] != refused[1]
    until(lambda: any(line.get("request") == refused[1] for line in lines(file, "Invalid HTTP")))
