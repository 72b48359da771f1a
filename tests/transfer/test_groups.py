"""Politeness survives the move of a project: limits, blocks and rests of its groups go along."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from broker.store import Store
from broker.store.groups import GroupLimits
from broker.store.task_fields import TaskFields
from tests.transfer.conftest import Broker, fine

HOUR = 3600


@pytest.fixture
async def project(store: Store, boss: int) -> int:
    return await store.projects.create(boss, {"name": "p"})


@pytest.fixture
async def other(store: Store, boss: int) -> int:
    return await store.projects.create(boss, {"name": "other", "public": True})


@pytest.fixture
async def worker(store: Store, project: int, other: int) -> int:
    made = (await store.workers.create("w"))[0].id
    for place in (project, other):
        await store.workers.request_access(place, made, assign=True, submit=True)
        await store.workers.grant(place, made)
    return made


async def submit(store: Store, project: int, worker: int, *groups: str) -> None:
    await store.tasks.submit(project, worker, [TaskFields(f"of {group}", group=group) for group in groups])


async def taken(store: Store, project: int, worker: int) -> list[str]:
    """The groups of the tasks that a worker is given."""
    return [task.fields.group for task in (await store.tasks.assign(project, worker, 50, 60)).tasks]


def write(file: Path, *lines: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


async def exported(broker: Broker, project: int) -> dict[str, dict[str, Any]]:
    """The lines of groups, by name."""
    lines = [json.loads(line) for line in fine(await broker("export", "--project", project)).splitlines()]
    groups = [line for line in lines if "recipe" not in line]
    assert len({line["group"] for line in groups}) == len(groups)
    return {line["group"]: line for line in groups}


async def copied(broker: Broker, project: int, other: int, folder: Path) -> None:
    exported = fine(await broker("export", "--project", project))
    file = write(folder / "tasks.jsonl", *map(json.loads, exported.splitlines()))
    fine(await broker("import", "--project", other, file))


async def rest(store: Store, project: int, group: str) -> float:
    """When it may start a task again, unix seconds."""
    return (await store.groups.get(project, group)).next or 0


async def test_limits_blocks_and_rests_are_the_same_in_the_project_that_imports_them(
    broker: Broker, store: Store, project: int, other: int, *, worker: int, tmp_path: Path
) -> None:
    await store.groups.set_limits(project, "b\u00fccher.example @ 5", delay=2.5, limit=3, by="manager 1")
    await store.groups.set_limits(project, "blocked", blocked_for=HOUR, by="manager 1")
    await store.groups.set_limits(project, "no limit", limit=0, by="manager 1")
    await store.projects.update(1, project, {"group_delay": HOUR / 2})
    await submit(store, project, worker, "rests", "rests", "rests, nothing waits", "slowed", "blocked")
    assert sorted(await taken(store, project, worker)) == ["rests", "rests, nothing waits", "slowed"]
    held = (await store.tasks.held(project, worker, "0", 100))[1].tasks
    slowed = next(task.id for task in held if task.fields.group == "slowed")
    await store.groups.slow(project, worker, [(slowed, HOUR, 2 * HOUR)])

    before = await exported(broker, project)
    await copied(broker, project, other, tmp_path)
    after = await exported(broker, other)

    assert after == before
    now = time.time()
    assert before["b\u00fccher.example @ 5"] == {
        **{"group": "b\u00fccher.example @ 5", "delay": 2.5, "limit": 3, "set_by": "manager 1"}
    }
    assert before["no limit"] == {"group": "no limit", "limit": 0, "set_by": "manager 1"}
    assert set(before["rests"]) == set(before["rests, nothing waits"]) == {"group", "rests_until"}
    assert set(before["blocked"]) == {"group", "blocked_until", "set_by"}
    assert set(before["slowed"]) == {"group", "slowed", "blocked_until", "rests_until", "set_by"}
    assert abs(before["rests"]["rests_until"] - now - HOUR / 2) < 60
    assert abs(before["blocked"]["blocked_until"] - now - HOUR) < 60
    assert (before["slowed"]["slowed"], before["slowed"]["set_by"]) == (HOUR, f"worker {worker}")
    # What waits in them waits on, and so does what is submitted later.
    assert await taken(store, other, worker) == []
    await submit(store, other, worker, "rests, nothing waits", "blocked", "free")
    assert await taken(store, other, worker) == ["free"]
    for group, line in before.items():
        ends = max(line.get("rests_until", 0), line.get("blocked_until", 0))
        assert await rest(store, other, group) == pytest.approx(ends, abs=0.002)


async def test_a_block_and_a_rest_that_are_over_are_nothing_to_export_or_import(
    broker: Broker, store: Store, project: int, *, worker: int, tmp_path: Path
) -> None:
    await submit(store, project, worker, "a")
    over = {"group": "a", "blocked_until": time.time() - 1, "rests_until": 1000}
    fine(await broker("import", "--project", project, write(tmp_path / "tasks.jsonl", over)))

    assert await exported(broker, project) == {}
    assert await taken(store, project, worker) == ["a"]


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize(("here", "there"), [(HOUR, 2 * HOUR), (2 * HOUR, HOUR)])
async def test_of_two_rests_the_longer_one_holds(
    store: Store, project: int, *, worker: int, waits: bool, here: float, there: float
) -> None:
    if waits:
        await submit(store, project, worker, "a")
    now = time.time()
    for until in (here, there):
        await store.groups.add(project, [GroupLimits("a", None, None, 0, 0, now + until, "")])

    assert await rest(store, project, "a") == pytest.approx(now + 2 * HOUR, abs=0.002)
    assert await taken(store, project, worker) == []


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize(("rests", "blocked"), [(HOUR, 2 * HOUR), (2 * HOUR, HOUR)])
@pytest.mark.parametrize("order", [1, -1])
async def test_a_block_and_a_rest_both_hold(
    store: Store, project: int, *, worker: int, waits: bool, rests: float, blocked: float, order: int
) -> None:
    if waits:
        await submit(store, project, worker, "a")
    now = time.time()
    lines = [
        GroupLimits("a", None, None, 0, 0, now + rests, ""),
        GroupLimits("a", None, None, 0, now + blocked, 0, ""),
    ]
    await store.groups.add(project, lines[::order])
    assert await rest(store, project, "a") == pytest.approx(now + 2 * HOUR, abs=0.002)

    await store.groups.set_limits(project, "a", blocked_for=0, by="manager 1")

    row = await store.groups.get(project, "a")
    assert row.blocked_until is None
    assert row.next == pytest.approx(now + rests, abs=0.002)


async def test_of_two_blocks_the_longer_one_holds_and_what_a_manager_has_set_here_stays(
    store: Store, project: int
) -> None:
    now = time.time()
    await store.groups.set_limits(project, "a", delay=1, blocked_for=2 * HOUR, by="manager 1")
    line = GroupLimits("a", 9.0, 4, 60.0, now + HOUR, 0, "worker 7")

    for _ in range(2):
        await store.groups.add(project, [line])

    row = await store.groups.get(project, "a")
    assert row.blocked_until is not None
    assert abs(row.blocked_until - now - 2 * HOUR) < 60
    assert (row.delay, row.limit, row.set_by) == (60, 4, "manager 1")
    await store.groups.set_limits(project, "a", delay=2, by="manager 1")
    assert (await store.groups.get(project, "a")).delay == 2
    await store.groups.add(project, [line._replace(blocked_until=now + 3 * HOUR)])
    assert (await store.groups.get(project, "a")).blocked_until == pytest.approx(now + 3 * HOUR, abs=0.002)


async def test_a_group_that_is_full_rests_as_well(store: Store, project: int, worker: int) -> None:
    await store.projects.update(1, project, {"group_limit": 1})
    await submit(store, project, worker, "a", "a")
    (task,) = (await store.tasks.assign(project, worker, 5, 60)).tasks
    await store.groups.add(project, [GroupLimits("a", None, None, 0, 0, time.time() + HOUR, "")])

    await store.tasks.release(project, worker, [(task.id, 0, 0)])

    assert await taken(store, project, worker) == []
    assert await rest(store, project, "a") > time.time() + HOUR / 2


async def test_a_time_of_a_rest_or_block_is_ten_years_ahead_at_most(store: Store, project: int, worker: int) -> None:
    await submit(store, project, worker, "a", "b")
    latest = float(2**53)
    lines = [GroupLimits("a", None, None, 0, latest, 0, ""), GroupLimits("b", None, None, 0, 0, latest, "")]
    await store.groups.add(project, lines)

    assert await taken(store, project, worker) == []
    for group in "ab":
        assert abs(await rest(store, project, group) - time.time() - 315_360_000) < 60


async def test_many_groups_go_along_each_once(
    broker: Broker, store: Store, project: int, other: int, *, tmp_path: Path
) -> None:
    until = round(time.time()) + HOUR
    lines = [{"group": f"{n}.example", "rests_until": until + n} for n in range(1200)]
    lines += [{"group": f"{n}.example", "limit": n, "blocked_until": until + n} for n in range(1200, 2400)]
    said = await broker("import", "--project", project, write(tmp_path / "groups.jsonl", *lines))
    assert fine(said) == (
        f"imported 0 tasks into project {project}, 0 duplicates\n2,400 groups keep their limits, blocks and rests\n"
    )

    await copied(broker, project, other, tmp_path)
    assert await exported(broker, other) == {line["group"]: line for line in lines}


async def test_an_import_says_to_programs_how_many_groups_it_had(broker: Broker, project: int, tmp_path: Path) -> None:
    file = write(tmp_path / "tasks.jsonl", {"recipe": "r", "group": "a"}, {"group": "a", "limit": 1})

    said = json.loads(fine(await broker("import", "--project", project, file, "--json")))

    assert said == {"imported": 1, "closed": 0, "duplicates": 0, "before": 0, "groups": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"group": ""}', "of length >= 1 - at `$.group`"),
        ('{"group": 5, "limit": 1}', "`$.group`"),
        (json.dumps({"group": "x" * 256}), "group: longer than 255 bytes of UTF-8"),
        ('{"group": "a\\u0000"}', "group: must not contain control characters"),
        ('{"group": "a", "recipes": "r"}', "unknown field `recipes`"),
        ('{"group": "a", "recipe": 5}', "`$.recipe`"),
        ('{"group": "a", "delay": -1}', "`$.delay`"),
        ('{"group": "a", "delay": NaN}', "invalid character"),
        ('{"group": "a", "delay": 1e400}', "out of range"),
        ('{"group": "a", "delay": 315360001}', "`$.delay`"),
        ('{"group": "a", "limit": 32768}', "`$.limit`"),
        ('{"group": "a", "limit": 1.5}', "`$.limit`"),
        ('{"group": "a", "slowed": "5"}', "`$.slowed`"),
        ('{"group": "a", "blocked_until": -1}', "`$.blocked_until`"),
        ('{"group": "a", "rests_until": 1e17}', "`$.rests_until`"),
        ('{"group": "a", "set_by": "me"}', "`$.set_by`"),
    ],
)
async def test_an_invalid_group_is_named_and_nothing_is_imported(
    broker: Broker, project: int, tmp_path: Path, *, line: str, said: str
) -> None:
    file = write(tmp_path / "tasks.jsonl", {"recipe": "fine"}, {"group": "b", "limit": 1})
    add(file, line)

    done = await broker("import", "--project", project, file)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("broker: line 3: ")
    assert said in done.stderr
    assert fine(await broker("export", "--project", project)) == ""


def add(file: Path, line: str) -> None:
    file.write_text(file.read_text() + line)
