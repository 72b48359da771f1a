"""The ``broker`` command explains itself, on any terminal, at once."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.cli import create_parser, main


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def test_the_help_of_every_command_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    helps = {parser.prog: parser.format_help() for parser in parsers(create_parser())}

    assert {"broker", "broker serve", "broker worker create", "broker status"} <= helps.keys()
    assert [line for text in helps.values() for line in text.splitlines() if len(line) > 80] == []


def test_every_option_says_what_it_means() -> None:
    silent = [
        f"{parser.prog} {action.dest}"
        for parser in parsers(create_parser())
        for action in parser._actions
        if not action.help
    ]

    assert [option for option in silent if not option.endswith("==SUPPRESS==")] == []


def test_without_a_command_all_are_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "1")

    assert main([]) == 2
    assert "redis-cli" in capsys.readouterr().err


def test_an_option_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--bogus"])

    assert "unrecognized arguments: --bogus" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        (["serve", "--bogus"], "usage: broker serve "),
        (["worker", "create", "--bogus"], "usage: broker worker create "),
        (["import", "--bogus", "--project", "1", "-"], "usage: broker import "),
        (["demo", "--bogus"], "usage: broker demo "),
    ],
)
def test_an_option_that_a_command_does_not_have_shows_the_usage_of_the_command(
    command: list[str], usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(command)

    said = capsys.readouterr().err
    assert said.startswith(usage)
    assert f"{usage.removeprefix('usage: ').strip()}: error: unrecognized arguments: --bogus" in said


def serve(*flags: str, **variables: str) -> str:
    """What a start that fails says."""
    command = [sys.executable, "-m", "broker", "serve", *flags]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    return done.stderr


def test_an_invalid_host_is_reported_with_its_flag_or_variable(tmp_path: Path) -> None:
    data = ("--data-dir", str(tmp_path), "--port", "0")

    for wrong in ("300.1.1.1", "no..host", "x" * 70):
        assert serve(*data, "--host", wrong).startswith(f"broker: --host: cannot listen on {wrong}:0: ")
    assert serve(*data, BROKER_HOST=wrong).startswith(f"broker: BROKER_HOST: cannot listen on {wrong}:0: ")


def test_a_wrong_setting_is_reported_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    impossible = str(tmp_path / "file" / "data")
    said = f"cannot use {impossible}: Not a directory\n"

    assert serve("--port", "0", "--data-dir", impossible) == f"broker: --data-dir: {said}"
    assert serve("--port", "0", BROKER_DATA_DIR=impossible) == f"broker: BROKER_DATA_DIR: {said}"
    assert serve("--port", "0", BROKER_LOG_FILE=impossible) == (
        f"broker: BROKER_LOG_FILE: cannot write {impossible}: Not a directory\n"
    )


def test_nothing_of_the_server_is_loaded_before_a_command_needs_it() -> None:
    program = "import sys; from broker.cli import create_parser; create_parser([]); print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()

    assert "broker.cli" in loaded
    assert {"redis", "starlette", "uvicorn", "httpx", "msgspec", "asyncio"}.isdisjoint(loaded)


def test_redis_cli_says_that_no_broker_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redis-cli", "--data-dir", str(tmp_path), "PING"]) == 1
    assert capsys.readouterr().err == f"broker: --data-dir: no broker runs on {tmp_path}\n"
