"""Wakes requests that wait for a task.

Scripts tell of tasks that come (``lua/include/wake.lua``), on one subscription per process; one task wakes one place,
in order of arrival. Who is woken asks the store as any other request does, and waits on when it finds nothing. The
projects are looked at once a second as well, so nothing depends on what is told.
"""

import asyncio
import itertools
import logging
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress

from broker.errors import BrokerError
from broker.store.calls import Calls
from broker.store.keys import Keys
from broker.store.places import Line, Place, Wake
from broker.store.projects import Projects
from broker.store.subscription import Subscription
from broker.store.tasks import Tasks

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between looks at the projects; more when one takes long: a tenth of the time at most."""

_TOLD = 20.0
"""Seconds for which a project is asked to tell of tasks; a look asks anew when half of them are over."""

_AT_ONCE = 100
"""Places that a look at a project wakes at most."""

_PASSES = 32
"""Places that are tried in turn for a task that holds votes, since it may not be for each of them."""

_TOGETHER = 50
"""Projects looked at together."""

_LEFT = 1000
"""Words kept that came while all were asking."""

_TICK = 0.01
"""Seconds of a rate that are let through together, as the scripts do (``lua/include/rate.lua``)."""

_CONNECT = 0.5
"""Seconds to wait for the subscription."""

_CHANNEL = re.compile(r"\{project:(\d+)\}:wake$")
_ANYWHERE = 0


class Waiters:
    def __init__(self, calls: Calls, keys: Keys, tasks: Tasks, projects: Projects) -> None:
        self._tasks = tasks
        self._projects = projects
        self._subscription = Subscription(calls, keys.wakes, self._hear)
        self._lines: dict[int, Line] = defaultdict(Line)
        self._granted: Counter[int] = Counter()
        """Projects of those that wait anywhere."""
        self._asking = 0
        self._left: deque[Wake] = deque()
        self._numbers = itertools.count(1)
        self._background: list[asyncio.Task[None]] = []
        self.closed = False

    async def enter(self, project: int, granted: Iterable[int] = ()) -> Place:
        """A place in line; project 0 for any. From here on no task is missed. Raises :class:`BrokerError`."""
        place = Place(project, frozenset(granted), next(self._numbers))
        line = self._lines[project]
        line.count += 1
        line.put(place)
        self._granted.update(place.granted)
        if self.closed:
            place.end()
        try:
            await self._listen()
            await self._open(place)
        except BaseException:
            self.leave(place)
            raise
        return place

    def leave(self, place: Place) -> None:
        if not place.waiting:
            self._asking -= 1
        place.waiting, place.ended = False, True
        self._lines[place.project].count -= 1
        self._granted.subtract(place.granted)
        if not self._asking:
            self._left.clear()

    def found(self, wake: Wake | None) -> None:
        """Who was woken for this has a task."""
        if wake is None:
            return
        line = self._lines[wake.project]
        if line.paced:
            self._hold(wake.project, line, 1 / line.rate if line.rate else 0)

    def refused(self, place: Place, wake: Wake | None, delay: float | None) -> None:
        """It has found nothing, and waits on. ``delay``: seconds for which the rate lets nobody through.

        When the task may have been one that it has voted on, it waits behind the others, and they are tried now.
        """
        project = wake.project if wake else place.project
        line = self._lines[project]
        line.paced = delay is not None
        if delay is not None and project != _ANYWHERE:
            self._hold(project, line, delay)
        if wake is None:
            return
        if wake.passes:
            place.number = next(self._numbers)
        self._asking -= 1
        place.wait_on()
        self._lines[place.project].put(place)
        left, self._left = self._left, deque()
        for word in left:
            self._give(word._replace(before=next(self._numbers)))
        if wake.passes:
            self._give(wake._replace(passes=wake.passes - 1), keep=False)

    def end_all(self) -> None:
        """Ends all waits at once, and those to come."""
        self.closed = True
        for line in self._lines.values():
            for place in line.all():
                place.end()

    async def close(self) -> None:
        self.end_all()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _hold(self, project: int, line: Line, delay: float) -> None:
        if not line.held:
            line.held = True
            asyncio.get_running_loop().call_later(max(delay, _TICK), self._let_through, project, line)

    def _let_through(self, project: int, line: Line) -> None:
        line.held = False
        for _ in range(max(1, int(line.rate * _TICK))):
            self._give(Wake(project))

    def _give(self, wake: Wake, *, keep: bool = True) -> bool:
        """Wakes the first that it is for. Whether there was one; else it is kept for those that ask too early."""
        line, anywhere = self._lines[wake.project], self._lines[_ANYWHERE]
        if line.held:
            return False
        firsts = [its.first(wake.project, line.public) for its in (line, anywhere)]
        places = [place for place in firsts if place is not None and place.number < wake.before]
        if places:
            self._asking += 1
            min(places, key=lambda place: place.number).wake(wake)
        elif keep and self._asking and len(self._left) < _LEFT:
            self._left.append(wake)
        return bool(places)

    def _hear(self, channel: str, message: str) -> None:
        project = _CHANNEL.search(channel)
        if project is not None:
            fresh, voted = map(int, message.split())
            self._tell(int(project[1]), fresh, voted)

    def _tell(self, project: int, fresh: int, voted: int) -> None:
        for _ in range(fresh):
            if not self._give(Wake(project)):
                break
        for _ in range(min(voted, _PASSES)):
            self._give(Wake(project, _PASSES // min(voted, _PASSES), next(self._numbers)))

    async def _listen(self) -> None:
        if not self._background:
            listening, looking = self._subscription.listen_for_ever(), self._look_for_ever()
            self._background = [asyncio.create_task(listening), asyncio.create_task(looking)]
        if not self._subscription.active.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._subscription.active.wait(), _CONNECT)

    async def _open(self, place: Place) -> None:
        """Sees to it that the projects tell of tasks."""
        line = self._lines[place.project]
        async with line.opening:
            now = asyncio.get_running_loop().time()
            if place.project:
                if line.told_until < now:
                    await self._look_at(place.project)
                return
            if line.told_until < now:
                line.told_until = now + LOOK
                await self._look_around(await self._concerned())
            else:
                await self._look_around([it for it in place.granted if self._lines[it].told_until < now])

    async def _look_for_ever(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                await self._look_around(await self._concerned())
            except BrokerError as error:
                log.debug("no look at what workers wait for: %s", error.message)
            except Exception:
                log.exception("no look at what workers wait for")
            await asyncio.sleep(max(LOOK, 9 * (time.monotonic() - begun)))

    async def _concerned(self) -> list[int]:
        """Projects that somebody waits for."""
        found = {project for project, line in self._lines.items() if line.count and project != _ANYWHERE}
        anywhere = self._lines[_ANYWHERE]
        if anywhere.count:
            anywhere.told_until = asyncio.get_running_loop().time() + 2 * LOOK
            found |= {it.id async for it in self._projects.ids() if it.public or self._granted[it.id] > 0}
        return sorted(found)

    async def _look_around(self, projects: list[int]) -> None:
        for start in range(0, len(projects), _TOGETHER):
            some = projects[start : start + _TOGETHER]
            for error in await asyncio.gather(*map(self._look_at, some), return_exceptions=True):
                if isinstance(error, BaseException) and not isinstance(error, BrokerError):
                    raise error

    async def _look_at(self, project: int) -> None:
        """Raises ``not_found`` and ``unavailable``."""
        line, begun = self._lines[project], asyncio.get_running_loop().time()
        try:
            awaited = await self._tasks.awaited(project, _TOLD)
        except BrokerError as error:
            if error.code == "not_found":
                # They ask, and hear it.
                self._tell(project, line.count, 0)
            raise
        line.public, line.rate = awaited.public, awaited.assign_rate
        line.told_until = begun + _TOLD / 2
        self._tell(project, min(awaited.fresh, _AT_ONCE), min(awaited.voted, 1))
