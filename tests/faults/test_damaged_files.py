"""The embedded store's files are damaged: a power cut left zeros, a disk lost some bytes."""

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from broker.cli import main
from broker.store.redis import aof
from tests.client import Fleet
from tests.serving import Serving


def broker(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "broker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Repair = Callable[..., Done]


@pytest.fixture
def repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Repair:
    """Runs the command on the data of the test."""

    def run(*options: str, answer: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        return Done(main(["repair", "--data-dir", str(tmp_path / "data"), *options]), *capsys.readouterr())

    return run


def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / aof.FOLDER


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a broker that has stopped: projects "early" and "late" were made, in this order."""
    path = tmp_path_factory.mktemp("made")
    serving = Serving.start(path)
    fleet = Fleet(serving.url, serving.admin())
    for name in ("early", "late"):
        fleet.project(name=name)
    fleet.close()
    assert serving.stop() == 0
    return path / "data"


@pytest.fixture
def written(tmp_path: Path, made: Path) -> Path:
    """The file of commands in a copy of them."""
    shutil.copytree(made, tmp_path / "data")
    (file,) = folder(tmp_path).glob("*.incr.aof")
    return file


def names(tmp_path: Path) -> list[str]:
    """The names of the projects that a broker finds in the data."""
    serving = Serving.start(tmp_path)
    found = [project["name"] for project in serving.caller().get("/project/list").content()["projects"]]
    assert serving.stop() == 0
    return found


def damaged_at_late(file: Path) -> int:
    """Damages the creation of "late", after that of "early". Returns the position."""
    data = file.read_bytes()
    at = data.index(b"$4\r\nlate")
    file.write_bytes(data[:at] + bytes([0x80] * 4) + data[at + 4 :])
    return at


def test_zeros_at_the_end_are_cut_at_the_start_and_the_log_says_so(tmp_path: Path, written: Path) -> None:
    whole = written.read_bytes()
    # A block was being written: some of a command is there, and then zeros.
    written.write_bytes(whole + b"*3\r\n$3\r\nSET\r\n$1" + bytes(70_000))

    assert names(tmp_path) == ["early", "late"]

    log = (tmp_path / "serve.log").read_text()
    assert log.count(f"{written} ended in 70000 zero bytes, as a power cut leaves them; they were cut") == 1
    assert written.read_bytes().startswith(whole)


@pytest.mark.parametrize("left", [0, 40])
def test_zeros_may_be_all_that_is_left_of_the_last_changes(tmp_path: Path, written: Path, left: int) -> None:
    size = written.stat().st_size
    with written.open("r+b") as file:
        file.truncate(left)
        file.truncate(size)

    assert names(tmp_path) == []


def test_a_half_written_time_does_not_swallow_the_next_command(tmp_path: Path, written: Path, repair: Repair) -> None:
    whole = written.read_bytes()
    assert b"#TS:1" in whole
    written.write_bytes(whole + b"#TS:17")
    serving = Serving.start(tmp_path)
    caller = serving.caller()
    caller.post("/login", {"username": "admin", "password": "a long password"}).content()
    caller.post("/project/create", {"name": "next"}).content()
    assert serving.stop() == 0

    assert written.read_bytes()[len(whole) :].startswith((b"*", b"#TS:1"))
    assert b"#TS:17#" not in written.read_bytes()
    assert names(tmp_path) == ["early", "late", "next"]
    assert "has to be cut: the store starts" in repair().stdout


def test_a_start_with_damaged_files_fails_and_names_the_repair(tmp_path: Path, written: Path) -> None:
    damaged_at_late(written)

    failed = broker("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))

    assert failed.returncode == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert "reading the append only file appendonly.aof.1.incr.aof" in last
    assert last.endswith(f"; broker repair --data-dir {tmp_path / 'data'} shows what is damaged")
    assert "valkey-check-aof" not in failed.stderr


def test_a_repair_shows_what_is_lost_and_asks_and_leaves_a_way_back(
    tmp_path: Path, written: Path, repair: Repair
) -> None:
    at = damaged_at_late(written)
    before = contents(folder(tmp_path))

    for answer in ("", "no\n"):
        refused = repair(answer=answer)
        assert refused.returncode == 1
        assert "nothing was changed" in refused.stdout
        assert contents(folder(tmp_path)) == before
    offset = before[written.name].rindex(b"MULTI", 0, at) - len("*1\r\n$5\r\n")
    lost = len(before[written.name]) - offset
    assert f"{written} cannot be read from byte {offset:,} on: the bytes there are not a command\n" in refused.stdout
    (when,) = re.findall(r"the last change before that, at (.+): [A-Z]+ broker:\{", refused.stdout)
    assert abs(datetime.now(UTC) - datetime.strptime(f"{when} +0000", "%Y-%m-%d %H:%M:%S UTC %z")) < timedelta(
        minutes=5
    )
    assert f"to be cut: {lost:,} of its {len(before[written.name]):,} bytes\n" in refused.stdout

    done = repair(answer="y\n")

    assert done.returncode == 0, done.stderr
    assert "the store starts" in done.stdout
    copy = folder(tmp_path).with_name(f"{aof.FOLDER}.damaged-1")
    assert contents(copy) == before
    assert str(copy) in done.stdout
    # The store that was started to see whether it does may have noted what has expired meanwhile.
    assert written.read_bytes().startswith(before[written.name][:offset])
    assert b"$4\r\nlate" not in written.read_bytes()
    assert names(tmp_path) == ["early"]
    assert contents(copy) == before
    again = repair()
    assert (again.returncode, again.stdout) == (
        0,
        f"nothing in {folder(tmp_path)} has to be cut: the store starts\n",
    )


def test_files_that_were_written_after_the_damaged_one_are_put_aside(
    tmp_path: Path, written: Path, repair: Repair
) -> None:
    data = written.read_bytes()
    cut = data.rindex(b"*1\r\n$5\r\nMULTI", 0, data.index(b"$4\r\nlate"))
    written.write_bytes(data[: cut - 3])
    later = written.with_name("appendonly.aof.2.incr.aof")
    later.write_bytes(data[cut:])
    with (folder(tmp_path) / "appendonly.aof.manifest").open("a") as manifest:
        manifest.write(f"file {later.name} seq 2 type i\n")
    before = contents(folder(tmp_path))

    done = repair("--yes")

    assert done.returncode == 0, done.stderr
    assert "the file ends in the middle of a command" in done.stdout
    assert f"and {later}, which was written later: {len(data) - cut:,} bytes" in done.stdout
    assert contents(folder(tmp_path).with_name(f"{aof.FOLDER}.damaged-1")) == before
    assert not later.exists()
    assert names(tmp_path) == ["early"]


def test_a_command_that_the_store_does_not_know_is_damage_as_well(
    tmp_path: Path, written: Path, repair: Repair
) -> None:
    data = written.read_bytes()
    at = data.rindex(b"HSET", 0, data.index(b"$4\r\nlate"))
    written.write_bytes(data[:at] + b"HSEU" + data[at + 4 :])

    done = repair("--yes")

    assert done.returncode == 0, done.stderr
    assert f"{written} cannot be read from byte " in done.stdout
    assert "the store does not know the command HSEU" in done.stdout
    assert done.stdout.endswith("\nthe store starts\n")
    assert names(tmp_path) == ["early"]


def no_manifest(folder: Path) -> None:
    (folder / "appendonly.aof.manifest").unlink()


def damaged_manifest(folder: Path) -> None:
    (folder / "appendonly.aof.manifest").write_bytes(b"\xff\0" * 20)


def no_base(folder: Path) -> None:
    next(folder.glob("*.base.rdb")).unlink()


def damaged_base(folder: Path) -> None:
    base = next(folder.glob("*.base.rdb"))
    base.write_bytes(base.read_bytes()[:-20] + b"?" * 20)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (no_manifest, "cannot read "),
        (damaged_manifest, "cannot read "),
        (no_base, "appendonly.aof.1.base.rdb is missing; restore a backup"),
        (damaged_base, "the store does not start, and nothing more can be cut: "),
    ],
)
def test_what_no_cut_can_repair_is_told_and_left_alone(
    tmp_path: Path, written: Path, repair: Repair, damage: Callable[[Path], None], told: str
) -> None:
    damage(folder(tmp_path))
    before = contents(folder(tmp_path))

    failed = repair("--yes")

    assert failed.returncode == 1
    assert told in failed.stderr
    assert "Traceback" not in failed.stderr
    assert contents(folder(tmp_path)) == before


def test_a_repair_needs_a_store_that_is_there_and_does_not_run(tmp_path: Path, repair: Repair) -> None:
    nowhere = repair()
    assert (nowhere.returncode, nowhere.stderr) == (
        1,
        f"broker: --data-dir: there is no data in {tmp_path / 'data'}\n",
    )

    serving = Serving.start(tmp_path)
    refused = repair("--yes")
    assert (refused.returncode, refused.stderr) == (
        1,
        f"broker: --data-dir: another broker is running on {tmp_path / 'data'}\n",
    )
    assert serving.stop() == 0
