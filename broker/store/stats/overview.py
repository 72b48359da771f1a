"""What the store holds, all projects at once: for monitoring from outside.

An answer is never older than its question: those of several processes would else go back and forth, and what counts up
would seem to begin anew.
"""

import asyncio
from itertools import islice
from typing import NamedTuple

from broker.errors import BrokerError
from broker.store.projects import Listed, Projects
from broker.store.redis.scripts import Calls, info_fields
from broker.store.shared_read import SharedRead
from broker.store.tasks import Stats, Tasks

MOST = 5000
"""Projects that are counted, the best priority first."""

_TOGETHER = 50
"""Projects asked about at once: calls of workers wait behind no more."""

_DUTY = 0.1
"""Of the store's time, while a read takes no more than 0.1 s."""

_LONGEST_REST = 1.0
"""Seconds between two reads at most."""


class Memory(NamedTuple):
    used: int
    """Bytes."""
    limit: int
    """Bytes at which nothing new is taken; 0 for none."""


class ProjectCount(NamedTuple):
    project: Listed
    stats: Stats
    oldest: int | None
    """Seconds, as in :meth:`Tasks.oldest`."""


class Overview(NamedTuple):
    memory: Memory | None
    """Of the server that is fullest."""
    projects: int
    """All there are."""
    counts: list[ProjectCount]


def fullest(infos: list[str]) -> Memory | None:
    """Of servers that say this of their memory."""
    servers = [Memory(int(fields["used_memory"]), int(fields["maxmemory"])) for fields in map(info_fields, infos)]
    return max(
        servers, key=lambda server: (server.used / server.limit if server.limit else 0, server.used), default=None
    )


class OverviewRead:
    def __init__(self, calls: Calls, projects: Projects, tasks: Tasks) -> None:
        self._calls = calls
        self._projects = projects
        self._tasks = tasks
        self._shared = SharedRead(self._read, duty=_DUTY, longest_rest=_LONGEST_REST)

    async def get(self) -> Overview:
        """Raises :class:`BrokerError` when the store does not answer."""
        return await self._shared.get()

    async def _read(self) -> Overview:
        memory = fullest(await self._calls.info("memory"))
        projects = [project async for project in self._projects.ids()]
        counts: list[ProjectCount] = []
        shown = iter(projects[:MOST])
        while some := list(islice(shown, _TOGETHER)):
            found = await asyncio.gather(*map(self._count, some))
            counts += (count for count in found if count is not None)
        return Overview(memory, len(projects), counts)

    async def _count(self, project: Listed) -> ProjectCount | None:
        """None of a project that was deleted meanwhile."""
        try:
            stats = await self._tasks.stats(project.id)
        except BrokerError as error:
            if error.code != "not_found":
                raise
            return None
        return ProjectCount(project, stats, await self._tasks.oldest(project.id) if stats.waiting else None)
