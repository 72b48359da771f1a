"""How many tasks each worker has closed, failed and holds, in one project or in all; and when it was last seen."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Literal, NamedTuple

from broker.store.monitoring import Monitoring
from broker.store.presence import Info
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.shared_read import SharedReads, rest
from broker.store.workers import Worker, Workers

PAGE = 500
"""Workers that a page has at most."""

_DUTY = 0.3
"""Share of the time while all workers are read; others are served in the rest of it."""

_FOUND = 2000
"""Workers that a search looks at."""

_SILENT = 1000
"""Silent workers of which it is looked at whether they hold tasks: less than 1 ms of the store."""


class WorkerCounts(NamedTuple):
    worker: Worker
    closed: int
    held: int = 0
    failed: int = 0
    seen: int | None = None
    """Unix seconds, to the minute; None: never."""
    info: Info = Info()


class SilentHolders(NamedTuple):
    """Workers that hold tasks and have sent no call for a while."""

    workers: int
    tasks: int
    """The number of tasks that they hold."""
    last: WorkerCounts | None
    """The worker among them that sent a call last."""


Order = Literal["closed", "failed", "held"]

Render = Callable[[list[WorkerCounts]], bytes]


class WorkerStats:
    """Counts over all projects are some seconds old: :class:`~broker.store.counting.Counting` keeps them."""

    def __init__(self, calls: Calls, keys: Keys, workers: Workers, monitoring: Monitoring) -> None:
        self._calls = calls
        self._keys = keys
        self._workers = workers
        self._monitoring = monitoring
        self._ordered: Mapping[Order, str] = {
            "closed": keys.worker_closed,
            "failed": keys.worker_failed,
            "held": keys.worker_held,
        }
        self._rendered = SharedReads(self._read_all, most=2, duty=0.5, longest_rest=1)

    async def rendered(self, render: Render) -> list[bytes]:
        """All workers by id, in pages rendered by ``render`` (one of two functions); as they are now."""
        return await self._rendered.get(render)

    async def _read_all(self, render: Render) -> list[bytes]:
        rendered = []
        for first in range(1, await self._workers.count() + 1, PAGE):
            begun = time.monotonic()
            if page := await self.of(range(first, first + PAGE)):
                # A copy: orjson's result holds a larger buffer.
                rendered.append(bytes(memoryview(render(page))))
            await rest(begun, _DUTY)
        return rendered

    async def page(self, offset: int, limit: int, project: int | None) -> list[WorkerCounts]:
        """Counts of at most PAGE workers, by id."""
        ids = range(offset + 1, min(offset + limit, await self._workers.count()) + 1)
        if project is None or not ids:
            return await self.of(ids)
        everywhere, counts = await asyncio.gather(self._read(ids), self._workers.closed_by(project, ids))
        held = await self._monitoring.held(project)
        return [
            row._replace(closed=closed, failed=failed, held=held.get(row.worker.id, 0))
            for row, (closed, failed) in zip(everywhere, counts, strict=True)
            if row
        ]

    async def of(self, ids: Sequence[int]) -> list[WorkerCounts]:
        """Counts over all projects, of the workers that exist among at most PAGE ids, in this order."""
        return [row for row in await self._read(ids) if row]

    async def _read(self, ids: Sequence[int]) -> list[WorkerCounts | None]:
        """Counts over all projects for each id; None: no such worker."""
        if not ids:
            return []
        rows = await self._calls.call("worker_rows", self._keys.directory, ids)
        return [_counts(id, row) if row else None for id, row in zip(ids, rows, strict=True)]

    async def held_in(self, project: int, worker: int) -> int:
        """How many tasks of the project the worker held at the last count."""
        return int(await self._calls.command("HGET", self._keys.held(project), worker) or 0)

    async def most(self, offset: int, limit: int, order: Order) -> tuple[int, list[WorkerCounts]]:
        """How many workers have such a count, and some of them, the largest count first."""
        key = self._ordered[order]
        total, ids = await asyncio.gather(
            self._calls.command("ZCARD", key),
            self._calls.command("ZRANGE", key, offset, offset + limit - 1, "REV"),
        )
        return total, await self.of([int(id) for id in ids])

    async def seen(
        self, offset: int, limit: int, *, since: float = 0, before: float = inf
    ) -> tuple[int, list[WorkerCounts]]:
        """How many workers were last seen between these times (unix seconds), and some of them, the latest first."""
        key, oldest, newest = self._keys.worker_seen, since, "+inf" if before == inf else f"({before}"
        total, ids = await asyncio.gather(
            self._calls.command("ZCOUNT", key, oldest, newest),
            self._calls.command("ZRANGE", key, newest, oldest, "BYSCORE", "REV", "LIMIT", offset, limit),
        )
        return total, await self.of([int(id) for id in ids])

    async def silent_holders(self, before: float) -> SilentHolders:
        """Those of the newest silent workers that hold tasks. Silent: no call since ``before`` (unix seconds)."""
        args: Arguments = [before, _SILENT]
        workers, tasks, last = await self._calls.call("silent_holders", self._keys.directory, args)
        row = next(iter(await self.of([last])), None) if last else None
        return SilentHolders(workers, tasks, row)

    async def find(
        self, wanted: Callable[[WorkerCounts], bool], after: int, limit: int
    ) -> tuple[int | None, list[WorkerCounts]]:
        """The next ``after`` (None at the end), and up to ``limit`` wanted workers by id. Looks at a bounded number."""
        last, found = await self._workers.count(), list[WorkerCounts]()
        for first in range(after + 1, min(after + _FOUND, last) + 1, PAGE):
            for row in await self.of(range(first, min(first + PAGE - 1, last) + 1)):
                if wanted(row):
                    found.append(row)
                if len(found) == limit:
                    return (row.worker.id if row.worker.id < last else None), found
        return (after + _FOUND if after + _FOUND < last else None), found


def _counts(id: int, row: list[str | None]) -> WorkerCounts:
    """From a row of the script."""
    alias, created, paused, digest, before, closed, held, failed, seen, info = row
    worker = Worker(id, alias or "", int(created or 0), paused == "1", digest or "", int(before or 0))
    last = None if seen is None else int(float(seen))
    total = worker.closed_before if closed is None else int(float(closed))
    return WorkerCounts(worker, total, int(float(held or 0)), int(float(failed or 0)), last, Info.read(info))
