"""What managers read of the workers' log lines, and what the log file has of them and of the broker's own."""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client import Caller, Fleet, WorkerCaller
from tests.serving import Serving, until

LEVELS = {"trace": 7, "info": 5, "warn": 4, "error": 3}
HOSTILE = 'one\n{"time": 0, "worker": 99}\r\n\x1b[2J\x00\x7f\x9b %s %d {0} \u202e\u2028</script>'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("public")


@pytest.fixture(scope="module")
def public(folder: Path) -> Iterator[Serving]:
    """A broker whose logs anybody may read, and that says all it has to say."""
    log_file = str(folder / "broker.jsonl")
    serving = Serving.start(folder, workers=2, public_logs="yes", log_level="debug", log_file=log_file)
    yield serving
    assert serving.stop() == 0


@pytest.fixture(scope="module")
def anybody(public: Serving) -> Caller:
    return public.caller()


@pytest.fixture
def worker(public: Serving, anybody: Caller) -> Iterator[WorkerCaller]:
    worker = WorkerCaller(public.url, anybody.post("/worker/create").content()["worker"])
    yield worker
    worker.close()


def says(worker: WorkerCaller, level: str, message: str, timestamp: int = 1000, scope: str = "scope") -> None:
    body = {"scope": scope, "message": message, "timestamp": timestamp}
    assert worker.post(f"/log/{level}", body).body == {"ok": True}


def read(caller: Caller, level: int, since: int = 1) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = caller.post("/logs", {"level": level, "since": since}).content()["logs"]
    return lines


def of(worker: WorkerCaller, lines: list[dict[str, Any]]) -> list[str]:
    """The messages of this worker."""
    return [line["message"] for line in lines if json.loads(line["data"]).get("worker") == worker.id]


def written(folder: Path, **expected: object) -> list[dict[str, Any]]:
    """Whole lines of the log file with these values."""
    text = (folder / "broker.jsonl").read_text()
    lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].split("\n") if line]
    return [line for line in lines if expected.items() <= line.items()]


@pytest.mark.parametrize(("level", "number"), LEVELS.items())
def test_lines_of_exactly_one_level_are_given(anybody: Caller, worker: WorkerCaller, level: str, number: int) -> None:
    for one in LEVELS:
        says(worker, one, f"at {one}", timestamp=123_456, scope="a scope")

    lines = read(anybody, number)

    assert of(worker, lines) == [f"at {level}"]
    (line,) = (line for line in lines if of(worker, [line]))
    assert json.loads(line.pop("data")) == {"scope": "a scope", "worker": worker.id}
    assert line == {"message": f"at {level}", "timestamp": 123_456, "level": number}


def test_lines_are_newer_than_since_and_the_last_comes_first(anybody: Caller, worker: WorkerCaller) -> None:
    for n in (10, 30, 20, 40):
        says(worker, "info", f"at {n}", timestamp=n)

    assert of(worker, read(anybody, 5, since=1)) == ["at 40", "at 20", "at 30", "at 10"]
    assert of(worker, read(anybody, 5, since=20)) == ["at 40", "at 30"]
    assert of(worker, read(anybody, 5, since=40)) == []
    assert of(worker, read(anybody, 5, since=2**63 - 1)) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"level": 5, "since": 0}, "since"),
        ({"level": 5, "since": -1}, "since"),
        ({"level": 5, "since": 2**63}, "since"),
        ({"level": 5, "since": "1"}, "since"),
        ({"level": 5}, "since"),
        ({"since": 1}, "level"),
        ({"level": 8, "since": 1}, "level"),
        ({"level": 0, "since": 1}, "level"),
        ({"level": 10**30, "since": 1}, "level"),
        ({"level": "info", "since": 1}, "level"),
        ({"level": True, "since": 1}, "level"),
        (None, "level"),
    ],
)
def test_an_invalid_question_is_refused(anybody: Caller, body: dict[str, object] | None, field: str) -> None:
    answer = anybody.post("/logs", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)


@pytest.mark.parametrize("level", [1, 2])
def test_the_levels_that_a_client_asks_for_and_nobody_writes_have_no_lines(anybody: Caller, level: int) -> None:
    assert read(anybody, level) == []


def test_at_most_a_thousand_lines_are_given_the_last_ones(anybody: Caller, worker: WorkerCaller) -> None:
    for n in range(1005):
        says(worker, "trace", f"line {n}")

    lines = read(anybody, 7)

    assert len(lines) == 1000
    assert of(worker, lines) == [f"line {n}" for n in reversed(range(5, 1005))]


def test_logs_are_for_managers_unless_they_are_public(fleet: Fleet, anybody: Caller) -> None:
    body = {"level": 5, "since": 1}
    refused = fleet.anybody.post("/logs", body)

    assert (refused.status, refused.code) == (401, "not_logged_in")
    assert fleet.worker().post("/logs", body).status == 401
    assert fleet.manager().post("/logs", body).status == 200
    assert anybody.post("/logs", body).status == 200


def test_a_line_of_a_worker_is_one_line_in_the_file(anybody: Caller, worker: WorkerCaller, folder: Path) -> None:
    scope = f"scope {secrets.token_hex(4)}"
    for level in LEVELS:
        says(worker, level, HOSTILE, timestamp=5, scope=scope)

    until(lambda: len(written(folder, scope=scope)) == len(LEVELS))

    for line in written(folder, scope=scope):
        assert (line["logger"], line["message"], line["worker"]) == ("broker.worker", HOSTILE, worker.id)
        assert line["timestamp"] == 5
        assert abs(line["time"] - (folder / "broker.jsonl").stat().st_mtime) < 60
    assert {line["worker_level"] for line in written(folder, scope=scope)} == set(LEVELS)


def test_control_characters_are_read_as_they_were_given(anybody: Caller, worker: WorkerCaller) -> None:
    says(worker, "warn", HOSTILE, scope=HOSTILE)

    lines = [line for line in read(anybody, 4) if of(worker, [line])]

    assert [line["message"] for line in lines] == [HOSTILE]
    assert json.loads(lines[0]["data"])["scope"] == HOSTILE


def test_what_a_worker_says_does_not_move_the_operator_s_cursor(public: Serving, worker: WorkerCaller) -> None:
    token = secrets.token_hex(4)
    says(worker, "error", f"{token}{HOSTILE}")

    until(lambda: token in public.log.read_text())

    (line,) = (line for line in public.log.read_bytes().split(b"\n") if token.encode() in line)
    assert b"</script>" in line
    assert not re.search(rb"[\x00-\x1f\x7f]", line)


def test_ten_megabytes_are_cut(anybody: Caller, worker: WorkerCaller, folder: Path) -> None:
    scope = f"large {secrets.token_hex(4)}"
    says(worker, "error", "\N{BUG}\x00" * 500_000, scope=scope)
    says(worker, "error", "y", scope="z" * (10 << 20))

    short, cut = of(worker, read(anybody, 3))
    assert short == "y"
    assert cut.startswith("\N{BUG}\x00" * 500)
    assert len(cut) < 5000
    until(lambda: len(written(folder, worker=worker.id)) == 2)
    assert max(len(line) for line in (folder / "broker.jsonl").read_text().split("\n")) < 100_000
    assert [line["message"] for line in written(folder, scope=scope)] == [cut]


def test_the_broker_s_own_records_are_in_the_file(public: Serving, folder: Path) -> None:
    def own() -> list[dict[str, Any]]:
        return [line for line in written(folder) if line["logger"] != "broker.worker"]

    until(lambda: any(public.url in line["message"] for line in own()))

    for line in own():
        assert isinstance(line["time"], float)
        assert line["level"] in {"debug", "info", "warning", "error"}
        assert "worker" not in line
