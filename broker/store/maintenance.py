"""Maintenance of whole projects: however many tasks there are, it begins in one step and is worked off in small ones.

:meth:`Tasks.begin_drain` takes the tasks out of reach; after it, whatever dies, the sweeper works off what is left.
"""

import logging
import time

from broker.errors import BrokerError
from broker.store.chain import Chain
from broker.store.projects import Projects
from broker.store.tasks import CHUNK, Tasks

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a call waits for its drain; what is left then goes on behind it."""


class Maintenance:
    def __init__(self, tasks: Tasks, projects: Projects, chain: Chain) -> None:
        self._chain = chain
        self._tasks = tasks
        self._projects = projects

    async def run(self, project: int, operation: str) -> int:
        """reset_failed, reclaim_assigned or hard_reset; how many tasks were concerned."""
        affected = await self._tasks.begin_drain(project, operation)
        await self._drain(project)
        return affected

    async def delete(self, manager: int, project: int) -> None:
        """The project, its tasks, its name, its roles, and the chains to it. Raises ``not_found``, ``denied``.

        Once the directory has forgotten it, it is deleted, though the sweeper may have to do the rest.
        """
        await self._projects.delete(manager, project)
        try:
            await self.bury(project)
        except BrokerError as error:
            log.warning("the rest of project %d is deleted later: %s", project, error.message)

    async def bury(self, project: int) -> None:
        """What is left of a project that the directory has forgotten. Safe to repeat.

        What it has closed goes on to its chained project; until that can take it, the project is not buried.
        """
        await self._projects.unchain(project)
        await self._tasks.begin_burial(project)
        drained = await self._drain(project)
        await self._chain.flush_if_possible(project)
        if drained and not (await self._tasks.outbox(project, 1))[1]:
            await self._projects.buried(project)

    async def _drain(self, project: int) -> bool:
        """Whether nothing is left."""
        deadline = time.monotonic() + PATIENCE
        more = True
        while more and time.monotonic() < deadline:
            _, more = await self._tasks.drain(project, CHUNK)
        return not more
