"""Where a worker that names no project may find a task.

One look at the head of every project serves all requests that arrived before it began: an answer is never older than
its question. Looks pause for ten times as long as they take, so that thousands of idle workers cost a tenth of a core.
"""

import asyncio
import random
import time

from broker.store.projects import Listed, Projects
from broker.store.tasks import Tasks
from broker.store.workers import Workers

LONGEST_PAUSE = 0.1
"""Seconds between looks at most."""

BEST, OTHERS = 12, 4
"""Projects that one request tries: the best, and some at random, so that none starves behind those that turn out to
have nothing for this worker."""


class Candidates:
    def __init__(self, projects: Projects, tasks: Tasks, workers: Workers) -> None:
        self._projects = projects
        self._tasks = tasks
        self._workers = workers
        self._looking = asyncio.Lock()
        self._begun = self._ended = 0.0
        self._heads: list[Listed] = []

    async def of(self, worker: int) -> list[int]:
        """Projects where the worker may find a task, best priority first."""
        arrived = time.monotonic()
        granted = await self._workers.projects(worker)
        heads = await self._look(arrived)
        projects = [project.id for project in heads if project.public or project.id in granted]
        best, others = projects[:BEST], projects[BEST:]
        return best + sorted(random.sample(others, min(len(others), OTHERS)), key=others.index)

    async def _look(self, arrived: float) -> list[Listed]:
        """Those that have a task, from a look that began after ``arrived``."""
        async with self._looking:
            if self._begun < arrived:
                pause = min(LONGEST_PAUSE, 10 * (self._ended - self._begun))
                await asyncio.sleep(self._ended + pause - time.monotonic())
                begun = time.monotonic()
                projects = [project async for project in self._projects.ids()]
                due = await asyncio.gather(*(self._tasks.due(project.id) for project in projects))
                self._heads = [project for project, of in zip(projects, due, strict=True) if of.waiting]
                self._begun, self._ended = begun, time.monotonic()
            return self._heads
