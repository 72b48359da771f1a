"""Which projects have something to do, so that a get of any project and a sweep need not ask all projects.

The directory keeps two sets: ``active``, the projects with tasks that may be assigned now, and ``look``, when to look
at each project next. A project's scripts cannot write there, because the directory is another slot. A script that makes
tasks available tells its caller, who notes the project. A look at a project finds what is due, and updates both sets.
If a process dies in between, a slow round over all projects finds it (``broker/sweeper.py``).
"""

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

from broker.errors import BrokerError, rate_limited
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Argument, Arguments, Calls

_LEASE = 5.0
"""Seconds after which another process may look at a project, if the one that took it has died."""

_PAGE = 100
"""Projects of each kind in one page of candidates."""

_LOOK_AGAIN = 0.25
"""Seconds between two looks of a process at a project in which a get of any project found nothing."""

_MOST_KEPT = 10_000


class Due(NamedTuple):
    """What is due in a project."""

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
    """Of the configuration with this rate."""
    until: float
    """By the monotonic clock."""

    def refusal(self) -> BrokerError:
        """The refusal of a get that needs this rate."""
        return rate_limited(max(0.001, self.until - time.monotonic()))


class Candidate(NamedTuple):
    """A project where a worker may find a task."""

    project: int
    revision: int
    limit: Limit | None
    """Set while its rate is known to be used up."""


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
        """As :meth:`look`, without an update of the directory."""
        return (await self._due(project))[0]

    async def look(self, project: int) -> Due:
        """What is due. Notes in the directory whether tasks may be assigned, and when to look again."""
        due, active, epoch, *waits = await self._due(project)
        await self._note(project, epoch, "1" if active else "", *("" if wait < 0 else wait for wait in waits))
        return due

    async def _due(self, project: int) -> tuple[Due, int, int, int, int]:
        """Also: whether tasks may be assigned, the epoch, and the ms until the next look and until more tasks, or
        -1.
        """
        *due, active, epoch, wait, starts = await self._calls.call(
            "due", self._keys.project(project), [self.now, self._interval]
        )
        return Due(*map(bool, due)), active, epoch, wait, starts

    async def _note(self, project: int, epoch: int, *state: Argument) -> None:
        await self._calls.call("active_note", self._keys.directory, [project, epoch, *state, self.now])

    async def look_if_possible(self, project: int) -> None:
        """After a change that is done: errors are ignored, since a sweep looks as well."""
        with suppress(BrokerError):
            await self.look(project)

    async def note(self, project: int, epoch: int) -> None:
        """Notes that a script has made tasks available; it returned this epoch. If that fails, a sweep finds them."""
        if epoch:
            with suppress(BrokerError):
                await self._note(project, epoch, "1", 0, "")

    async def take(self, limit: int) -> tuple[list[int], float | None]:
        """Takes projects that are to be looked at now; and the seconds until there is another, None if there is
        none.
        """
        args: Arguments = [self.now, limit, round(_LEASE * 1000)]
        wait, *projects = await self._calls.call("look_take", self._keys.directory, args)
        return [int(project) for project in projects], None if wait < 0 else wait / 1000

    async def next_of_round(self, count: int) -> list[int]:
        """The next projects of the round over all projects, which all processes share."""
        return [int(id) for id in await self._calls.call("round_take", self._keys.directory, [count])]

    async def look_at_all(self) -> None:
        """Makes all scheduled looks due now: the clock was set back."""
        await self._calls.call("look_all", self._keys.directory)

    async def ids(self) -> tuple[set[int], set[int]]:
        """All projects with tasks that may be assigned now, and the public ones among them."""
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
        """Remembers that the rate of this project is used up for ``delay`` seconds."""
        if len(self._limits) >= _MOST_KEPT:
            self._limits.clear()
        self._limits[found.project] = Limit(found.revision, time.monotonic() + delay)

    async def found_nothing(self, project: int) -> None:
        """Looks at a project in which a get of any project found no task: perhaps none is waiting any more."""
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
