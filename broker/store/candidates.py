"""Where a worker that names no project may find a task.

One look at the head of every project serves all requests of a process, and begins at most every 100 ms. An empty answer
still comes only from a look that began after its request arrived: nothing that was submitted before it is overlooked.
"""

import asyncio
import time
from collections.abc import AsyncIterator

from broker.store.projects import Projects
from broker.store.tasks import Tasks
from broker.store.workers import Workers

SHARED = 0.1
"""Seconds between looks."""

MOST = 16
"""Projects that one request tries, twice at most."""


class Candidates:
    def __init__(self, projects: Projects, tasks: Tasks, workers: Workers) -> None:
        self._projects = projects
        self._tasks = tasks
        self._workers = workers
        self._looking = asyncio.Lock()
        self._looked = float("-inf")
        self._heads: list[tuple[int, bool]] = []

    async def of(self, worker: int) -> AsyncIterator[int]:
        """Projects where the worker may find a task, best priority first: as known, then as they are now."""
        arrived = time.monotonic()
        granted = await self._workers.projects(worker)
        for since in (arrived - SHARED, arrived):
            began, heads = await self._look(since)
            for project in [project for project, public in heads if public or project in granted][:MOST]:
                yield project
            if began >= arrived:
                return

    async def _look(self, since: float) -> tuple[float, list[tuple[int, bool]]]:
        """When a look at or after ``since`` began, and (project, public) of those that had a task."""
        async with self._looking:
            if self._looked < since:
                await asyncio.sleep(self._looked + SHARED - time.monotonic())
                begun = time.monotonic()
                projects = [project async for project in self._projects.ids()]
                due = await asyncio.gather(*(self._tasks.due(project) for project, _ in projects))
                self._heads = [project for project, of in zip(projects, due, strict=True) if of.waiting]
                self._looked = begun
            return self._looked, self._heads
