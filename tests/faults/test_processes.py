"""``broker serve`` starts, stops, is killed, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from broker.cli import main
from broker.server.supervisor import SAME
from broker.store.redis.keys import LAYOUT
from tests.serving import Serving, free_port, until
from tests.stores import looking_into


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def serve(*flags: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A start that must fail."""
    return subprocess.run(
        [sys.executable, "-m", "broker", "serve", *flags],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(("name", "workers"), [(signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_a_signal_stops_everything(tmp_path: Path, workers: int, name: signal.Signals) -> None:
    serving = Serving.start(tmp_path, workers=workers)
    children = serving.children()
    socket_path = serving.store_socket()
    assert len(children) == workers + 1
    assert socket_path.exists()

    assert serving.stop(name) == 0

    assert not any(alive(pid) for pid in children)
    assert not socket_path.exists()


def test_a_request_in_flight_is_finished_before_the_stop(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    host, _, port = serving.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        body = b'{"alias": "late"}'
        head = f"POST /worker/create HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body[:5])
        # The head has been read when the process says that it waits for more.
        until(lambda: httpx.get(f"{serving.url}/healthz", verify=False).status_code == 200)
        serving.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(host, int(port)))
        client.sendall(body[5:])
        answer = b"".join(iter(lambda: client.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"alias":"late"' in answer
    assert serving.process.wait(10) == 0


@pytest.mark.slow
def test_a_request_that_never_ends_delays_the_stop_by_less_than_ten_seconds(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    with half_a_call(serving):
        assert serving.stop() == 0


def test_a_second_signal_stops_at_once_whatever_is_under_way(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=2, drain="1h")
    created = serving.caller().post("/worker/create").content()["worker"]["id"]
    with half_a_call(serving):
        told = time.monotonic()
        # Twice in a moment is once: a wrapper may pass on what the terminal has sent us already.
        serving.process.send_signal(signal.SIGTERM)
        serving.process.send_signal(signal.SIGTERM)
        until(
            lambda: httpx.get(f"{serving.url}/readyz", verify=False).json().get("message") == "The broker is stopping"
        )
        until(lambda: time.monotonic() - told > 2 * SAME)
        assert httpx.get(f"{serving.url}/worker/get/{created}", verify=False).status_code == 200

        assert serving.stop(signal.SIGINT) == 0

    assert "killed" not in serving.log.read_text()


@contextmanager
def half_a_call(serving: Serving) -> Iterator[None]:
    """One that never ends."""
    host, _, port = serving.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"POST /worker/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        until(lambda: httpx.get(f"{serving.url}/healthz", verify=False).status_code == 200)
        yield


def refuses(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return False
    except ConnectionRefusedError:
        return True


def test_a_killed_supervisor_leaves_no_process_and_its_data_are_found_again(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=2)
    created = [serving.caller().post("/worker/create").content()["worker"]["id"] for _ in range(20)]
    children = serving.children()

    serving.kill()
    again = Serving.start(tmp_path, workers=2)

    assert httpx.get(f"{again.url}/worker/get/{created[-1]}", verify=False).status_code == 200
    until(lambda: not any(alive(pid) for pid in children))
    assert again.stop() == 0


@pytest.mark.slow
def test_a_store_that_a_killed_supervisor_left_is_adopted(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    store, path = serving.store(), serving.store_socket()
    # Where the kernel does not end children with their parent, the store lives on: stopped, it cannot hear the signal.
    os.kill(store, signal.SIGSTOP)
    serving.kill()

    again = Serving.start(tmp_path, ready=False)
    until(lambda: again.log.read_text().count("serves at") == 2)
    os.kill(store, signal.SIGCONT)
    again.wait_for(200)

    assert path.exists()
    assert again.stop() == 0
    assert not path.exists()
    assert not alive(store)


def test_a_killed_server_process_is_replaced_and_the_others_go_on(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=2)
    before = set(serving.servers())

    os.kill(min(before), signal.SIGKILL)

    until(lambda: len(set(serving.servers()) - before) == 1)
    serving.wait_for(200)
    assert serving.stop() == 0


def test_a_killed_store_is_started_again_and_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=2)
    caller = serving.caller()
    acknowledged: list[int] = []
    refused: list[int] = []

    def create() -> None:
        ends = time.monotonic() + 15
        while (not refused or len(acknowledged) < 200) and time.monotonic() < ends:
            answer = caller.post("/worker/create")
            if answer.status == 200:
                acknowledged.append(answer.body["content"]["worker"]["id"])
            else:
                refused.append(answer.status)
                assert answer.headers["Retry-After"] == "1"

    thread = threading.Thread(target=create)
    thread.start()
    until(lambda: len(acknowledged) > 50)
    os.kill(serving.store(), signal.SIGKILL)
    thread.join(20)
    assert not thread.is_alive()

    assert set(refused) == {503}
    assert len(set(acknowledged)) == len(acknowledged)
    serving.wait_for(200)
    for worker in acknowledged:
        assert caller.get(f"/worker/get/{worker}").status == 200
    assert serving.stop() == 0


def test_a_second_broker_on_the_same_data_says_so_and_does_no_harm(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)

    second = serve("--port", str(free_port()), "--data-dir", str(tmp_path / "data"))

    assert second.returncode == 1
    assert second.stderr.strip().endswith(f"another broker is running on {tmp_path / 'data'}")
    assert serving.caller().post("/worker/create").status == 200
    assert serving.stop() == 0


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = serve("--port", str(port), "--data-dir", str(tmp_path))

    assert ended.returncode == 1
    assert ended.stderr == f"broker: --port: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_data_that_the_store_cannot_read_are_one_clear_line(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    assert serving.caller().post("/worker/create").status == 200
    assert serving.stop() == 0
    (manifest,) = (tmp_path / "data").rglob("*.manifest")
    manifest.write_text("nonsense")

    ended = serve("--port", str(free_port()), "--data-dir", str(tmp_path / "data"))

    assert ended.returncode == 1
    assert "the embedded store does not start: " in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BROKER_PORT", "http", "a whole number from 0 to 65535"),
        ("BROKER_WORKERS", "0", "a whole number from 1 to 256"),
        ("BROKER_SWEEP_INTERVAL", "soon", "a duration: seconds, or 90s, 5m, 8h, 7d"),
        ("BROKER_SWEEP_INTERVAL", "0", "a duration: seconds, or 90s, 5m, 8h, 7d"),
        ("BROKER_DURABILITY", "maybe", "one of always, everysec, none"),
        (
            "BROKER_REDIS_URL",
            "localhost:6379",
            "a URL that begins with redis://, rediss://, unix://, redis+cluster:// or redis+sentinel:// "
            "(rediss+... with TLS)",
        ),
        ("BROKER_PREFIX", "a{b}", "letters, digits and any of _ . : - (no braces)"),
        ("BROKER_ALLOW_REGISTRATION", "perhaps", "yes or no"),
        ("BROKER_MAX_BODY", "much", "a size: bytes, or 64kb, 16mb, 2gb"),
        ("BROKER_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)

    assert main(["serve"]) == 1
    assert capsys.readouterr().err == f"broker: {name}: {value!r} is not {says}\n"


def test_a_log_file_that_cannot_be_written_is_one_clear_line() -> None:
    ended = serve(BROKER_LOG_FILE="/nowhere/at/all.log")

    assert ended.returncode == 1
    assert ended.stderr == "broker: BROKER_LOG_FILE: cannot write /nowhere/at/all.log: No such file or directory\n"


@pytest.mark.slow
def test_a_store_that_is_away_is_waited_for_with_503(tmp_path: Path) -> None:
    binary = tmp_path / "store.sock"
    serving = Serving.start(tmp_path, ready=False, redis_url=f"unix://{binary}")
    # The start waits some seconds for the store; then it serves without.
    serving.wait_for(503, seconds=20)
    assert httpx.get(f"{serving.url}/healthz", verify=False).status_code == 200
    assert httpx.get(f"{serving.url}/readyz", verify=False).json()["message"] == "The store is not available yet"

    store = a_store("--port", "0", "--unixsocket", str(binary), "--dir", str(tmp_path))
    try:
        serving.wait_for(200, "/readyz")
        serving.wait_for(200)
        until(lambda: "no append-only file" in serving.log.read_text())
    finally:
        assert serving.stop() == 0
        store.terminate()
        store.wait(10)


def a_store(*options: str) -> "subprocess.Popen[bytes]":
    from broker.store.redis.embedded import binary  # noqa: PLC0415 - named like a local above

    return subprocess.Popen([binary(), "--save", "", *options], stdout=subprocess.DEVNULL)


def test_data_of_a_newer_layout_stop_the_start(redis_url: str) -> None:
    with looking_into(redis_url) as client:
        client.set("newer:{directory}:layout", LAYOUT + 1)

    ended = serve("--redis-url", redis_url, "--port", str(free_port()), BROKER_PREFIX="newer")

    assert ended.returncode == 1
    said = f"the data has key layout {LAYOUT + 1}, made by a newer broker; this one knows {LAYOUT}"
    assert ended.stderr.strip().endswith(said)
    assert "Traceback" not in ended.stderr
