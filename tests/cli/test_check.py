"""``broker check`` says what differs, and repairs it when it is told to."""

import asyncio
import json

import pytest

from broker.cli import main
from broker.settings import Settings
from broker.store import Store
from broker.store.task_fields import TaskFields
from tests.stores import looking_into, lose_record


async def a_project(store: Store, name: str) -> int:
    """With two tasks."""
    manager = (await store.managers.register(f"boss of {name}", "a long password", open_to_all=True)).id
    project = await store.projects.create(manager, {"name": name})
    worker = (await store.workers.create("w"))[0].id
    await store.workers.request_access(project, worker, assign=True, submit=True)
    await store.workers.grant(project, worker)
    await store.tasks.submit(project, worker, [TaskFields("a", 1), TaskFields("b", 2)])
    return project


async def test_it_says_what_differs_and_repairs_it(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("BROKER_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("BROKER_PREFIX", settings.prefix)
    fine, damaged = await a_project(store, "fine"), await a_project(store, "damaged")
    lose_record(looking_into(settings.redis_url), settings.prefix, 100_000 + damaged)

    async def check(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["check", *words])
        return code, capsysbinary.readouterr().out.decode()

    differs = [
        f"project {damaged}: 1 tasks, these differ:",
        f"  1 tasks have lost their record, for example task {100_000 + damaged}",
        "  1 known hashes belong to no task, and are refused as duplicates, for example hash 1",
    ]
    code, said = await check()
    assert (code, sorted(said.splitlines())) == (
        1,
        sorted(
            [
                f"project {fine}: 2 tasks, no differences",
                *differs,
                "broker check --repair repairs this; workers may go on meanwhile",
            ]
        ),
    )
    assert await check("--project", str(fine)) == (0, f"project {fine}: 2 tasks, no differences\n")
    code, said = await check("--project", str(damaged), "--json")
    assert (code, json.loads(said)) == (
        1,
        {
            "project": damaged,
            "tasks": 1,
            "differences": [
                {"what": "record", "count": 1, "example": str(100_000 + damaged)},
                {"what": "leftover", "count": 1, "example": "1"},
            ],
            "repaired": False,
        },
    )

    code, said = await check("--repair")

    assert code == 0
    assert f"{differs[1]}; repaired: dropped, and counted as orphaned\n{differs[2]}; repaired: freed\n" in said
    assert await check("--project", str(damaged)) == (0, f"project {damaged}: 1 tasks, no differences\n")


async def test_a_project_that_is_not_there_is_named(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BROKER_REDIS_URL", settings.redis_url)
    monkeypatch.setenv("BROKER_PREFIX", settings.prefix)

    assert await asyncio.to_thread(main, ["check", "--project", "77"]) == 1
    assert capsys.readouterr().err == "broker: --project 77: No such project\n"
