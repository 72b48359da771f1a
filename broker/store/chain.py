"""Delivers closed tasks to the chained project, exactly once, whatever crashes.

The script that closes a task adds it to its project's outbox. A flush delivers the oldest entries and removes them. The
target knows which entries it has taken (``lua/tasks/deliver.lua``), so a flush that died or runs twice does no harm.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from broker.errors import BrokerError
from broker.store.active import Active
from broker.store.projects import Projects
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls

log = logging.getLogger(__name__)

BATCH = 100
_LONGEST_FLUSH = 100
"""Batches that one flush delivers at most, so that a release never waits for a long backlog; the sweeper does the
rest."""


@dataclass
class _Turn:
    asked: int = 0
    done: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class OutboxEntry(NamedTuple):
    id: str
    target: int
    task: str
    """The id of the closed task."""
    record: str


class Delivered(NamedTuple):
    taken: int
    repeated: int
    """How many had been delivered before."""
    newer: int = 0
    """Above 0: nothing was taken, because the target has seen a read of the outbox with this number."""


class Chain:
    def __init__(self, calls: Calls, keys: Keys, projects: Projects, active: Active) -> None:
        self._calls = calls
        self._keys = keys
        self._active = active
        self._projects = projects
        self._turns: dict[int, _Turn] = {}
        self._waiting: set[int] = set()
        """Sources that were logged as waiting: once, not at each attempt."""
        self.now = ""

    async def flush_if_possible(self, source: int) -> None:
        """As :meth:`flush`; what cannot be delivered now is left to the sweeper."""
        try:
            await self.flush(source)
        except BrokerError as error:
            if source not in self._waiting:
                self._waiting.add(source)
                log.warning("the chain of project %d waits: %s", source, error.message)
            return
        if source in self._waiting:
            self._waiting.remove(source)
            log.info("the chain of project %d goes on", source)

    async def flush(self, source: int) -> None:
        """Delivers what is in the outbox now. One flush of a project runs at a time; calls that wait share the next.

        Raises :class:`BrokerError` when the target cannot take tasks now; they stay in the outbox.
        """
        turn = self._turns.setdefault(source, _Turn())
        turn.asked += 1
        mine = turn.asked
        async with turn.lock:
            if turn.done >= mine:
                return
            covered = turn.asked
            await self._flush(source)
            turn.done = covered
            if turn.asked == covered:
                del self._turns[source]

    async def _flush(self, source: int) -> None:
        known = 0
        for _ in range(_LONGEST_FLUSH):
            read, entries = await self.outbox(source, BATCH, known)
            by_target: dict[int, list[OutboxEntry]] = {}
            for entry in entries:
                by_target.setdefault(entry.target, []).append(entry)
            newer = [await self._deliver_to(source, target, read, mine) for target, mine in by_target.items()]
            known = max([known, *newer])
            if len(entries) < BATCH and not any(newer):
                return

    async def _deliver_to(self, source: int, target: int, read: int, entries: list[OutboxEntry]) -> int:
        """0; or, if the target has seen a read that is not older, the number of that: then nothing was done."""
        delivered = None
        try:
            delivered = await self.deliver(target, source, read, entries)
        except BrokerError as error:
            if error.code != "not_found":
                raise
            if await self._projects.exists(target):
                # The project is new, and its configuration not copied yet.
                await self._projects.push(target)
                delivered = await self.deliver(target, source, read, entries)
        if delivered is not None and delivered.newer:
            return delivered.newer
        if delivered is not None and delivered.repeated:
            log.info("the chain of project %d: %d tasks had been delivered before", source, delivered.repeated)
        await self.drop(source, entries, lost=delivered is None)
        return 0

    async def outbox(self, project: int, limit: int, known: int = 0) -> tuple[int, list[OutboxEntry]]:
        """The number of this read, and the oldest entries. ``known``: the newest read that a target has seen."""
        read, *rows = await self._calls.call("outbox_read", self._keys.project(project), [limit, known])
        return read, [OutboxEntry(id, int(target), task, record) for id, target, task, record in rows]

    async def deliver(self, target: int, source: int, read: int, entries: Sequence[OutboxEntry]) -> Delivered:
        """``entries``: all that this read of the source's outbox has for ``target``."""
        args: Arguments = [source, self.now, read]
        for entry in entries:
            args += (entry.id, entry.task, entry.record)
        done, *counts = await self._calls.call("deliver", self._keys.project(target), args)
        if not done:
            return Delivered(0, 0, *counts)
        taken, repeated, epoch = counts
        await self._active.note(target, epoch)
        return Delivered(taken, repeated)

    async def drop(self, source: int, entries: Sequence[OutboxEntry], *, lost: bool) -> int:
        args: Arguments = ["1" if lost else "", *(entry.id for entry in entries)]
        count: int = await self._calls.call("outbox_drop", self._keys.project(source), args)
        return count
