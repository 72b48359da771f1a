"""What a stranger sends must not cost the broker more than a refusal."""

import os
import resource
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.client import Fleet, exchange
from tests.serving import Serving, until


def connected(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_headers_without_end_are_cut_off(fleet: Fleet) -> None:
    with connected(fleet.url) as client:
        client.sendall(b"GET /account HTTP/1.1\r\nX-A: ")
        sent = 0
        try:
            while sent < 64 << 20:
                sent += client.send(b"a" * 65_536)
        except OSError:
            pass

    assert sent < 16 << 20


def test_a_head_of_sixty_kilobytes_and_a_large_body_are_fine(fleet: Fleet) -> None:
    padding = {f"X-{n}": "x" * 1000 for n in range(60)}
    project = fleet.project()
    worker = fleet.worker(project)
    for _ in range(3):
        body = {"project": project, "recipe": "r", "padding": "x" * 1_000_000}
        assert worker.post("/task/submit", body, headers=padding).status == 200


def test_a_cookie_that_takes_python_minutes_to_read_takes_us_no_time(fleet: Fleet) -> None:
    hostile = 'a="' + "\\a" * 30_000 + '"'

    # Python 3.11.7 reads it for four seconds, in which the process does nothing else.
    answer = fleet.anybody.post("/worker/create", headers={"Cookie": hostile}, timeout=2)

    assert answer.status == 200


def test_a_header_that_comes_twice_counts_as_it_came_first(fleet: Fleet) -> None:
    manager = fleet.manager()
    cookies = [("Cookie", f"tt={manager.http.cookies['tt']}"), ("Cookie", "of=another")]

    assert fleet.anybody.get("/account", headers=cookies).content()["logged_in"] is True


def test_what_follows_the_body_is_no_header(fleet: Fleet) -> None:
    worker = fleet.worker()
    head = f"POST /worker/update HTTP/1.1\r\nHost: broker\r\nX-Worker-ID: {worker.id}\r\nX-Secret: {worker.secret}\r\n"
    body = b'Transfer-Encoding: chunked\r\n\r\n10\r\n{"alias":"mine"}\r\n0\r\nX-Secret: none\r\n\r\n'

    assert exchange(fleet.url, head.encode() + body).status == 200


def test_a_call_whose_body_an_upgrade_would_swallow_is_refused(fleet: Fleet) -> None:
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}

    answer = fleet.anybody.post("/worker/create", {"alias": "mine"}, headers=offer)
    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("upgrade: ")

    assert answer.headers["connection"] == "close"


def test_an_offer_to_upgrade_is_ignored_and_the_connection_serves_no_second_request(fleet: Fleet) -> None:
    with connected(fleet.url) as client:
        head = "HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        # In one piece: what comes when it has hung up is answered by a reset, which may overtake the answer.
        client.sendall(f"GET /healthz {head}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answers = b"".join(iter(lambda: client.recv(65_536), b""))

    assert answers.startswith(b"HTTP/1.1 200")
    assert answers.count(b"HTTP/1.1") == 1


def test_a_store_that_takes_no_log_lines_does_not_make_the_log_feed_itself(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    fleet = Fleet(serving.url, serving.caller())
    worker = fleet.worker()
    with Redis(unix_socket_path=str(serving.store_socket())) as redis:
        redis.set("broker:{directory}:logs:error", "no stream")

    line = {"scope": "s", "message": "m", "timestamp": 1}
    assert worker.post("/log/error", line).status == 503
    assert worker.post("/log/error", line).status == 503
    assert worker.post("/log/info", line).status == 200

    # Each refused line is one complaint, and keeping the complaint, which fails as well, is one more.
    until(lambda: serving.log.read_text().count("XADD: ") >= 2)
    for _ in range(20):
        assert httpx.get(f"{serving.url}/healthz", verify=False).status_code == 200
    assert serving.log.read_text().count("XADD: ") <= 4
    fleet.close()
    assert serving.stop() == 0


def test_a_server_process_may_have_as_many_connections_as_the_system_lets_it(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    serving = Serving.start(tmp_path)
    (server,) = serving.servers()

    limit = int(Path(f"/proc/{server}/limits").read_text().partition("Max open files")[2].split()[0])

    assert limit >= min(hard if hard != resource.RLIM_INFINITY else 65_536, 65_536)
    assert serving.stop() == 0


def test_an_operator_is_warned_that_few_clients_fit(tmp_path: Path) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))"
    code = f"import resource, os, sys; {limit}; os.execv(sys.argv[1], sys.argv[1:])"
    command = [
        sys.executable,
        "-c",
        code,
        sys.executable,
        "-m",
        "broker",
        "serve",
        "--port",
        "1",
        "--host",
        "203.0.113.1",
    ]

    ended = subprocess.run(
        command,
        env={**os.environ, "BROKER_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "only 300 files may be open" in ended.stderr


def test_a_client_that_speaks_tls_is_one_line_in_the_log_with_its_address(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    before = serving.log.read_text()
    context = ssl.create_default_context()
    with connected(serving.url) as client:
        address = "{}:{}".format(*client.getsockname())
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(client, server_hostname="localhost")

    until(lambda: address in serving.log.read_text())
    assert serving.stop() == 0
    said = [line for line in serving.log.read_text()[len(before) :].splitlines() if " INFO " not in line]
    assert len(said) == 1, said
    assert f"Invalid HTTP request received from {address}: it speaks TLS, this port plain HTTP" in said[0]
