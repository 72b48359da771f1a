"""Log lines of workers: taken, checked, and written to the log file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import Caller, Fleet, WorkerCaller
from tests.serving import Serving, until

LEVELS = ("trace", "info", "warn", "error")
LINE = {"scope": "Arbitrary log category", "message": "message", "timestamp": 1559393394}


@pytest.fixture(scope="module")
def log_file(scratch: Path) -> Path:
    return scratch / "logging" / "broker.jsonl"


@pytest.fixture(scope="module")
def writing(scratch: Path, log_file: Path) -> Iterator[WorkerCaller]:
    """A worker of a broker that writes a log file."""
    running = Serving.start(scratch / "logging", log_file=str(log_file))
    anybody = Caller(running.url)
    worker = WorkerCaller(running.url, anybody.post("/worker/create").content()["worker"])
    yield worker
    worker.close()
    anybody.close()
    assert running.stop() == 0


def written(log_file: Path, worker: int, scope: str) -> dict[str, Any]:
    """The one line of this scope; waits until it is in the file."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        lines = [json.loads(line) for line in log_file.read_text().splitlines()] if log_file.exists() else []
        found[:] = [line for line in lines if line.get("worker") == worker and line.get("scope") == scope]
        return bool(found)

    until(look)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("level", LEVELS)
def test_a_line_is_written_to_the_log_file_with_the_client_s_time(
    writing: WorkerCaller, log_file: Path, level: str
) -> None:
    line = {"scope": f"at {level}", "message": f"said at {level}", "timestamp": 1559393394}

    assert writing.post(f"/log/{level}", line).body == {"ok": True}

    entry = written(log_file, writing.id, f"at {level}")
    assert entry["message"] == f"said at {level}"
    assert (entry["timestamp"], entry["worker_level"]) == (1559393394, level)


def test_a_line_cannot_pretend_to_be_two(writing: WorkerCaller, log_file: Path) -> None:
    message = 'one\n{"time": 0, "worker": 99}\r\n\x1b[2J\x00 %s %d {0} \u202e\N{GRINNING FACE}'

    writing.post("/log/error", {"scope": "two\nlines", "message": message, "timestamp": 1}).content()

    assert written(log_file, writing.id, "two\nlines")["message"] == message


@pytest.mark.parametrize("level", LEVELS)
def test_the_message_may_be_spelled_with_a_capital(fleet: Fleet, level: str) -> None:
    worker = fleet.worker()

    assert worker.post(f"/log/{level}", {"scope": "s", "Message": "m", "timestamp": 1}).body == {"ok": True}
    assert worker.post(f"/log/{level}", {**LINE, "Message": LINE["message"]}).body == {"ok": True}
    different = worker.post(f"/log/{level}", {**LINE, "Message": "something else"})
    assert (different.status, different.code) == (400, "invalid")
    assert "Message" in different.message


@pytest.mark.parametrize("timestamp", [1, 2**53 + 1, 2**63 - 1])
@pytest.mark.parametrize("level", LEVELS)
def test_any_time_is_the_client_s_to_say(fleet: Fleet, level: str, timestamp: int) -> None:
    assert fleet.worker().post(f"/log/{level}", {**LINE, "timestamp": timestamp}).body == {"ok": True}


def test_a_very_long_line_is_taken(fleet: Fleet) -> None:
    line = {"scope": "x" * 100_000, "message": "\N{GRINNING FACE}" * 100_000, "timestamp": 1}

    assert fleet.worker().post("/log/trace", line).body == {"ok": True}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        *(({field: None}, field) for field in LINE),
        # Clients that cannot omit a field send it empty.
        ({"scope": ""}, "scope"),
        ({"message": ""}, "message"),
        ({"message": None, "Message": ""}, "Message"),
        ({"timestamp": 0}, "timestamp"),
        ({"timestamp": -1}, "timestamp"),
        ({"scope": 5}, "scope"),
        ({"scope": []}, "scope"),
        ({"message": 5}, "message"),
        ({"message": {}}, "message"),
        ({"message": None, "Message": 5}, "Message"),
        ({"message": None, "Message": None}, "message"),
        ({"timestamp": "1559393394"}, "timestamp"),
        ({"timestamp": 1559393394.5}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
        ({"timestamp": 2**63}, "timestamp"),
        ({"timestamp": -(2**63) - 1}, "timestamp"),
    ],
)
def test_an_invalid_line_names_the_field(fleet: Fleet, wrong: dict[str, Any], field: str) -> None:
    answer = fleet.worker().post("/log/info", {**LINE, **wrong})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)


@pytest.mark.parametrize("level", ["INFO", "fatal", "7", "%00", "info%2f", "%D9%A3", "x" * 5000])
def test_an_unknown_level_is_not_found(fleet: Fleet, level: str) -> None:
    answer = fleet.worker().post(f"/log/{level}", LINE)

    assert (answer.status, answer.code) == (404, "not_found")


def test_the_log_file_is_for_the_broker_s_user_only(writing: WorkerCaller, log_file: Path) -> None:
    assert log_file.stat().st_mode & 0o777 == 0o600
