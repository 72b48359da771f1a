"""Maintenance of whole projects: it begins in one step, however many tasks there are, and goes on in small ones.

:meth:`Maintenance.begin_drain` takes the tasks out of reach. After that the sweeper finishes the work if this process
dies.
"""

import logging
import time

from broker.errors import BrokerError
from broker.store.chain import Chain
from broker.store.projects import Projects
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Calls
from broker.store.tasks import CHUNK

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a call waits for its drain; what is left then goes on behind it."""


class Maintenance:
    def __init__(self, calls: Calls, keys: Keys, projects: Projects, chain: Chain) -> None:
        self._calls = calls
        self._keys = keys
        self._projects = projects
        self._chain = chain
        self.now = ""

    async def run(self, project: int, operation: str) -> int:
        """Runs reset_failed, reclaim_assigned or hard_reset. The answer is the number of tasks concerned."""
        affected = await self.begin_drain(project, operation)
        await self._drain_all(project)
        return affected

    async def delete(self, manager: int, project: int) -> None:
        """Deletes the project, its tasks, its roles, and the chains to it. Raises ``not_found``, ``denied``.

        The project is deleted once it is off the directory; the sweeper finishes what fails after that.
        """
        await self._projects.delete(manager, project)
        try:
            await self.finish_delete(project)
        except BrokerError as error:
            log.warning("the rest of project %d is deleted later: %s", project, error.message)

    async def finish_delete(self, project: int) -> None:
        """Deletes what is left of a project that is off the directory. Safe to repeat.

        Its closed tasks are delivered to its chained project first; the rest waits until that can take them.
        """
        await self._projects.unchain(project)
        await self._begin_delete(project)
        drained = await self._drain_all(project)
        await self._chain.flush_if_possible(project)
        if drained and not (await self._chain.outbox(project, 1))[1]:
            await self._projects.deleted(project)

    async def _drain_all(self, project: int) -> bool:
        """Whether nothing is left."""
        deadline = time.monotonic() + PATIENCE
        more = True
        while more and time.monotonic() < deadline:
            _, more = await self.drain(project, CHUNK)
        return not more

    async def begin_drain(self, project: int, operation: str) -> int:
        """How many tasks ``operation`` concerns: reset_failed, reclaim_assigned, hard_reset or delete."""
        affected: int = await self._calls.call("drain_begin", self._keys.project(project), [operation])
        return affected

    async def _begin_delete(self, project: int) -> None:
        """Nothing happens when it was done before."""
        try:
            await self.begin_drain(project, "delete")
        except BrokerError as error:
            if error.code != "not_found":
                raise

    async def drain(self, project: int, limit: int) -> tuple[int, bool]:
        """Processes up to ``limit`` tasks of maintenance calls. The answer: how many, and whether there are more."""
        done, more = await self._calls.call("drain_step", self._keys.project(project), [self.now, limit])
        return done, bool(more)
