"""A project's tasks out of the store and in again, while the fleet goes on."""

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from broker.cli import main
from broker.store import Store
from broker.store.task_fields import TaskFields
from tests.transfer.conftest import Broker, fine

STAY, GO = 2500, 500


def new(recipe: str, hash64: int | str = "", *, priority: int = 0, votes: int = 1, retries: int = 0) -> TaskFields:
    return TaskFields(recipe, priority=priority, max_retries=retries, verification_count=votes, hash64=hash64)


@pytest.fixture
async def project(store: Store, boss: int) -> int:
    return await store.projects.create(boss, {"name": "p"})


@pytest.fixture
async def workers(store: Store, project: int) -> list[int]:
    made = [(await store.workers.create("w"))[0].id for _ in range(4)]
    for worker in made:
        await store.workers.request_access(project, worker, assign=True, submit=True)
        await store.workers.grant(project, worker)
    return made


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


async def submit(store: Store, project: int, worker: int, tasks: list[TaskFields]) -> list[int]:
    made = [await store.tasks.submit(project, worker, tasks[n : n + 500]) for n in range(0, len(tasks), 500)]
    return [id for ids in made for id in ids if id]


async def test_each_task_that_lives_throughout_appears_once_while_the_fleet_works(
    broker: Broker, store: Store, project: int, workers: list[int]
) -> None:
    stay = [new(f"stay {n}", priority=n % 3, votes=1 + n % 2 * 8, retries=3) for n in range(STAY)]
    lasting = await submit(store, project, workers[0], stay)
    stop = asyncio.Event()
    working = [asyncio.create_task(work(store, project, worker, stop)) for worker in workers]
    working.append(asyncio.create_task(maintain(store, project, stop)))

    exports = [fine(await broker("export", "--project", project)) for _ in range(8)]
    stop.set()
    moves = await asyncio.gather(*working)

    assert sum(moves) > 1000, "the fleet did nothing"
    states: Counter[str] = Counter()
    for export in exports:
        found = lines(export)
        ids = [line["id"] for line in found]
        assert len(ids) == len(set(ids))
        assert [id for id in ids if id <= lasting[-1]] == lasting
        states.update(line["state"] for line in found)
    assert set(states) == {"queue", "verifying", "assigned", "failed"}


async def work(store: Store, project: int, worker: int, stop: asyncio.Event) -> int:
    """Gets tasks and releases them in every way, but closes only its own. Returns how many changed."""
    chance, moves = random.Random(worker), 0
    while not stop.is_set():
        await store.tasks.submit(project, worker, [new("go", priority=2) for _ in range(20)])
        tasks = (await store.tasks.assign(project, worker, 100, 60)).tasks
        results = [
            (task.id, result(task.fields.recipe, task.fields.verification_count, chance), chance.randrange(10**9))
            for task in tasks
        ]
        await store.tasks.release(project, worker, results[: len(results) * 3 // 4])
        moves += len(tasks)
    return moves


def result(recipe: str, votes: int, chance: random.Random) -> int:
    """Releases tasks that must stay: as failed or skipped, or with votes that never agree."""
    if recipe == "go":
        return 0
    return chance.choice((0, 1, 2)) if votes > 1 else chance.choice((1, 2))


async def maintain(store: Store, project: int, stop: asyncio.Event) -> int:
    """What failed waits again, what is held comes back; the drains are worked off in small steps."""
    while not stop.is_set():
        for operation in ("reset_failed", "reclaim_assigned"):
            await store.maintenance.begin_drain(project, operation)
            while not stop.is_set() and (await store.maintenance.drain(project, 50))[1]:
                pass
    return 0


async def test_a_project_that_is_exported_and_imported_is_the_same(
    broker: Broker, store: Store, project: int, workers: list[int], tmp_path: Path
) -> None:
    boss, (one, two, three, _) = 1, workers
    tasks = [
        TaskFields(
            '"ä\n\U0001f577',
            hash64=-(2**63),
            priority=-5,
            max_retries=7,
            max_assign_time=90,
            verification_count=3,
            group="b\u00fccher.example @ 5",
        ),
        new("fails", 5, priority=9)._replace(group="7"),
        new("is held"),
        new("waits again", 6, priority=8, retries=5),
    ]
    await submit(store, project, one, tasks)
    taken = {task.fields.recipe: task.id for task in (await store.tasks.assign(project, one, 4, 60)).tasks}
    releases = [(taken["fails"], 1, 0), (taken["waits again"], 1, 0), (taken[tasks[0].recipe], 0, -7)]
    await store.tasks.release(project, one, releases)
    _, token = await store.joining.create_token(project, assign=True, submit=True)
    exported = fine(await broker("export", "--project", project))
    (tmp_path / "tasks.jsonl").write_text(exported)
    other = await store.projects.create(boss, {"name": "other", "paused": True, "submit_rate": 0.001})

    said = fine(await broker("import", "--project", other, tmp_path / "tasks.jsonl", "--json"))

    assert json.loads(said) == {"imported": 4, "closed": 0, "duplicates": 0, "before": 0, "groups": 0}
    # Whoever may join the one may not join the other.
    assert await store.joining.tokens(other) == []
    assert token not in exported
    before, after = lines(exported), lines(fine(await broker("export", "--project", other)))
    assert [line["state"] for line in before] == ["verifying", "failed", "assigned", "queue"]
    assert [line["state"] for line in after] == ["verifying", "failed", "queue", "queue"]
    strange = {"id", "created", "state"}
    assert [{k: v for k, v in line.items() if k not in strange} for line in after] == [
        {k: v for k, v in line.items() if k not in strange} for line in before
    ]
    assert before[0] | {"votes": [[one, -7]], "hash64": -(2**63), "max_assign_time": 90} == before[0]
    again = await broker("import", "--project", other, tmp_path / "tasks.jsonl")
    assert fine(again) == f"imported 1 tasks into project {other}, 3 duplicates\n"

    # The votes count: two more workers that agree close it.
    await store.projects.update(boss, other, {"paused": False, "public": True})
    for worker, outcome in ((two, "voted"), (three, "closed")):
        held = (await store.tasks.assign(other, worker, 10, 60)).tasks
        (voted,) = [task.id for task in held if task.fields.verification_count == 3]
        assert (await store.tasks.release(other, worker, [(voted, 0, -7)])).outcomes == [outcome]
        await store.tasks.release(other, worker, [(task.id, 2, 0) for task in held if task.id != voted])


async def test_votes_of_another_broker_can_be_left_out(
    broker: Broker, store: Store, project: int, tmp_path: Path
) -> None:
    line = {"recipe": "r", "verification_count": 2, "state": "verifying", "votes": [[1, 5]]}
    (tmp_path / "tasks.jsonl").write_text(json.dumps(line))

    fine(await broker("import", "--project", project, "--no-votes", tmp_path / "tasks.jsonl"))

    (task,) = lines(fine(await broker("export", "--project", project)))
    assert (task["state"], "votes" in task) == ("queue", False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("recipe", "line 2: "),
        ('{"recipe": ""}', "line 2: Expected `str` of length >= 1 - at `$.recipe`"),
        ("{}", "line 2: Object missing required field `recipe`"),
        ('{"recipe": "r", "priority": 32768}', "line 2: Expected `int` <= 32767 - at `$.priority`"),
        ('{"recipe": "r", "state": "closed"}', "line 2: Expected `str` matching regex"),
        ('{"recipe": "r", "votes": [[0, 1]]}', "line 2: Expected `int` >= 1 - at `$.votes[0][0]`"),
        (json.dumps({"recipe": "r" * ((1 << 20) + 1)}), "line 2: recipe: larger than 1048576 bytes"),
    ],
)
async def test_a_file_with_a_line_that_is_no_task_imports_nothing(
    broker: Broker, project: int, tmp_path: Path, line: str, said: str
) -> None:
    (tmp_path / "tasks.jsonl").write_text(f'{{"recipe": "fine"}}\n{line}\n')

    done = await broker("import", "--project", project, tmp_path / "tasks.jsonl")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"broker: {said}")
    assert fine(await broker("export", "--project", project)) == ""


async def test_a_project_or_file_that_is_not_there_is_one_line(broker: Broker, project: int, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"recipe": "r"}\n')

    for arguments in (("export", "--project", 77), ("import", "--project", 77, tmp_path / "tasks.jsonl")):
        assert (await broker(*arguments))[::2] == (1, "broker: --project 77: No such project\n")
    missing = await broker("import", "--project", project, tmp_path / "nothing")
    assert missing.returncode == 1
    assert missing.stderr == f"broker: {tmp_path}/nothing: No such file or directory\n"


async def test_numbers_that_went_to_tasks_long_closed_are_passed_over(
    broker: Broker, store: Store, project: int, workers: list[int]
) -> None:
    await submit(store, project, workers[0], [new(f"{n}") for n in range(12_000)])
    while tasks := (await store.tasks.assign(project, workers[0], 500, 60)).tasks:
        await store.tasks.release(project, workers[0], [(task.id, 0, 0) for task in tasks])
    await submit(store, project, workers[0], [new("last")])

    assert [line["recipe"] for line in lines(fine(await broker("export", "--project", project)))] == ["last"]


@pytest.mark.parametrize("command", ["export", "import", "import-tracker"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])

    assert f"usage: broker {command}" in capsys.readouterr().out
