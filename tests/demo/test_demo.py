"""``broker demo`` as a user runs it."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.demo.main import started

TIME = 90


@pytest.fixture
def unused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def _start(directory: Path, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Killed after TIME, so that nothing waits for it without end."""
    with subprocess.Popen(
        [sys.executable, "-m", "broker", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(directory)},
    ) as process:
        limit = threading.Timer(TIME, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def _demo(directory: Path, *arguments: str) -> tuple[int, str, str]:
    with _start(directory, *arguments) as process:
        output, errors = process.communicate(timeout=TIME + 20)
        return process.returncode, output, errors


def _left_behind(directory: Path) -> list[str]:
    """Files in the temporary directory, and processes that were given something in it."""
    found = [str(path) for path in directory.iterdir()]
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [line for line in [command.read_text()] if str(directory) in line]
    return found


def test_a_crawl_of_forty_pages_balances_waits_after_a_429_and_leaves_nothing_behind(tmp_path: Path) -> None:
    status, output, errors = _demo(tmp_path, "--pages", "40")

    assert status == 0, output + errors
    assert "books balance" in output
    assert re.search(r"^told to wait by a 429 +[1-9]", output, re.MULTILINE)
    assert re.search(r"^127\.0\.0\.1:\d+ +\d of 2 +\d+ of 23 +\d of 2$", output, re.MULTILINE)
    assert re.search(r"^started a broker at http://127\.0\.0\.1:\d+$", errors, re.MULTILINE)
    assert _left_behind(tmp_path) == []


def test_an_interrupted_demo_stops_its_broker_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with _start(tmp_path, "--pages", "40") as process:
        assert process.stderr is not None
        assert any("workers crawl" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIME + 20)

    assert process.returncode == 1
    assert errors.endswith("broker demo: interrupted\n")
    assert _left_behind(tmp_path) == []


def test_a_demo_whose_time_is_over_says_so_and_fails(tmp_path: Path) -> None:
    status, _, errors = _demo(tmp_path, "--timeout", "0.1")

    assert status == 1
    assert "not ready to crawl" in errors
    assert _left_behind(tmp_path) == []


def test_a_demo_at_an_address_without_a_broker_says_so(tmp_path: Path, unused_url: str) -> None:
    status, _, errors = _demo(tmp_path, "--pages", "8", "--url", unused_url)

    assert status == 1
    assert errors.endswith(f"broker demo: no broker answers at {unused_url}\n")
    assert _left_behind(tmp_path) == []


@pytest.fixture
def running_broker(tmp_path: Path) -> Iterator[str]:
    with asyncio.Runner() as runner:
        server = started(tmp_path)
        url = runner.run(server.__aenter__())
        yield url
        runner.run(server.__aexit__(None, None, None))


def test_a_broker_that_runs_already_is_used_and_a_second_demo_there_finds_names_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, running_broker: str
) -> None:
    directory = tmp_path_factory.mktemp("demo")
    first = _demo(directory, "--pages", "8", "--url", running_broker)
    second = _demo(directory, "--pages", "8", "--url", running_broker)

    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert "in project pages, which is chained to index\n" in first[2]
    assert "in project pages-" in second[2]
    assert "the first account here, so an admin" in first[2]
    assert "a new manager" in second[2]
