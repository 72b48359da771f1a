"""Delays, rounds, reclaims and errors of tasks go along in an export and an import."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from broker.store import Store
from broker.store.task_fields import TaskFields
from broker.store.tasks import result_of
from tests.transfer.conftest import Broker, fine

OK, FAIL = 0, 1
HOUR = 3600


@pytest.fixture
async def project(store: Store, boss: int) -> int:
    return await store.projects.create(boss, {"name": "p", "retry_delay": 1.5})


@pytest.fixture
async def worker(store: Store, project: int) -> int:
    made = (await store.workers.create("w"))[0].id
    await store.workers.request_access(project, made, assign=True, submit=True)
    await store.workers.grant(project, made)
    return made


async def exported(broker: Broker, project: int) -> dict[str, dict[str, Any]]:
    """By recipe, without what an import gives anew."""
    lines = [json.loads(line) for line in fine(await broker("export", "--project", project)).splitlines()]
    strange = {"id", "created"}
    return {line["recipe"]: {k: v for k, v in line.items() if k not in strange} for line in lines}


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def imported(broker: Broker, project: int, file: Path, *lines: dict[str, Any], option: str = "--json") -> None:
    write(file, "".join(json.dumps(line) + "\n" for line in lines))
    fine(await broker("import", "--project", project, option, file))


async def copied(broker: Broker, store: Store, project: int, file: Path) -> dict[str, dict[str, Any]]:
    """The export of another project that has imported one of this project."""
    write(file, fine(await broker("export", "--project", project)))
    other = await store.projects.create(1, {"name": "other"})
    fine(await broker("import", "--project", other, file))
    return await exported(broker, other)


async def take_and_release(store: Store, project: int, worker: int, result: int | str, vote: int = 0) -> None:
    """The one task that may be had."""
    (task,) = (await store.tasks.assign(project, worker, 1, 60)).tasks
    await store.tasks.release(project, worker, [(task.id, result, vote)])


@pytest.mark.parametrize("group", ["", "b\u00fccher.example @ 5"])
async def test_delayed_tasks_keep_their_time_their_votes_and_their_group(
    broker: Broker, store: Store, project: int, worker: int, tmp_path: Path, *, group: str
) -> None:
    start = round(time.time() * 1000) + HOUR * 1000 + 7
    await store.tasks.submit(project, worker, [TaskFields("voted", group=group, max_retries=3, verification_count=3)])
    await take_and_release(store, project, worker, OK, -5)
    other = (await store.workers.create("other"))[0].id
    await store.projects.update(1, project, {"public": True})
    await take_and_release(store, project, other, result_of(FAIL, HOUR, "503"))
    plain = TaskFields("plain", group=group, priority=-4, hash64=9, start=f"={start}")
    await store.tasks.submit(project, worker, [plain])

    before, after = await exported(broker, project), await copied(broker, store, project, tmp_path / "tasks.jsonl")

    assert after == before
    assert before["plain"].items() >= {"state": "delayed", "not_before": start / 1000, "priority": -4}.items()
    voted = before["voted"]
    assert (voted["state"], voted["votes"], voted["retries"]) == ("delayed", [[worker, -5]], 1)
    assert abs(voted["not_before"] - time.time() - HOUR) < 60
    assert (voted["error"]["message"], voted["error"]["worker"]) == ("503", other)
    assert [task.get("group", "") for task in before.values()] == [group, group]


async def test_a_failed_task_keeps_its_error_and_when_that_came(
    broker: Broker, store: Store, project: int, worker: int, tmp_path: Path
) -> None:
    await store.tasks.submit(project, worker, [TaskFields("r", hash64=5)])
    message = '"\u00e4\n\U0001f577 ' + "x" * 995
    await take_and_release(store, project, worker, result_of(FAIL, 0, message))

    before, after = await exported(broker, project), await copied(broker, store, project, tmp_path / "tasks.jsonl")

    assert after == before
    assert (before["r"]["state"], before["r"]["error"]["message"]) == ("failed", message)
    assert abs(before["r"]["error"]["time"] - time.time()) < 60


async def test_rounds_and_reclaims_go_along(
    broker: Broker, store: Store, project: int, worker: int, tmp_path: Path
) -> None:
    await store.tasks.submit(project, worker, [TaskFields("round", group="a.example", hash64=5)])
    await take_and_release(store, project, worker, result_of(OK, HOUR))
    await store.tasks.submit(project, worker, [TaskFields("reclaimed")])
    (task,) = (await store.tasks.assign(project, worker, 1, 60)).tasks
    assert await store.tasks.give_back(project, worker, [task.id]) == [True]

    before, after = await exported(broker, project), await copied(broker, store, project, tmp_path / "tasks.jsonl")

    assert after == before
    assert (before["round"]["round"], before["round"]["state"]) == (2, "delayed")
    assert (before["reclaimed"]["reclaims"], before["reclaimed"]["state"]) == (1, "queue")


async def test_an_imported_reclaim_counts_against_the_most_that_there_may_be(
    broker: Broker, store: Store, project: int, worker: int, tmp_path: Path
) -> None:
    await store.projects.update(1, project, {"max_reclaims": 2})
    await imported(broker, project, tmp_path / "tasks.jsonl", {"recipe": "r", "reclaims": 2})

    (task,) = (await store.tasks.assign(project, worker, 1, 60)).tasks
    await store.tasks.give_back(project, worker, [task.id])

    assert (await exported(broker, project))["r"]["state"] == "failed"


async def test_a_file_without_these_fields_has_their_defaults(
    broker: Broker, store: Store, project: int, worker: int, tmp_path: Path
) -> None:
    line = {"recipe": "r", "state": "queue", "retries": 1, "max_retries": 2}
    await imported(broker, project, tmp_path / "tasks.jsonl", line, {"recipe": "failed", "state": "failed"})

    lines = await exported(broker, project)
    assert lines == {"r": line, "failed": {"recipe": "failed", "state": "failed"}}
    (task,) = (await store.tasks.assign(project, worker, 2, 60)).tasks
    assert (task.round, task.retries) == (1, 1)


@pytest.mark.parametrize("group", ["", "a.example"])
async def test_a_delayed_task_whose_time_is_over_waits(
    broker: Broker, store: Store, project: int, worker: int, tmp_path: Path, *, group: str
) -> None:
    past = {"state": "delayed", "group": group, "hash64": 7, "priority": 2}
    await imported(
        broker,
        project,
        tmp_path / "tasks.jsonl",
        {"recipe": "over", **past, "not_before": 1000.5},
        {"recipe": "voted", **past, "hash64": 8, "not_before": 1, "verification_count": 2, "votes": [[99, 5]]},
        {"recipe": "no time", **past, "hash64": 9},
    )

    lines = await exported(broker, project)
    assert {recipe: line["state"] for recipe, line in lines.items()} == {
        "over": "queue",
        "voted": "verifying",
        "no time": "queue",
    }
    assert not any("not_before" in line for line in lines.values())
    assert (await store.monitoring.stats(project)).delayed == 0
    taken = [(await store.tasks.assign(project, worker, 1, 60)).tasks[0] for _ in lines]
    assert sorted(task.fields.recipe for task in taken) == ["no time", "over", "voted"]


async def test_without_votes_an_error_names_no_worker_of_another_broker(
    broker: Broker, project: int, tmp_path: Path
) -> None:
    line = {"recipe": "r", "state": "failed", "error": {"message": "503", "worker": 12, "time": 1764372000}}

    await imported(broker, project, tmp_path / "tasks.jsonl", line, option="--no-votes")

    assert (await exported(broker, project))["r"]["error"] == {"message": "503", "time": 1764372000}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"not_before": -1}, "not_before"),
        ({"not_before": "1764372000"}, "not_before"),
        ({"not_before": 2**53 * 2}, "not_before"),
        ({"reclaims": -1}, "reclaims"),
        ({"reclaims": 1.5}, "reclaims"),
        ({"round": 0}, "round"),
        ({"round": 2**54}, "round"),
        ({"error": "503"}, "error"),
        ({"error": {"message": "x" * 1001}}, "error.message"),
        ({"error": {"message": "x", "worker": 0}}, "error.worker"),
        ({"error": {"message": "x", "time": -1}}, "error.time"),
        ({"error": {"message": "x", "time": 1.5}}, "error.time"),
    ],
)
async def test_invalid_values_are_refused_with_the_name_of_the_field(
    broker: Broker, project: int, tmp_path: Path, fields: dict[str, Any], named: str
) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"recipe": "fine"}\n' + json.dumps({"recipe": "r", **fields}))

    done = await broker("import", "--project", project, tmp_path / "tasks.jsonl")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("broker: line 2: ")
    assert f"`$.{named}`" in done.stderr
    assert await exported(broker, project) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "delayed", "not_before": 2**53},
        {"round": 2**53, "reclaims": 2**53},
        {"state": "failed", "error": {"time": 2**53}},
    ],
)
async def test_the_largest_values_come_back(
    broker: Broker, project: int, tmp_path: Path, fields: dict[str, Any]
) -> None:
    await imported(broker, project, tmp_path / "tasks.jsonl", {"recipe": "r", **fields})

    assert (await exported(broker, project))["r"].items() >= fields.items()
