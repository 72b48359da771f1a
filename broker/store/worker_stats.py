"""How many tasks each worker has closed and holds, in one project or in all."""

import asyncio
import time

from broker.errors import BrokerError
from broker.store.holders import Holders
from broker.store.looks import Looks
from broker.store.projects import Projects
from broker.store.worker_records import Worker
from broker.store.workers import Workers

SHARED = 10.0
"""Seconds that the list of all workers is kept, and what each of them holds."""

_PAGE = 500

_LONGEST_PAUSE = 1.0
"""Seconds between readings of all workers' records at most."""


class WorkerStats:
    def __init__(self, projects: Projects, workers: Workers, holders: Holders) -> None:
        self._holders = holders
        self._projects = projects
        self._workers = workers
        self._looks = Looks(self._look, _LONGEST_PAUSE)
        self._counting = asyncio.Lock()
        self._counted = float("-inf")
        self._rows: dict[object, dict[str, object]] = {}
        self._counting_holds = asyncio.Lock()
        self._counted_holds = float("-inf")
        self._held: dict[int, dict[int, int]] = {}

    async def all(self) -> list[dict[str, object]]:
        """Every worker by id, as it is now; but its counts are at most ten seconds old: counting takes a while."""
        async with self._counting:
            if time.monotonic() - self._counted > SHARED:
                count = await self._workers.count()
                pages = [await self.page(offset, _PAGE, None) for offset in range(0, count, _PAGE)]
                self._rows, self._counted = {row["id"]: row for page in pages for row in page}, time.monotonic()
        return [
            self._rows.get(worker.id, _row(worker, worker.closed_before, 0))
            | {"alias": worker.alias, "paused": worker.paused}
            for worker in await self._looks.answer()
        ]

    async def _look(self) -> list[Worker]:
        """Every worker, by id."""
        count = await self._workers.count()
        pages = [
            await self._workers.get(range(offset + 1, min(offset + _PAGE, count) + 1))
            for offset in range(0, count, _PAGE)
        ]
        return [worker for page in pages for worker in page if worker is not None]

    async def page(self, offset: int, limit: int, project: int | None) -> list[dict[str, object]]:
        """``{id, alias, closed_task_count, held_task_count, paused}`` of at most 500 workers, by id."""
        last = min(offset + limit, await self._workers.count())
        ids = range(offset + 1, last + 1)
        if not ids:
            return []
        workers = await self._workers.get(ids)
        holds = await self._holds()
        closed, held = [0] * len(ids), [0] * len(ids)
        if project is None:
            # What was closed before an import is known of all projects together only.
            closed = [worker.closed_before if worker else 0 for worker in workers]
        projects = [project] if project is not None else [it.id async for it in self._projects.ids()]
        for one in projects:
            closed = [sum(pair) for pair in zip(closed, await self._workers.closed_by(one, ids), strict=True)]
            mine = holds.get(one, {})
            held = [count + mine.get(id, 0) for count, id in zip(held, ids, strict=True)]
        return [
            _row(worker, closed_count, held_count)
            for worker, closed_count, held_count in zip(workers, closed, held, strict=True)
            if worker
        ]

    async def _holds(self) -> dict[int, dict[int, int]]:
        """How many tasks of each project each worker holds. A copy as well: counting looks at every assigned task."""
        async with self._counting_holds:
            if time.monotonic() - self._counted_holds > SHARED:
                projects = [it.id async for it in self._projects.ids()]
                self._held = {project: await self._holds_in(project) for project in projects}
                self._counted_holds = time.monotonic()
            return self._held

    async def _holds_in(self, project: int) -> dict[int, int]:
        """Of a project that has been deleted meanwhile nobody holds anything."""
        try:
            return await self._holders.of(project)
        except BrokerError as error:
            if error.code != "not_found":
                raise
            return {}


def _row(worker: Worker, closed: int, held: int) -> dict[str, object]:
    return {
        "alias": worker.alias,
        "closed_task_count": closed,
        "held_task_count": held,
        "paused": worker.paused,
        "id": worker.id,
    }
