"""Why a worker gets no task, as a manager and the worker see it. The reasons are tested in tests/store/test_why.py."""

import re
import time
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from broker.api import answers
from broker.api.reasons import REASONS
from tests.client import Caller, Fleet, WorkerCaller


def codes(caller: Caller, project: int, query: str = "") -> list[str]:
    return [reason["code"] for reason in caller.get(f"/project/why/{project}{query}").content()["reasons"]]


def test_a_manager_and_the_worker_itself_are_told_the_same(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    worker.submit(project, delay=3600)
    asked = f"/project/why/{project}?worker={worker.id}"

    reasons = worker.get(f"/project/why/{project}").content()["reasons"]

    assert [reason["code"] for reason in reasons] == ["nothing_waits", "delayed"]
    assert {reason["code"]: reason["message"] for reason in reasons}.items() <= REASONS.items()
    assert (reasons[0]["until"], reasons[0]["count"]) == (None, None)
    assert (round(reasons[1]["until"] - time.time(), -2), reasons[1]["count"]) == (3600, 1)
    assert worker.get(asked).content()["reasons"] == fleet.admin.get(asked).content()["reasons"] == reasons


def test_a_paused_worker_is_told_so_beside_the_rest(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    fleet.admin.post("/worker/set_paused", {"worker": worker.id, "paused": True}).content()
    assert codes(worker, project) == ["worker_paused", "nothing_waits"]
    worker.submit(project)
    assert codes(worker, project) == ["worker_paused"]
    assert worker.get(f"/task/get/{project}").code == "worker_paused"

    fleet.admin.post("/worker/set_paused", {"worker": worker.id, "paused": False}).content()
    assert codes(worker, project) == ["available"]
    assert worker.take(project)


def test_a_worker_is_told_nothing_of_others(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    other = fleet.worker(project)

    for asked in (str(other.id), "", "x", "0"):
        answer = worker.get(f"/project/why/{project}?worker={asked}")
        assert (answer.status, answer.code) == (403, "denied")


@pytest.mark.parametrize("asked", ["", "?worker=", "?worker=x", "?worker=0", "?worker=-1", "?worker=99999999999999999"])
def test_a_manager_names_a_worker(fleet: Fleet, project: int, asked: str) -> None:
    answer = fleet.admin.get(f"/project/why/{project}{asked}")

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("worker: ")


def test_what_is_not_there_is_not_found(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    for caller, path in (
        (fleet.admin, f"/project/why/{project}?worker=999999999"),
        (fleet.admin, f"/project/why/99999?worker={worker.id}"),
        (worker, "/project/why/99999"),
    ):
        answer = caller.get(path)
        assert (answer.status, answer.code) == (404, "not_found")


def test_every_reason_has_its_words_and_the_document_has_every_code() -> None:
    codes = get_type_hints(answers.Reason)["code"]

    assert set(get_args(codes)) == set(REASONS)
    script = (Path(__file__).parents[2] / "lua" / "tasks" / "why.lua").read_text()
    assert set(re.findall(r"because(?:_of)?\(.*'([a-z_]+)'", script)) <= set(REASONS)
