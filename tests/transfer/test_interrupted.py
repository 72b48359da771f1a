"""Imports that are interrupted anywhere: the same command continues, and nothing is lost or imported twice."""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.cli.import_tracker import import_dumps
from broker.cli.transfer import import_tasks
from broker.settings import Settings
from broker.store import Store
from tests.faults.dying_process import dies
from tests.serving import until
from tests.stores import looking_into
from tests.transfer.conftest import Broker, fine, write

MANY = 1200


def dumps(folder: Path, tasks: int = MANY) -> Path:
    """Three projects in a chain, five workers, tasks in disorder, votes."""
    write(
        folder,
        "worker",
        "id,alias,created,secret,closed_task_count,paused",
        *(rf"{n},w,1,\x0{n},1,f" for n in range(1, 6)),
    )
    write(
        folder,
        "project",
        "id,priority,chain,public,hidden,paused,name,clone_url,git_repo,version,motd,secret,webhook_secret,assign_rate,submit_rate",
        *(f"{n},1,{n % 3 + 1 if n < 3 else ''},f,f,f,project {n},,,,,,,0,0" for n in (3, 1, 2)),
    )
    write(
        folder,
        "worker_access",
        "worker,project,role_assign,role_submit,request",
        *(f"{worker},{project},t,f,{'t' if worker == 5 else 'f'}" for worker in range(1, 6) for project in range(1, 4)),
    )
    order = list(range(1, tasks + 1))
    random.Random(1).shuffle(order)
    write(
        folder,
        "task",
        "id,hash64,project,assignee,max_assign_time,verification_count,priority,retries,max_retries,status,recipe",
        *(
            f"{n},{'' if n % 2 else n},{n % 3 + 1},,0,{n % 4},{n % 5},0,3,{2 if n % 7 == 0 else 1},recipe {n}"
            for n in order
        ),
    )
    votes = [f"{n},{n},{n % 4 + 1}" for n in order if n % 4 > 1]
    write(folder, "worker_verifies_task", "verification_hash,task,worker", *votes)
    return folder


def kept(settings: Settings) -> dict[str, Any]:
    """Everything in the store, but times, and how hashes are spread over buckets."""
    redis = looking_into(settings.redis_url)
    found: dict[str, Any] = {}
    for key in redis.scan_iter(f"{settings.prefix}:*", count=10_000):
        if key.endswith(":look"):
            continue
        match redis.type(key):
            case "hash":
                found[key] = redis.hgetall(key)
                found[key].pop("created", None)
                for name in ("webhook_secret", "notify_secret", "known_hashes", "known_sample"):
                    found[key].pop(name, None)
                if ":tasks:" in key:
                    # Each record begins with the time.
                    found[key] = {field: record.partition(" ")[2] for field, record in found[key].items()}
            case "set":
                name = re.sub(r":known:0:\d+$", ":known", key)
                found[name] = found.get(name, set()) | redis.smembers(key)
            case "zset":
                found[key] = redis.zrange(key, 0, -1, withscores=not key.endswith(":failed"))
            case _:
                found[key] = redis.get(key)
        if key.endswith(":failed"):
            found[key].sort()
    redis.close()
    found.pop(f"{settings.prefix}:{{directory}}:layout", None)  # the command notes it, its parts do not
    return {key.removeprefix(settings.prefix): value for key, value in found.items()}


@pytest.fixture
def whole(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What an import that nothing interrupts makes of the dumps."""

    async def make(broker: Broker, folder: Path) -> dict[str, Any]:
        monkeypatch.setenv("BROKER_PREFIX", f"{settings.prefix}-whole")
        fine(await broker("import-tracker", folder))
        monkeypatch.setenv("BROKER_PREFIX", settings.prefix)
        return kept(Settings(redis_url=settings.redis_url, prefix=f"{settings.prefix}-whole"))

    return make


async def test_an_import_that_dies_before_each_of_its_calls_in_turn_makes_the_same(
    broker: Broker, whole: Any, settings: Settings, tmp_path: Path, capfdbinary: Any
) -> None:
    folder = dumps(tmp_path / "dumps")
    wanted = await whole(broker, folder)
    arguments = argparse.Namespace(directory=str(folder), json=True)
    report: dict[str, Any] = {}

    # Each run gets one call further than the one before.
    deaths = 0
    while await dies(settings, deaths, lambda store: import_dumps(store, settings, arguments)):
        deaths += 1
    report = json.loads(capfdbinary.readouterr().out)

    assert deaths > 20
    assert kept(settings) == wanted
    assert sum(int(wanted[f":{{project:{n}}}"]["imported"]) for n in (1, 2, 3)) == MANY
    exports = [await broker("export", "--project", n) for n in (1, 2, 3)]
    assert sum(len(export.stdout.splitlines()) for export in exports) == MANY
    assert report["tasks"]["read"] == report["tasks"]["before"] + report["tasks"]["imported"] == MANY
    assert all(report[name]["left"] == [] for name in ("workers", "projects", "access", "tasks", "votes"))


@pytest.mark.slow
async def test_an_import_whose_process_is_killed_at_any_time_makes_the_same(
    broker: Broker, whole: Any, settings: Settings, tmp_path: Path
) -> None:
    folder = dumps(tmp_path / "dumps", 6_000)
    wanted = await whole(broker, folder)
    environment = {**os.environ, **settings.environment()}
    chance, killed, code = random.Random(7), 0, None

    while code is None:
        code = await asyncio.to_thread(run_for_a_while, environment, folder, settings, chance)
        killed += code is None
        assert killed < 100

    assert code == 0
    assert killed > 1
    assert kept(settings) == wanted


def run_for_a_while(environment: dict[str, str], folder: Path, settings: Settings, chance: random.Random) -> int | None:
    """The exit code, or None when it was killed: some time after its first task."""
    command = [sys.executable, "-m", "broker", "import-tracker", str(folder)]
    with looking_into(settings.redis_url) as redis:

        def total() -> int:
            return sum(int(redis.hget(f"{settings.prefix}:{{project:{n}}}", "imported") or 0) for n in (1, 2, 3))

        before = total()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: process.poll() is not None or total() > before, 30)
    try:
        return process.wait(chance.random() / 20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
        return None


async def test_an_import_of_a_file_that_dies_before_each_of_its_calls_submits_each_line_once(
    store: Store, boss: int, settings: Settings, tmp_path: Path, capfdbinary: Any
) -> None:
    project = await store.projects.create(boss, {"name": "p"})
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(f'{{"recipe": "{n}"}}\n\n' for n in range(1700)))
    arguments = argparse.Namespace(project=project, file=str(file), no_votes=False, json=True)

    deaths = 0
    while await dies(settings, deaths, lambda dying: import_tasks(dying, settings, arguments)):
        deaths += 1

    assert deaths > 3
    report = json.loads(capfdbinary.readouterr().out)
    assert report["imported"] + report["before"] == 1700
    total, _ = await store.project_tasks.page(project, "queue", 0, 1, longest=0)
    assert total == 1700


async def test_a_file_that_was_imported_whole_may_be_imported_again(
    broker: Broker, store: Store, boss: int, tmp_path: Path
) -> None:
    project = await store.projects.create(boss, {"name": "p"})
    (tmp_path / "tasks.jsonl").write_text('{"recipe": "a", "hash64": 1}\n{"recipe": "b"}\n')

    first = await broker("import", "--project", project, tmp_path / "tasks.jsonl")
    again = await broker("import", "--project", project, tmp_path / "tasks.jsonl")

    assert fine(first) == f"imported 2 tasks into project {project}, 0 duplicates\n"
    assert fine(again) == f"imported 1 tasks into project {project}, 1 duplicates\n"
