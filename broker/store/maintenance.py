"""Maintenance of whole projects: it begins with one step, however many tasks there are, and continues in small steps.

:meth:`Maintenance.begin_drain` sets the tasks aside, so that no worker gets them. An operation that puts tasks back
answers when they wait again; one that deletes tasks answers at once, and continues in the background. If this process
dies, the sweeper finishes the work.

:meth:`Maintenance.run_matching` sets nothing aside: its steps look for the tasks that match a filter.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

from broker.errors import BrokerError
from broker.store.chain import Chain
from broker.store.counting import Counting
from broker.store.project_tasks import TaskFilter
from broker.store.projects import Projects
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.tasks import CHUNK

Matching = Literal["retry_tasks", "remove_tasks"]

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a call waits for tasks to be put back, and that a sweep spends on a deleted project."""

_MATCHING_PATIENCE = 5.0
"""Seconds that a call waits for tasks that match a filter."""

_MOST_MATCHING = 16
"""Such calls in progress in a project at most: a search for a task that maintenance has set aside asks each call."""


class Maintenance:
    def __init__(self, calls: Calls, keys: Keys, projects: Projects, chain: Chain, counting: Counting) -> None:
        self._calls = calls
        self._keys = keys
        self._projects = projects
        self._chain = chain
        self._active = projects.active
        self._counting = counting
        self.now = ""
        self._background: dict[int, asyncio.Task[None]] = {}
        """By project, the work that continues after the answer."""

    async def close(self) -> None:
        """Ends the background work between two steps; a sweeper continues it."""
        tasks = list(self._background.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self, project: int, operation: str) -> int:
        """Runs reset_failed, reclaim_assigned or hard_reset. Returns the number of tasks concerned."""
        affected = await self.begin_drain(project, operation)
        await self._active.look_if_possible(project)
        if operation == "hard_reset":
            self._go_on(project, self._drain_all)
        else:
            await self._drain_all(project)
        return affected

    async def remove_group(self, project: int, group: str) -> int:
        """Removes the waiting and delayed tasks of a group, and returns how many. Raises as :meth:`run_matching`."""
        delayed = 0
        if await self._calls.command("EXISTS", self._keys.delayed(project)):
            # Delayed tasks first: those that become waiting meanwhile are then removed as well.
            delayed, _ = await self.run_matching(project, "remove_tasks", TaskFilter("delayed", group=group))
        waiting: int = await self._calls.call("remove_group", self._keys.project(project), [self.now, group])
        if waiting:
            await self._drain_all(project)
        return delayed + waiting

    async def run_matching(self, project: int, operation: Matching, filter: TaskFilter) -> tuple[int, bool]:
        """Retries or removes the tasks that match. Returns how many so far, and whether the work continues.

        Raises ``not_found``, and ``rate_limited`` when too many such calls are in progress.
        """
        call = await self.begin_matching(project, operation, filter)
        deadline = time.monotonic() + _MATCHING_PATIENCE
        affected, pending = 0, True
        while pending and time.monotonic() < deadline:
            _, _, changed, pending = await self._step(project, CHUNK, call)
            affected = max(affected, changed)
        if pending:
            self._go_on(project, self._drain_all)
        await self._active.look_if_possible(project)
        return affected, pending

    async def delete(self, manager: int, project: int) -> None:
        """Deletes the project, its tasks, its roles, and the chains to it. Raises ``not_found``, ``denied``.

        The project is deleted once it is removed from the directory; the sweeper finishes what fails after that.
        """
        await self._projects.delete(manager, project)
        try:
            await self._projects.unchain(project)
            await self._begin_delete(project)
        except BrokerError as error:
            log.warning("the rest of project %d is deleted later: %s", project, error.message)
        else:
            self._go_on(project, self.finish_delete)

    async def finish_delete(self, project: int, seconds: float = PATIENCE) -> None:
        """Deletes what is left of a project that was removed from the directory, for so many seconds at most. Safe
        to repeat.

        Its closed tasks are delivered to its chained project first; the deletion waits until that can take them.
        """
        await self._projects.unchain(project)
        await self._begin_delete(project)
        drained = await self._drain_all(project, seconds)
        await self._chain.flush_if_possible(project)
        if drained and not (await self._chain.outbox(project, 1))[1]:
            await self._projects.deleted(project)

    async def _drain_all(self, project: int, seconds: float = PATIENCE) -> bool:
        """Drains for so many seconds at most. Returns whether nothing is left."""
        deadline = time.monotonic() + seconds
        more = True
        while more and time.monotonic() < deadline:
            _, more = await self.drain(project, CHUNK)
        await self._active.look_if_possible(project)
        return not more

    def _go_on(self, project: int, work: Callable[[int, float], Awaitable[object]]) -> None:
        """Starts ``work`` in the background, after the earlier background work of this project."""
        before = self._background.get(project)

        async def in_turn() -> None:
            if before is not None:
                await asyncio.wait([before])
            try:
                await work(project, math.inf)
            except BrokerError as error:
                log.warning("maintenance of project %d goes on later: %s", project, error.message)
            finally:
                if self._background.get(project) is task:
                    del self._background[project]

        task = asyncio.create_task(in_turn())
        self._background[project] = task

    async def begin_drain(self, project: int, operation: str) -> int:
        """Begins reset_failed, reclaim_assigned, hard_reset or delete. Returns the number of tasks concerned."""
        affected: int = await self._calls.call("drain_begin", self._keys.project(project), [operation])
        return affected

    async def begin_matching(self, project: int, operation: Matching, filter: TaskFilter) -> str:
        """Begins the call, and returns its number. Raises as :meth:`run_matching`."""
        args: Arguments = [operation, *filter, _MOST_MATCHING]
        call: str = await self._calls.call("matching_begin", self._keys.project(project), args)
        await self._active.look_if_possible(project)
        return call

    async def _begin_delete(self, project: int) -> None:
        """Does nothing if it was done before. First adds what workers closed there to their totals."""
        for step in (self._counting.closed, partial(self.begin_drain, operation="delete")):
            try:
                await step(project)
            except BrokerError as error:
                if error.code != "not_found":
                    raise

    async def drain(self, project: int, limit: int) -> tuple[int, bool]:
        """Processes up to ``limit`` tasks of maintenance calls. Returns how many, and whether there are more."""
        done, more, _, _ = await self._step(project, limit)
        return done, more

    async def _step(self, project: int, limit: int, call: str = "") -> tuple[int, bool, int, bool]:
        """As :meth:`drain`; also how many tasks one matching ``call`` has changed, and whether it continues."""
        args: Arguments = [self.now, limit, call]
        done, more, changed, pending = await self._calls.call("drain_step", self._keys.project(project), args)
        return done, bool(more), changed, bool(pending)
