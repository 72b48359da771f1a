"""Fixtures for tests below HTTP."""

from dataclasses import dataclass
from typing import Any

import pytest

from broker.store import Store
from broker.store.task_fields import Task, TaskFields
from broker.store.transfer import ImportedAccess, ImportedWorker

NOON = 1_700_000_000_000
"""Unix ms."""


@dataclass
class StoreFleet:
    """A store with a clock that only the test moves."""

    store: Store
    manager: int
    now: int = NOON

    def passes(self, seconds: float) -> None:
        self.now += round(seconds * 1000)
        self.store.set_clock(self.now)

    async def worker(self, *projects: int) -> int:
        worker = (await self.store.workers.create("w"))[0].id
        for project in projects:
            await self.store.workers.request_access(project, worker, assign=True, submit=True)
            await self.store.workers.grant(project, worker)
        return worker

    async def many_workers(self, count: int, *projects: int, granted: bool = True) -> range:
        """The ids of so many workers, each with access to the projects, or with a request for it."""
        imports, first = self.store.imports, await self.store.workers.count() + 1
        ids = range(first, first + count)
        for start in range(0, count, 500):
            some = ids[start : start + 500]
            await imports.workers([ImportedWorker(id, f"w{id}", 1, 0, "", 0) for id in some], ids[-1])
            for project in projects:
                await imports.access(project, [ImportedAccess(id, "assign", "1" if granted else "") for id in some])
        return ids

    async def project(self, **fields: Any) -> int:
        fields.setdefault("name", f"p{len([p async for p in self.store.projects.ids()])}")
        return await self.store.projects.create(self.manager, fields)

    async def submit(self, project: int, worker: int, *tasks: TaskFields) -> list[int | None]:
        return await self.store.tasks.submit(project, worker, tasks)

    async def take(self, project: int, worker: int, count: int = 1) -> list[Task]:
        return (await self.store.tasks.assign(project, worker, count, 3600)).tasks

    async def release(self, project: int, worker: int, task: int | None, result: int = 0, vote: int = 0) -> str:
        return (await self.store.tasks.release(project, worker, [(task or 0, result, vote)])).outcomes[0]


@pytest.fixture
async def fleet(store: Store) -> StoreFleet:
    store.set_clock(NOON)
    return StoreFleet(store, (await store.managers.register("boss", "a long password", open_to_all=True)).id)


def new(
    recipe: str = "r", *, priority: int = 0, votes: int = 1, hash64: int | str = "", seconds: int = 0
) -> TaskFields:
    return TaskFields(recipe, priority=priority, max_assign_time=seconds, verification_count=votes, hash64=hash64)
