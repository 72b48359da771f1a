"""Which projects have something to do, so that neither a get of any project nor a sweep asks all of them.

The directory keeps two sets: ``active``, projects of which tasks may be had now, and ``look``, when each is to be
looked at. A project's slot cannot write there. So the scripts that let tasks be had where none could tell the caller,
who notes it; looking at a project finds what is due there, and takes it off the sets when nothing is. What a crash
loses between the two is found by a slow round over all projects (``broker/sweeper.py``).
"""

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

from broker.errors import BrokerError, rate_limited
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Argument, Arguments, Calls

_LEASE = 5.0
"""Seconds after which a project is looked at again whose process has died meanwhile."""

_PAGE = 100
"""Projects of each kind that one read for a get of any project gives."""

_LOOK_AGAIN = 0.25
"""Seconds between two looks at a project in which a get of any found nothing, in each process."""

_MOST_KEPT = 10_000


class Due(NamedTuple):
    """What there is to do in a project."""

    overdue: bool
    outbox: bool
    expired: bool
    drains: bool
    promote: bool
    snapshot: bool
    notices: bool


class Limit(NamedTuple):
    """The rate of a project is used up."""

    revision: int
    """Of the configuration that has the rate."""
    until: float
    """By the monotonic clock."""

    def refusal(self) -> BrokerError:
        """Of a get that would be refused because of it."""
        return rate_limited(max(0.001, self.until - time.monotonic()))


class Candidate(NamedTuple):
    """A project where a worker may find a task."""

    project: int
    revision: int
    limit: Limit | None
    """What is known to hold it up now."""


class Active:
    def __init__(self, calls: Calls, keys: Keys, snapshot_interval: float) -> None:
        self._calls = calls
        self._keys = keys
        self._interval = round(snapshot_interval * 1000)
        self._limits: dict[int, Limit] = {}
        """Projects whose rate is used up."""
        self._looked: dict[int, float] = {}
        self.now = ""

    async def due(self, project: int) -> Due:
        """What there is to do, as :meth:`look`; the directory is not told before the next look."""
        return (await self._due(project))[0]

    async def look(self, project: int) -> Due:
        """What there is to do; the directory is told whether tasks may be had, and when to look again."""
        due, active, epoch, *waits = await self._due(project)
        await self._note(project, epoch, "1" if active else "", *("" if wait < 0 else wait for wait in waits))
        return due

    async def _due(self, project: int) -> tuple[Due, int, int, int, int]:
        """Besides: whether tasks may be had, the epoch, ms until to look again and until others may be had, or -1."""
        *due, active, epoch, wait, starts = await self._calls.call(
            "due", self._keys.project(project), [self.now, self._interval]
        )
        return Due(*map(bool, due)), active, epoch, wait, starts

    async def _note(self, project: int, epoch: int, *state: Argument) -> None:
        await self._calls.call("active_note", self._keys.directory, [project, epoch, *state, self.now])

    async def look_if_possible(self, project: int) -> None:
        """After something was done that may not fail any more: what is lost here a sweep finds."""
        with suppress(BrokerError):
            await self.look(project)

    async def note(self, project: int, epoch: int) -> None:
        """A script has let tasks be had, and answered this epoch. If it cannot be noted now, a sweep finds it."""
        if epoch:
            with suppress(BrokerError):
                await self._note(project, epoch, "1", 0, "")

    async def take(self, limit: int) -> tuple[list[int], float | None]:
        """Projects to look at now, which no other process takes meanwhile; and the seconds until there is another."""
        args: Arguments = [self.now, limit, round(_LEASE * 1000)]
        wait, *projects = await self._calls.call("look_take", self._keys.directory, args)
        return [int(project) for project in projects], None if wait < 0 else wait / 1000

    async def next_of_round(self, count: int) -> list[int]:
        """The next projects of a round through all of them, which all processes share."""
        return [int(id) for id in await self._calls.call("round_take", self._keys.directory, [count])]

    async def look_at_all(self) -> None:
        """All that are to be looked at some time are to be looked at now: the clock was set back."""
        await self._calls.call("look_all", self._keys.directory)

    async def ids(self) -> tuple[set[int], set[int]]:
        """All projects of which tasks may be had now, and the public ones among them."""
        keys = self._keys.active, self._keys.active_public
        every, public = [await self._calls.command("ZRANGE", key, 0, -1) for key in keys]
        return set(map(int, every)), set(map(int, public))

    async def candidates(self, worker: int) -> AsyncIterator[list[Candidate]]:
        """Projects where the worker may find a task, best priority first, in pages."""
        page, more = 0, True
        while more:
            args: Arguments = [worker, page, _PAGE, self.now]
            more, *found = await self._calls.call("active_list", self._keys.directory, args)
            pairs = zip(map(int, found[::2]), map(int, found[1::2]), strict=True)
            yield [Candidate(id, revision, self._limit(id, revision)) for id, revision in pairs]
            page += 1

    def limit(self, found: Candidate, delay: float) -> None:
        """A get of any project was told to wait so many seconds for the rate of this one."""
        if len(self._limits) >= _MOST_KEPT:
            self._limits.clear()
        self._limits[found.project] = Limit(found.revision, time.monotonic() + delay)

    async def found_nothing(self, project: int) -> None:
        """A get of any project found no task there: perhaps none can be had any more."""
        now = time.monotonic()
        if self._looked.get(project, 0) > now - _LOOK_AGAIN:
            return
        if len(self._looked) >= _MOST_KEPT:
            self._looked.clear()
        self._looked[project] = now
        await self.look_if_possible(project)

    def _limit(self, project: int, revision: int) -> Limit | None:
        found = self._limits.get(project)
        if found is not None and (found.revision != revision or found.until <= time.monotonic()):
            del self._limits[project]
            return None
        return found
