"""Delivers closed tasks to the chained project, exactly once, whatever crashes.

The script that closes a task puts it on its project's outbox. A flush delivers the oldest entries and takes them off.
The target knows which entries it has taken (``lua/tasks/deliver.lua``), so a flush that died, or runs twice, does no
harm.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from broker.errors import BrokerError
from broker.store.projects import Projects
from broker.store.tasks import OutboxEntry, Tasks

log = logging.getLogger(__name__)

BATCH = 100
_LONGEST_FLUSH = 100
"""Batches that one flush delivers at most, so that a release never waits for a long backlog; the sweeper goes on."""


@dataclass
class _Turn:
    asked: int = 0
    done: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Chain:
    def __init__(self, tasks: Tasks, projects: Projects) -> None:
        self._tasks = tasks
        self._projects = projects
        self._turns: dict[int, _Turn] = {}
        self._waiting: set[int] = set()
        """Sources that the log has said to wait: it says so once, not at each release and each second."""

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
        """Delivers what is on the outbox now. One flush at a time; those that wait meanwhile share the next.

        Raises :class:`BrokerError` when the target cannot take tasks now; they stay on the outbox.
        """
        turn = self._turns.setdefault(source, _Turn())
        turn.asked += 1
        mine = turn.asked
        async with turn.lock:
            if turn.done >= mine:
                return
            covered = turn.asked
            await self._drain(source)
            turn.done = covered
            if turn.asked == covered:
                del self._turns[source]

    async def _drain(self, source: int) -> None:
        known = 0
        for _ in range(_LONGEST_FLUSH):
            read, entries = await self._tasks.outbox(source, BATCH, known)
            by_target: dict[int, list[OutboxEntry]] = {}
            for entry in entries:
                by_target.setdefault(entry.target, []).append(entry)
            newer = [await self._deliver(source, target, read, mine) for target, mine in by_target.items()]
            known = max([known, *newer])
            if len(entries) < BATCH and not any(newer):
                return

    async def _deliver(self, source: int, target: int, read: int, entries: list[OutboxEntry]) -> int:
        """0; or the number of a read that the target knows, and that is not older: then nothing was done."""
        delivered = None
        try:
            delivered = await self._tasks.deliver(target, source, read, entries)
        except BrokerError as error:
            if error.code != "not_found":
                raise
            if await self._projects.exists(target):
                # Created a moment ago, its copy not pushed yet.
                await self._projects.push(target)
                delivered = await self._tasks.deliver(target, source, read, entries)
        if delivered is not None and delivered.newer:
            return delivered.newer
        if delivered is not None and delivered.repeated:
            log.info("the chain of project %d: %d tasks had been delivered before", source, delivered.repeated)
        await self._tasks.drop(source, entries, lost=delivered is None)
        return 0
