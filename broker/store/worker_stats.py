"""How many tasks each worker has closed and holds, in one project or in all."""

from typing import NamedTuple

from broker.errors import BrokerError
from broker.store.monitoring import Monitoring
from broker.store.projects import Projects
from broker.store.shared_read import SharedRead
from broker.store.workers import Worker, Workers

SHARED = 10.0
"""Seconds that the list of all workers is kept, and what each of them holds."""

_PAGE = 500

_DUTY = 0.1
"""Of the store's time, for each of the three reads; that of the workers' records while it takes at most 0.1 s."""

_LONGEST_REST = 1.0
"""Seconds between two reads of the workers' records at most."""


class WorkerCounts(NamedTuple):
    worker: Worker
    closed: int
    held: int


class WorkerStats:
    def __init__(self, projects: Projects, workers: Workers, monitoring: Monitoring) -> None:
        self._monitoring = monitoring
        self._projects = projects
        self._workers = workers
        self._now = SharedRead(self._read_workers, duty=_DUTY, longest_rest=_LONGEST_REST)
        self._counts = SharedRead(self._read_counts, duty=_DUTY, ttl=SHARED)
        self._held = SharedRead(self._read_held, duty=_DUTY, ttl=SHARED)

    async def all(self) -> list[WorkerCounts]:
        """Every worker by id, as it is now; but its counts are at most ten seconds old: counting takes a while."""
        counts = await self._counts.get()
        return [
            counts.get(worker.id, WorkerCounts(worker, worker.closed_before, 0))._replace(worker=worker)
            for worker in await self._now.get()
        ]

    async def _read_counts(self) -> dict[int, WorkerCounts]:
        """By id."""
        count = await self._workers.count()
        pages = [await self.page(offset, _PAGE, None) for offset in range(0, count, _PAGE)]
        return {row.worker.id: row for page in pages for row in page}

    async def _read_workers(self) -> list[Worker]:
        """Every worker, by id."""
        count = await self._workers.count()
        pages = [
            await self._workers.get(range(offset + 1, min(offset + _PAGE, count) + 1))
            for offset in range(0, count, _PAGE)
        ]
        return [worker for page in pages for worker in page if worker is not None]

    async def page(self, offset: int, limit: int, project: int | None) -> list[WorkerCounts]:
        """Of at most 500 workers, by id."""
        last = min(offset + limit, await self._workers.count())
        ids = range(offset + 1, last + 1)
        if not ids:
            return []
        workers = await self._workers.get(ids)
        held_by_project = await self._held.get()
        closed, held = [0] * len(ids), [0] * len(ids)
        if project is None:
            # What was closed before an import is known of all projects together only.
            closed = [worker.closed_before if worker else 0 for worker in workers]
        projects = [project] if project is not None else [it.id async for it in self._projects.ids()]
        for one in projects:
            closed = [sum(pair) for pair in zip(closed, await self._workers.closed_by(one, ids), strict=True)]
            mine = held_by_project.get(one, {})
            held = [count + mine.get(id, 0) for count, id in zip(held, ids, strict=True)]
        return [
            WorkerCounts(worker, closed_count, held_count)
            for worker, closed_count, held_count in zip(workers, closed, held, strict=True)
            if worker
        ]

    async def _read_held(self) -> dict[int, dict[int, int]]:
        """How many tasks of each project each worker holds. Counting looks at every assigned task."""
        projects = [it.id async for it in self._projects.ids()]
        return {project: await self._held_in(project) for project in projects}

    async def _held_in(self, project: int) -> dict[int, int]:
        """Of a project that has been deleted meanwhile nobody holds anything."""
        try:
            return await self._monitoring.held(project)
        except BrokerError as error:
            if error.code != "not_found":
                raise
            return {}
