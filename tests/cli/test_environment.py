"""What the commands take from the environment, and what they print without a broker or on an ASCII terminal."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from broker.cli import main
from broker.client import AsyncClient, Client, ClientError
from tests.client import Fleet
from tests.client_library.proxy import a_proxy

UNFIT = {"ALL_PROXY": "socks5://127.0.0.1:9", "HTTP_PROXY": "gopher://127.0.0.1:9", "NO_PROXY": "[::1]"}


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Broker = Callable[..., Done]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Broker:
    def run(*arguments: object, **variables: str) -> Done:
        with monkeypatch.context() as environment:
            for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
                environment.delenv(name)
            for name, value in variables.items():
                environment.setenv(name, value)
            return Done(main(list(map(str, arguments))), *capsys.readouterr())

    return run


def program(*arguments: object, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "broker", *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(command, env=clean | variables, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("variable", "value"), UNFIT.items())
def test_a_broker_on_this_machine_is_reached_without_a_proxy(
    broker: Broker, fleet: Fleet, variable: str, value: str
) -> None:
    given = {variable: value}

    assert broker("status", "--url", fleet.url, **given).returncode == 0
    assert broker("status", "--url", fleet.url, **given, TASK_BROKER_TRUST_ENV="yes").returncode == 0


@pytest.mark.parametrize(("variable", "value"), UNFIT.items())
def test_a_proxy_that_cannot_be_used_is_one_line(broker: Broker, variable: str, value: str) -> None:
    given = {variable: value, "TASK_BROKER_TRUST_ENV": "1"}

    done = broker("status", "--url", "http://broker.invalid", **given)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"broker: the proxy of {variable} cannot be used: ")
    assert done.stderr.endswith("Correct it, or unset TASK_BROKER_TRUST_ENV for no proxy\n")


def test_a_proxy_is_used_only_when_that_is_asked_for(broker: Broker, fleet: Fleet) -> None:
    with a_proxy(fleet.url) as proxy:
        unasked = broker("status", "--url", "http://broker.invalid", HTTP_PROXY=proxy.url)
        before = list(proxy.asked)
        broker("status", "--url", "http://broker.invalid", HTTP_PROXY=proxy.url, TASK_BROKER_TRUST_ENV="yes")

    assert (unasked.returncode, before) == (1, [])
    assert proxy.asked[:1] == ["http://broker.invalid/project/list"]


def test_both_clients_say_what_they_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_BROKER_TRUST_ENV", "perhaps")

    for client in (Client, AsyncClient):
        with pytest.raises(ClientError, match="TASK_BROKER_TRUST_ENV: 'perhaps' is not yes or no"):
            client("http://broker.invalid")


@pytest.mark.parametrize("command", [["status"], ["worker", "create"], ["submit", "-", "--project", "1"]])
def test_a_broker_that_is_down_is_reported_at_once(broker: Broker, command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "worker.json"
    if command[0] == "submit":
        file.write_text('{"id": 1, "alias": "a", "secret": "s"}')
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        done = broker(*command, TASK_BROKER_URL=url, TASK_BROKER_WORKER_FILE=str(file))

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"no answer from {url} (Connection refused): is a broker running there?" in done.stderr
    assert done.stderr.endswith("TASK_BROKER_URL sets the URL\n")


def test_a_terminal_that_knows_only_ascii_gets_question_marks_and_programs_get_utf_8(
    fleet: Fleet, tmp_path: Path
) -> None:
    project = fleet.project(name=f"Köln {tmp_path.name}", public=True)
    given = {"PYTHONIOENCODING": "ascii", "TASK_BROKER_URL": fleet.url}

    people = program("status", **given)
    programs = program("status", "--json", **given)

    assert (people.returncode, f"K?ln {tmp_path.name}"[:40] in people.stdout) == (0, True), people.stderr
    (row,) = [row for row in map(json.loads, programs.stdout.splitlines()) if row["id"] == project]
    assert row["name"] == f"Köln {tmp_path.name}"
