"""Deletes workers: first from the directory, then what is left of them in projects.

They may have requested access to any project, and hold tasks of any public project, so all projects are visited, once
for up to 500 workers. The directory notes them until that is done: if this process dies, the sweeper repeats it.
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
        """Deletes a worker. Returns whether something is left of it in projects, for the sweeper. Raises ``not_found``.

        When this returns, no process accepts its credentials.
        """
        if not await self._calls.call("workers_delete", self._keys.directory, [worker]):
            raise BrokerError("not_found", "worker: no such worker")
        # Tasks that it gets meanwhile, from a process that still knows it, are taken back with the rest.
        await self._workers.outlive()
        return not await self._remove_if_possible([worker], time.monotonic() + _PATIENCE)

    async def delete_silent(self, seconds: float) -> tuple[int, bool]:
        """Deletes all workers that were not seen for so many seconds.

        Returns how many it has deleted so far, and whether anything is left to do, for the sweeper.
        """
        deadline = time.monotonic() + _PATIENCE
        await self._calls.call("silent_begin", self._keys.directory, [self.now, math.ceil(seconds)])
        deleted, more = 0, True
        while more and time.monotonic() < deadline:
            some, more = await self._step(sweeps=False)
            deleted += some
        if deleted:
            await self._workers.outlive()
        while not more and (leaving := await self._leaving()):
            if not await self._remove_if_possible(leaving, deadline):
                more = True
        return deleted, more

    async def go_on(self) -> None:
        """Does some of what a call has left: looks for silent workers, and removes what is left of at most 500."""
        deleted, more = 0, True
        while more:
            some, more = await self._step(sweeps=True)
            deleted += some
        if deleted:
            await self._workers.outlive()
        if leaving := await self._leaving():
            await self._remove(leaving, math.inf)

    async def _step(self, *, sweeps: bool) -> tuple[int, bool]:
        args: Arguments = [self.now, CHUNK, "1" if sweeps else ""]
        deleted, more = await self._calls.call("silent_step", self._keys.directory, args)
        return deleted, bool(more)

    async def _leaving(self) -> list[int]:
        key = self._keys.pending(_LEAVING)
        return [int(worker) for worker in await self._calls.command("SRANDMEMBER", key, CHUNK)]

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
        """All projects that exist throughout, perhaps some of them twice."""
        cursor = ""
        while cursor != "0":
            cursor, found = await self._calls.command("ZSCAN", self._keys.projects, cursor or "0", "COUNT", CHUNK)
            for project in found[::2]:
                yield int(project)
