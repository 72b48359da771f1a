"""Events for a project's ``notify_url``: noted in the project's slot, and taken from there to be sent.

The script that detects an event notes it. It stays until it was sent or a day has passed, so it is sent at least once,
even if a process dies.
"""

import asyncio
from typing import NamedTuple

from broker.store.active import Active
from broker.store.monitoring import TOTALS
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls

_TAKEN = 10
"""Events that one step takes."""

_LEASE = 60.0
"""Seconds after which an event is taken again, if its process has not reported an outcome."""

_KEPT = 86_400.0
"""Seconds after which an event is given up."""

_WAITING = 100
"""Events that may wait in a process to be sent; others stay in the store."""

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 3600.0
"""Seconds until the second attempt, doubled for each further one, and their maximum."""


class Notice(NamedTuple):
    id: str
    project: int
    event: str
    """finished, failing or stalled."""
    time: int
    """Unix seconds."""
    tries: int
    """Attempts before this one; -1: the event was given up."""
    stats: dict[str, object]
    """Tasks in each state when it happened, and in ``counters`` totals."""


class Notices:
    def __init__(self, calls: Calls, keys: Keys, active: Active) -> None:
        self._calls = calls
        self._keys = keys
        self._active = active
        self.taken: asyncio.Queue[Notice] = asyncio.Queue()
        """Events that this process is to send."""
        self.now = ""

    async def take(self, project: int) -> None:
        """Notes new events, and puts those that are to be sent now into ``taken``, unless that is full."""
        if self.taken.qsize() >= _WAITING:
            return
        times: Arguments = [round(seconds * 1000) for seconds in (_LEASE, _KEPT)]
        args: Arguments = [self.now, _TAKEN, *times, *TOTALS]
        rows = await self._calls.call("notices_take", self._keys.project(project), args)
        for id, event, time, tries, numbers in rows:
            self.taken.put_nowait(Notice(id, project, event, time, tries, _stats(numbers)))

    async def sent(self, notice: Notice) -> None:
        await self._tried(notice, "")

    async def failed(self, notice: Notice) -> None:
        """It is tried again later."""
        wait = min(_FIRST_WAIT * 2 ** min(notice.tries, 20), _LONGEST_WAIT)
        await self._tried(notice, round(wait * 1000))

    async def _tried(self, notice: Notice, wait: int | str) -> None:
        args: Arguments = [self.now, notice.id, wait]
        await self._calls.call("notice_tried", self._keys.project(notice.project), args)
        await self._active.look_if_possible(notice.project)


def _stats(text: str) -> dict[str, object]:
    words = text.split()
    numbers = list(zip(words[::2], map(int, words[1::2]), strict=True))
    # A total may have the name of a state: states come first.
    return {**dict(numbers[:5]), "counters": dict(numbers[5:])}
