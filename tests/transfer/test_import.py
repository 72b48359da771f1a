"""What a file that is imported may hold, and tasks in it that nobody has to work on any more."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from broker.store import Store
from broker.store.task_fields import TaskFields
from tests.transfer.conftest import Broker, fine, write
from tests.transfer.test_left import ACCESS, PROJECT, TASK, VOTE, WORKER

BOM = b"\xef\xbb\xbf"


@pytest.fixture
async def project(store: Store, boss: int) -> int:
    return await store.projects.create(boss, {"name": "p"})


def task(recipe: str, needed: int, *votes: tuple[int, int], **fields: Any) -> dict[str, Any]:
    return {"recipe": recipe, "verification_count": needed, "votes": votes, **fields}


async def left(broker: Broker, project: int) -> dict[str, str]:
    """The state of each task."""
    exported = fine(await broker("export", "--project", project)).splitlines()
    return {line["recipe"]: line["state"] for line in map(json.loads, exported)}


def write_lines(file: Path, lines: Iterable[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


async def imported(broker: Broker, project: int, file: Path, *lines: dict[str, Any]) -> dict[str, int]:
    write_lines(file, lines)
    found: dict[str, int] = json.loads(fine(await broker("import", "--project", project, file, "--json")))
    return found


async def test_an_imported_task_that_has_all_its_votes_closes(
    broker: Broker, store: Store, boss: int, project: int, tmp_path: Path
) -> None:
    index = await store.projects.create(boss, {"name": "index"})
    await store.projects.update(boss, project, {"chain": index, "remember_closed": -1})
    lines = [
        task("agreed", 2, (1, 7), (2, 7), hash64=5, priority=3, max_retries=4),
        task("agreed by three of four", 3, (1, 7), (2, 8), (3, 7), (4, 7)),
        task("not yet", 3, (1, 7), (2, 7)),
        task("not agreed", 2, (1, 7), (2, 8)),
        task("failed", 2, (1, 7), (2, 7), state="failed"),
        task("without votes", 2),
    ]

    counts = await imported(broker, project, tmp_path / "tasks.jsonl", *lines)

    assert counts == {"imported": 6, "closed": 2, "duplicates": 0, "before": 0, "groups": 0}
    assert await left(broker, project) == {
        "not yet": "verifying",
        "not agreed": "verifying",
        "failed": "failed",
        "without votes": "queue",
    }
    stats = await store.monitoring.stats(project)
    assert (stats.counters["imported"], stats.counters["closed"]) == (6, 2)
    await store.chain.flush(project)
    (chained, _) = (json.loads(line) for line in fine(await broker("export", "--project", index)).splitlines())
    same = {"recipe": "agreed", "verification_count": 2, "hash64": 5, "priority": 3, "max_retries": 4}
    assert chained | same == chained
    # Its hash is remembered, as of any task that closes.
    again = await imported(broker, project, tmp_path / "more.jsonl", lines[0], task("other", 1, hash64=6))
    assert again == {"imported": 1, "closed": 0, "duplicates": 1, "before": 0, "groups": 0}


async def test_the_hash_of_an_imported_task_that_closes_is_free_where_none_is_remembered(
    broker: Broker, store: Store, project: int, tmp_path: Path
) -> None:
    line = task("agreed", 2, (1, 7), (2, 7), hash64=5)
    assert (await imported(broker, project, tmp_path / "tasks.jsonl", line))["closed"] == 1

    worker = (await store.workers.create("w"))[0].id
    await store.workers.request_access(project, worker, assign=True, submit=True)
    await store.workers.grant(project, worker)

    (made,) = await store.tasks.submit(project, worker, [TaskFields("again", hash64=5)])
    assert made


async def test_people_are_told_of_tasks_that_closed(broker: Broker, project: int, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text(json.dumps(task("agreed", 2, (1, 7), (2, 7))))

    said = fine(await broker("import", "--project", project, tmp_path / "tasks.jsonl"))

    assert said == (
        f"imported 1 tasks into project {project}, 0 duplicates\n1 of them had all their votes, and are closed\n"
    )


async def test_a_byte_order_mark_is_no_part_of_a_file(broker: Broker, project: int, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_bytes(BOM + b'{"recipe": "a"}\r\n\r\n{"recipe": "b"}\r\n')

    fine(await broker("import", "--project", project, tmp_path / "tasks.jsonl"))

    assert await left(broker, project) == {"a": "queue", "b": "queue"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"recipe": "r", "x": ' + b"[" * 100_000, "JSON is nested too deeply"),
        (b"[" * 100_000, "Expected `object`, got `array`"),
        ('{"recipe": "käfer"}'.encode("latin-1"), "not UTF-8: the file must be UTF-8"),
        (b'{"recipe": "r", "verification_count": 2, "votes": [[1, 5], [1, 6]]}', "votes: a worker is named twice"),
    ],
)
async def test_all_bad_lines_are_named_and_nothing_is_imported(
    broker: Broker, project: int, tmp_path: Path, line: bytes, said: str
) -> None:
    (tmp_path / "tasks.jsonl").write_bytes(b'{"recipe": "fine"}\n' + 25 * (line + b"\n"))

    done = await broker("import", "--project", project, tmp_path / "tasks.jsonl")

    lines = [f"line {number}: {said}" for number in range(2, 22)]
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"broker: {lines[0]}", *lines[1:], "and 5 more", "nothing was imported"]
    assert await left(broker, project) == {}


async def test_a_tracker_s_dumps_may_have_marks_and_tasks_that_have_all_their_votes(
    broker: Broker, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "dumps"
    write(folder, "worker", WORKER, r"1,w,1,\x01,0,f", r"2,w,1,\x02,0,f")
    write(folder, "project", PROJECT, "1,0,,f,f,f,p,,,,,,,0,0")
    write(folder, "worker_access", ACCESS, "1,1,t,t,f")
    write(folder, "task", TASK, "1,,1,,0,2,0,0,0,1,agreed,", "2,,1,,0,2,0,0,0,1,not yet,")
    write(folder, "worker_verifies_task", VOTE, "7,1,1", "7,1,2", "7,2,1")
    for file in folder.iterdir():
        file.write_bytes(BOM + file.read_bytes())

    said = fine(await broker("import-tracker", folder))

    assert "0 were assigned and wait again, 0 have failed, 1 had all their votes and are closed" in said
    assert await left(broker, 1) == {"not yet": "verifying"}
    assert (await store.monitoring.stats(1)).counters["closed"] == 1
