"""Worker records kept in memory, so that a call of a worker need not ask Redis who it is.

``:version`` counts changes of workers. A record holds only while the version was last asked for, and answered, less
than FRESH ago: whatever hinders the answer, a change that was made FRESH ago is never missed. The call that makes a
change waits that long before it answers (:meth:`WorkerRecords.outlive`): then it holds everywhere.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from broker.errors import BrokerError

FRESH = 0.05
"""Seconds since the version was asked for, for which records hold."""

_REFRESH = 0.02
"""Seconds after which the version is asked for again, while requests come."""

_TIMER = 0.01
"""Seconds by which a timer may be early."""

_MOST = 100_000
"""Records kept."""


class Worker(NamedTuple):
    id: int
    alias: str
    created: int
    paused: bool
    digest: str
    closed_before: int = 0
    """Tasks that it had closed in the original tracker, when it was imported."""


class Record:
    """A worker, and what it sent as its secret when that was last found right: the same again needs no digest."""

    __slots__ = ("proven", "worker")

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.proven = b""


Read = Callable[[Sequence[int]], Awaitable[tuple[int, list[Worker | None]]]]
"""The version, and the workers with these ids."""


class WorkerRecords:
    def __init__(self, read: Read, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._records: dict[int, Record] = {}
        self._version = -1
        self._asked = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def get(self, id: int) -> Record | None:
        known = self.fresh(id)
        if known is not None:
            return known
        worker = (await self._ask([id]))[0]
        return Record(worker) if worker else None

    def fresh(self, id: int) -> Record | None:
        """The record, if it is here and holds."""
        age = self._clock() - self._asked
        if age >= FRESH:
            return None
        if age > _REFRESH and self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
        return self._records.get(id)

    async def outlive(self) -> None:
        """Returns when no process holds a record from before this call."""
        self._records.clear()
        await asyncio.sleep(FRESH + _TIMER)

    async def _ask(self, ids: Sequence[int]) -> list[Worker | None]:
        asked = self._clock()
        version, workers = await self._read(ids)
        # An answer that was overtaken by a newer one, or a store that lost its last changes: nothing to keep.
        overtaken = version < self._version
        if version != self._version or len(self._records) + len(ids) > _MOST:
            self._records.clear()
        self._version = version
        self._asked = max(self._asked, asked)
        if not overtaken:
            self._records.update((worker.id, Record(worker)) for worker in workers if worker is not None)
        return workers

    async def _refresh(self) -> None:
        try:
            await self._ask([])
        except BrokerError:
            # Nothing was learned: the records end when they are no longer fresh.
            pass
        finally:
            self._refreshing = None
