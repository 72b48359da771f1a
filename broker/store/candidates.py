"""Where a worker that names no project may find a task: the projects that have a task, read for all who ask."""

import asyncio
import random

from broker.store.projects import Listed, Projects
from broker.store.shared_read import SharedRead
from broker.store.tasks import Tasks
from broker.store.workers import Workers

_DUTY = 0.1
"""Of the store's time, while a read takes no more than 10 ms: it asks every project."""

_LONGEST_REST = 0.1
"""Seconds between two reads at most: nobody waits longer for a new task."""

BEST, OTHERS = 12, 4
"""Projects that one request tries: the best, and some at random, so that none starves behind those that turn out to
have nothing for this worker."""


class Candidates:
    def __init__(self, projects: Projects, tasks: Tasks, workers: Workers) -> None:
        self._projects = projects
        self._tasks = tasks
        self._workers = workers
        self._heads = SharedRead(self._read, duty=_DUTY, longest_rest=_LONGEST_REST)

    async def of(self, worker: int) -> list[int]:
        """Projects where the worker may find a task, best priority first."""
        heads = await self._heads.get()
        granted = await self._workers.projects(worker)
        projects = [project.id for project in heads if project.public or project.id in granted]
        best, others = projects[:BEST], projects[BEST:]
        return best + sorted(random.sample(others, min(len(others), OTHERS)), key=others.index)

    async def _read(self) -> list[Listed]:
        """Those that have a task."""
        projects = [project async for project in self._projects.ids()]
        due = await asyncio.gather(*(self._tasks.due(project.id) for project in projects))
        return [project for project, of in zip(projects, due, strict=True) if of.waiting]
