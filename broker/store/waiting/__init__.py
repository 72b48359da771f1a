"""Lets a get wait until there is a task.

The scripts that add a task, or put one back, publish that on a channel of its project while somebody waits for it
(``lua/include/wake.lua``). Each process subscribes to these channels once, and wakes as many of its waiters as there
are tasks (``wait_queue.py``); when the rest of groups ends, the process that promotes them wakes its own waiters
first, and the others are notified of what is left. A woken waiter asks the store like any other request, and waits
again when it finds nothing. Each process also reads once a second what is waiting in the projects concerned: a lost
message only causes a delay.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any

from broker.background import supervised
from broker.errors import BrokerError
from broker.store.active import Active
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Calls
from broker.store.redis.subscription import Subscription
from broker.store.tasks import Tasks
from broker.store.waiting.wait_queue import WaitQueues
from broker.store.waiting.waiter import Waiter, WaitQueue

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between reads of the projects; more if a read takes long, so that reads take a tenth of the time at most."""

_NOTIFY = 20.0
"""Seconds for which a project publishes its tasks after a read; at least four reads. Renewed after half of that."""

_AT_ONCE = 100
"""Waiters that one read of a project wakes at most."""

_TOGETHER = 50
"""Projects read together."""

_PROMOTE = 0.02
"""Minimum seconds between two promotions of a project, on average."""

_PROMOTED = 100
"""Groups and delayed tasks that one promotion takes: 3 ms if all are due at once."""

_CONNECT = 0.5
"""Seconds to wait for the subscription."""

_CHANNEL = re.compile(r"\{(?:directory|project:(\d+))\}:wake$")


class Waiters:
    def __init__(self, calls: Calls, keys: Keys, tasks: Tasks, active: Active) -> None:
        self.queues = WaitQueues()
        self._tasks = tasks
        self._active = active
        self._subscription = Subscription(calls, keys.wakes, self._on_message)
        self._all_until = 0.0
        """Until when all projects publish tasks, for waiters of any project; by the clock of the event loop."""
        self._reading_all = asyncio.Lock()
        self._notify = _NOTIFY
        self._background: list[asyncio.Task[None]] = []
        self._jobs: set[asyncio.Task[None]] = set()

    def listens(self, project: int) -> bool:
        """Whether a waiter of this project can enter at once, because the project publishes its tasks already."""
        awaited = self.queues.projects.get(project)
        told = awaited is not None and awaited.notified_until >= asyncio.get_running_loop().time()
        return told and self._subscription.active.is_set()

    async def enter(self, project: int, granted: Iterable[int] = ()) -> Waiter:
        """A waiter in a queue; project 0 for any. From now on it misses no task. Raises :class:`BrokerError`."""
        waiter = self.queues.enter(project, granted)
        try:
            await self._listen()
            await self._prepare(waiter.queue)
        except BaseException:
            self.queues.leave(waiter)
            raise
        return waiter

    async def close(self) -> None:
        self.queues.end_all()
        for awaited in self.queues.projects.values():
            awaited.end_promotion()
        tasks = [*self._background, *self._jobs]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_message(self, channel: str, message: str) -> None:
        match = _CHANNEL.search(channel)
        if match is not None and match[1] is None:
            self._on_active(*map(int, message.split()))
        elif match is not None and (project := int(match[1])) in self.queues.projects:
            fresh, voted, *milliseconds = map(int, message.split())
            self.queues.project(project).has_votes |= voted > 0
            self.queues.notify(project, fresh, voted)
            for until_start in milliseconds:
                self._promote_in(project, until_start / 1000)

    def _on_active(self, project: int, public: int) -> None:
        """The project has tasks now: reads it for waiters of any project."""
        if project in self.queues.granted or (public and self.queues.anywhere):
            self._begin(self._read_if_possible(project))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def _promote_in(self, project: int, seconds: float) -> None:
        """Promotes the project's groups and delayed tasks in so many seconds, unless that is done earlier."""
        awaited, loop = self.queues.project(project), asyncio.get_running_loop()
        if awaited.promotion is not None and awaited.promotion.when() <= loop.time() + seconds:
            return
        awaited.end_promotion()
        pause = max(seconds, random.uniform(0.5, 1.5) * _PROMOTE)  # noqa: S311
        awaited.promotion = loop.call_later(pause, self._begin_promotion, project)

    def _begin_promotion(self, project: int) -> None:
        if (awaited := self.queues.projects.get(project)) is not None:
            awaited.promotion = None
            self._begin(self._promote(project))

    async def _promote(self, project: int) -> None:
        """Wakes as many waiters as there are tasks; other processes are notified of the rest. The first process is
        random.
        """
        with suppress(BrokerError):
            more, next_due, own = await self._tasks.promote(project, _PROMOTED, self.queues.waiting_for(project))
            if project in self.queues.projects:
                self.queues.notify(project, own, 0)
                if more or next_due is not None:
                    self._promote_in(project, 0 if more else next_due or 0)

    async def _listen(self) -> None:
        if not self._background:
            self._background = [
                supervised("listening to the store", self._subscription.listen_for_ever),
                supervised("reading what workers wait for", self._read_for_ever, INTERVAL),
            ]
        if not self._subscription.active.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._subscription.active.wait(), _CONNECT)

    async def _prepare(self, queue: WaitQueue) -> None:
        """Makes the projects of this queue publish their tasks."""
        clock = asyncio.get_running_loop().time
        if queue.project:
            awaited = self.queues.project(queue.project)
            async with awaited.reading:
                if awaited.notified_until < clock():
                    await self._read(queue.project)
            return
        async with self._reading_all:
            if self._all_until < clock():
                self._all_until = clock() + 2 * INTERVAL
                await self._read_all(await self._concerned())
            elif not queue.prepared:
                active, _ = await self._active.ids()
                mine = queue.granted & active
                await self._read_all([it for it in mine if self.queues.project(it).notified_until < clock()])
            queue.prepared = True

    async def _read_for_ever(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                await self._read_all(await self._concerned())
            except BrokerError as error:
                log.debug("cannot read what workers wait for: %s", error.message)
            took = time.monotonic() - begun
            pause = max(INTERVAL, 9 * took)
            self._notify = max(_NOTIFY, 4 * (took + pause))
            if self.queues.anywhere:
                self._all_until = asyncio.get_running_loop().time() + pause + INTERVAL
            self.queues.remove_unused()
            await asyncio.sleep(pause)

    async def _concerned(self) -> list[int]:
        """Projects for whose tasks somebody waits."""
        found = set(self.queues.in_project)
        if self.queues.anywhere:
            active, public = await self._active.ids()
            found |= public | (active & self.queues.granted.keys())
        return sorted(found)

    async def _read_all(self, projects: list[int]) -> None:
        for start in range(0, len(projects), _TOGETHER):
            some = projects[start : start + _TOGETHER]
            for error in await asyncio.gather(*map(self._read, some), return_exceptions=True):
                if isinstance(error, BaseException) and not isinstance(error, BrokerError):
                    raise error

    async def _read_if_possible(self, project: int) -> None:
        with suppress(BrokerError):
            await self._read(project)

    async def _read(self, project: int) -> None:
        """Reads what is waiting in a project, and wakes waiters. Raises ``not_found`` and ``unavailable``."""
        awaited, begun, notify = self.queues.project(project), asyncio.get_running_loop().time(), self._notify
        try:
            found = await self._tasks.awaited(project, notify)
        except BrokerError as error:
            if error.code == "not_found" and (queue := self.queues.in_project.get(project)):
                # They ask the store, and learn that the project was deleted.
                awaited.end_pause()
                awaited.paused, awaited.rate = False, 0
                self.queues.notify(project, queue.count, 0)
            raise
        if awaited.rate != found.assign_rate:
            awaited.end_pause()
        awaited.public, awaited.paused, awaited.rate = found.public, found.paused, found.assign_rate
        awaited.notified_until, awaited.has_votes = begun + notify / 2, found.voted > 0
        self.queues.notify(project, min(found.fresh, _AT_ONCE), min(found.voted, 1))
        if found.next_due is not None:
            self._promote_in(project, found.next_due)
