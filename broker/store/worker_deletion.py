"""Workers that are deleted: the directory decides, and forgets them; then what is left of them in projects is removed.

They may have asked for access anywhere, and hold tasks of any public project, so all projects are asked, once for up to
500 workers. The directory notes them until that is done: if this process dies, the sweeper does it again.
"""

import logging
import math
import time
from collections.abc import AsyncIterator, Sequence

from broker.errors import BrokerError
from broker.store.active import Active
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.tasks import CHUNK
from broker.store.workers import Workers

log = logging.getLogger(__name__)

_PATIENCE = 5.0
"""Seconds that a call waits for what is left of its workers to be removed."""

_LEAVING = "leaving-workers"


class WorkerDeletion:
    def __init__(self, calls: Calls, keys: Keys, workers: Workers, active: Active) -> None:
        self._calls = calls
        self._keys = keys
        self._workers = workers
        self._active = active
        self.now = ""

    async def delete(self, worker: int) -> bool:
        """Whether something is left of the worker in projects: the sweeper removes that. Raises ``not_found``.

        Its credentials have ended in every process when this answers.
        """
        if not await self._calls.call("workers_delete", self._keys.directory, [worker]):
            raise BrokerError("not_found", "worker: no such worker")
        # What it gets meanwhile, of a process that knows it still, is taken back with the rest.
        await self._workers.outlive()
        return not await self._remove_if_possible([worker], time.monotonic() + _PATIENCE)

    async def go_on(self) -> None:
        """Removes what is left of some workers, at most 500."""
        key = self._keys.pending(_LEAVING)
        leaving = [int(worker) for worker in await self._calls.command("SRANDMEMBER", key, CHUNK)]
        if leaving:
            await self._remove(leaving, math.inf)

    async def _remove_if_possible(self, workers: Sequence[int], deadline: float) -> bool:
        """As :meth:`_remove`; the workers are deleted, whatever the store says now."""
        try:
            return await self._remove(workers, deadline)
        except BrokerError as error:
            log.warning("the rest of %d deleted workers is removed later: %s", len(workers), error.message)
            return False

    async def _remove(self, workers: Sequence[int], deadline: float) -> bool:
        """Removes what is left of these workers in projects; false when the ``deadline`` comes first."""
        async for project in self._projects():
            cursor = ""
            while cursor != "0":
                if time.monotonic() > deadline:
                    return False
                args: Arguments = [self.now, cursor or "0", CHUNK, *workers]
                cursor, back = await self._calls.call("workers_leave", self._keys.project(project), args)
                if back:
                    await self._active.look_if_possible(project)
        await self._calls.command("SREM", self._keys.pending(_LEAVING), *workers)
        return True

    async def _projects(self) -> AsyncIterator[int]:
        """All that are there from beginning to end, some of them twice."""
        cursor = ""
        while cursor != "0":
            cursor, found = await self._calls.command("ZSCAN", self._keys.projects, cursor or "0", "COUNT", CHUNK)
            for project in found[::2]:
                yield int(project)
