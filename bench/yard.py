"""A project on the store, below HTTP, and a worker that may submit to it and take from it."""

import itertools
import random
from collections.abc import Sequence

from bench.errors import BenchError
from bench.flight import fly
from broker.store import Store
from broker.store.task_fields import TaskFields
from broker.store.tasks import CHUNK

_HOLD = 3_600
"""Seconds for which a task is assigned."""

_numbers = itertools.count(1)


class Yard:
    def __init__(self, store: Store, project: int, worker: int) -> None:
        self.store = store
        self.project = project
        self.worker = worker

    @classmethod
    async def make(cls, store: Store, manager: int) -> "Yard":
        project = await store.projects.create(manager, {"name": f"bench {next(_numbers)}"})
        worker = (await store.workers.create("bench"))[0].id
        await store.workers.request_access(project, worker, assign=True, submit=True)
        await store.workers.grant(project, worker)
        return cls(store, project, worker)

    async def submit(self, count: int, recipe: int = 30) -> None:
        """So many tasks in one call, each with a hash and a recipe of so many bytes."""
        tasks = [
            TaskFields(f"{next(_numbers):0{recipe}d}", 0, 0, 0, 1, random.getrandbits(63) or 1) for _ in range(count)
        ]
        if None in await self.store.tasks.submit(self.project, self.worker, tasks):
            raise BenchError("two random hashes were the same")

    async def assign(self, count: int) -> list[int]:
        """The tasks' ids."""
        assigned = await self.store.tasks.assign(self.project, self.worker, count, _HOLD)
        return [task.id for task in assigned.tasks]

    async def release(self, ids: Sequence[int]) -> None:
        """As ok."""
        released = await self.store.tasks.release(self.project, self.worker, [(id, 0, 0) for id in ids])
        if set(released.outcomes) != {"closed"}:
            raise BenchError(f"released, and the outcome was {set(released.outcomes)}")

    async def fill(self, count: int, recipe: int = 30) -> None:
        await fly((self.submit(CHUNK, recipe) for _ in range(-(-count // CHUNK))), lanes=4)
