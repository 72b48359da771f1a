"""Waits for tasks, in a process: who waits is woken by word of the scripts, and by a look each second.

Scripts tell of tasks that come (``lua/include/wake.lua``), on one subscription per process; whom that wakes,
``lines.py`` knows. Who is woken asks the store as any other request does, and waits on when it finds nothing. The
projects are looked at once a second as well, so nothing depends on what is told.
"""

import asyncio
import logging
import re
import time
from collections.abc import Iterable
from contextlib import suppress

from broker.background import supervised
from broker.errors import BrokerError
from broker.store.projects import Projects
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Calls
from broker.store.redis.subscription import Subscription
from broker.store.tasks import Tasks
from broker.store.waiting.wait_queue import Lines
from broker.store.waiting.waiter import Line, Place

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between looks at the projects; more when one takes long: a tenth of the time at most."""

_TOLD = 20.0
"""Seconds for which a project is asked to tell of tasks, or four looks; a look asks anew when half of them are over."""

_AT_ONCE = 100
"""Places that a look at a project wakes at most."""

_TOGETHER = 50
"""Projects looked at together."""

_CONNECT = 0.5
"""Seconds to wait for the subscription."""

_CHANNEL = re.compile(r"\{project:(\d+)\}:wake$")


class Waiters:
    def __init__(self, calls: Calls, keys: Keys, tasks: Tasks, projects: Projects) -> None:
        self.lines = Lines()
        self._tasks = tasks
        self._projects = projects
        self._subscription = Subscription(calls, keys.wakes, self._hear)
        self._around_until = 0.0
        """Until when all projects tell of tasks for those that wait anywhere, by the loop's clock."""
        self._looking_around = asyncio.Lock()
        self._told = _TOLD
        self._background: list[asyncio.Task[None]] = []

    async def enter(self, project: int, granted: Iterable[int] = ()) -> Place:
        """A place in line; project 0 for any. From here on no task is missed. Raises :class:`BrokerError`."""
        place = self.lines.enter(project, granted)
        try:
            await self._listen()
            await self._open(place.line)
        except BaseException:
            self.lines.leave(place)
            raise
        return place

    async def close(self) -> None:
        self.lines.end_all()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _hear(self, channel: str, message: str) -> None:
        match = _CHANNEL.search(channel)
        if match is not None and int(match[1]) in self.lines.prospects:
            fresh, voted = map(int, message.split())
            self.lines.tell(int(match[1]), fresh, voted)

    async def _listen(self) -> None:
        if not self._background:
            self._background = [
                supervised("listening to the store", self._subscription.listen_for_ever),
                supervised("the look at what workers wait for", self._look_for_ever, LOOK),
            ]
        if not self._subscription.active.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._subscription.active.wait(), _CONNECT)

    async def _open(self, line: Line) -> None:
        """Sees to it that the projects tell of tasks."""
        clock = asyncio.get_running_loop().time
        if line.project:
            prospect = self.lines.prospect(line.project)
            async with prospect.opening:
                if prospect.told_until < clock():
                    await self._look_at(line.project)
            return
        async with self._looking_around:
            if self._around_until < clock():
                self._around_until = clock() + 2 * LOOK
                await self._look_around(await self._concerned())
            else:
                await self._look_around([it for it in line.granted if self.lines.prospect(it).told_until < clock()])

    async def _look_for_ever(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                await self._look_around(await self._concerned())
            except BrokerError as error:
                log.debug("no look at what workers wait for: %s", error.message)
            took = time.monotonic() - begun
            pause = max(LOOK, 9 * took)
            self._told = max(_TOLD, 4 * (took + pause))
            if self.lines.anywhere:
                self._around_until = asyncio.get_running_loop().time() + pause + LOOK
            self.lines.forget()
            await asyncio.sleep(pause)

    async def _concerned(self) -> list[int]:
        """Projects that somebody waits for."""
        found = {*self.lines.in_project, *self.lines.granted}
        if self.lines.anywhere:
            found |= {it.id async for it in self._projects.ids() if it.public}
        return sorted(found)

    async def _look_around(self, projects: list[int]) -> None:
        for start in range(0, len(projects), _TOGETHER):
            some = projects[start : start + _TOGETHER]
            for error in await asyncio.gather(*map(self._look_at, some), return_exceptions=True):
                if isinstance(error, BaseException) and not isinstance(error, BrokerError):
                    raise error

    async def _look_at(self, project: int) -> None:
        """Raises ``not_found`` and ``unavailable``."""
        prospect, begun, told = self.lines.prospect(project), asyncio.get_running_loop().time(), self._told
        try:
            awaited = await self._tasks.awaited(project, told)
        except BrokerError as error:
            if error.code == "not_found" and (line := self.lines.in_project.get(project)):
                # They ask, and hear it.
                prospect.release()
                prospect.paused, prospect.rate = False, 0
                self.lines.tell(project, line.count, 0)
            raise
        if prospect.rate != awaited.assign_rate:
            prospect.release()
        prospect.public, prospect.paused, prospect.rate = awaited.public, awaited.paused, awaited.assign_rate
        prospect.told_until = begun + told / 2
        self.lines.tell(project, min(awaited.fresh, _AT_ONCE), min(awaited.voted, 1))
