"""Gets as many tasks of one project as there is room for, calls the function with each, and queues the results."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from broker.client.calls import Backoff
from broker.client.clients import AsyncClient
from broker.client.credentials import SharedLock
from broker.client.handler import Ended, Handler
from broker.client.heartbeat import Heartbeat, same_get
from broker.client.outcome import given_back, outcome
from broker.client.pace import Pace
from broker.client.release_queue import ReleaseQueue
from broker.client.slots import Slots
from broker.client.types import Fail, Refused, Release, Task, Unreachable

log = logging.getLogger("broker.client")

_MOST = 1000
"""Tasks of one get."""

_SOON = 0.5
"""Seconds. Without a long poll, an answer without a task that comes sooner is followed by a pause."""


class Shared(NamedTuple):
    """What the consumers of a worker share.

    ``lock``: None if leftovers must not be touched. ``wait``: seconds of a long poll. ``lease``: seconds for which a
    task is held.
    """

    client: AsyncClient
    heartbeat: Heartbeat
    release_queue: ReleaseQueue
    lock: SharedLock | None
    wait: int
    lease: int


@dataclass(eq=False)
class _Work:
    task: Task
    running: "asyncio.Task[None]"
    begun: bool = False
    call: "asyncio.Future[Ended] | None" = None


class Consumer:
    """Works on the tasks of one project.

    Leftovers are tasks that this worker holds and does not work on. Those of an earlier run are given back; those of a
    get whose answer was lost are resumed.
    """

    def __init__(self, handler: Handler, shared: Shared) -> None:
        self._handler = handler
        self._client, self._heartbeat, self._release_queue = shared.client, shared.heartbeat, shared.release_queue
        self._shared = shared
        worker = shared.client.worker
        self._name = f"worker {worker.id} ({worker.alias})" if worker else "nobody"
        self._freed = asyncio.Event()
        self._slots = Slots(handler.concurrency, f"project {handler.project}", self._freed)
        self._pace = Pace(handler.project)
        self._backoff = Backoff()
        self._blocked_by = ""
        self._perhaps_got = False
        self._began_alone = False
        self._suspects: set[int] = set()
        """Tasks that an earlier run has left: one of them may have crashed it."""
        self._suspect = asyncio.Semaphore()
        self.works: dict[int, _Work] = {}

    async def run(self) -> None:
        """Runs until it is cancelled. Raises :class:`Refused` when repeating would not help."""
        await self._persist(self._enter)
        while True:
            await self._persist(self._get)

    async def _persist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeats a step until it is done."""
        while True:
            least = 0.0
            try:
                await step()
                self._backoff.reset()
                return
            except Refused:
                raise
            except Unreachable as error:
                least = error.delay
            except Exception:  # for lack of memory, say
                log.exception("%s: an error in the client: trying again", self._name)
            self._perhaps_got = True
            await asyncio.sleep(self._backoff.pause(least))

    async def _enter(self) -> None:
        """Requests access, and gives back leftovers. This counts as a reclaim, so that ``max_reclaims`` stops a task
        that crashes its worker each time.
        """
        await self._client.request_access(self._handler.project, submit=self._handler.submit)
        while leftovers := await self._leftovers():
            log.info("%s gives back %d tasks of an earlier run", self._name, len(leftovers))
            # In random order: a task that crashes the program must not always come first.
            random.shuffle(leftovers)
            self._suspects.update(task.id for task in leftovers)
            returned = await self._client.give_back([task.id for task in leftovers])
            if not any(returned):
                break
        self._suspect = asyncio.Semaphore(max(1, len(self._suspects) // 2))
        self._began_alone = self._shared.lock is not None and self._shared.lock.alone()
        self._perhaps_got = False

    async def _get(self) -> None:
        if self._perhaps_got:
            await self._take_up_leftovers()
            self._perhaps_got = False
        await self._room()
        await self._release_queue.until_few_submits(self._handler.project)
        await self._pace.after_fails()
        room = await self._room()
        began = monotonic()
        tasks = await self._release_queue.take_along(self._handler.project, room) or await self._ask(room)
        for task in tasks:
            self._begin(task)
        at_once = monotonic() - began < (self._shared.wait / 2 or _SOON)
        await self._pace.after_get(found=bool(tasks), at_once=at_once)

    async def _room(self) -> int:
        """Waits until there is room, and returns for how many tasks."""
        while (room := self._slots.usable and self._slots.usable + self._handler.prefetch - len(self.works)) <= 0:
            self._freed.clear()
            await self._freed.wait()
        return min(room, _MOST)

    async def _ask(self, room: int) -> list[Task]:
        project, shared = self._handler.project, self._shared
        try:
            tasks = await self._client.get_many(project, count=room, wait=shared.wait, hold=shared.lease)
        except Refused as refused:
            if refused.code == "denied":
                where = f"{self._client.url}/ui/projects/{project}/access"
                self._warn_once(f"{self._name} waits until a manager lets it into project {project}: {where}")
            elif refused.code == "worker_paused":
                self._warn_once(f"{self._name} is paused until an admin resumes it")
            else:
                raise
            return []
        if self._blocked_by:
            log.warning("%s may get tasks of project %d now", self._name, project)
            self._blocked_by = ""
        return tasks

    def _warn_once(self, text: str) -> None:
        if text != self._blocked_by:
            log.warning("%s", text)
        self._blocked_by = text

    async def _leftovers(self) -> list[Task]:
        if self._shared.lock is None:
            return []
        await self._release_queue.settle(self._handler.project)
        # Compared before and after the call, because tasks are released meanwhile; and by their gets, because a task
        # whose release is being sent may have been assigned to this worker again.
        before = self._heartbeat.held()
        held = await self._client.assigned(self._handler.project)
        known = (before, self._heartbeat.held())
        leftovers = [task for task in held if not any(same_get(task, mine.get(task.id)) for mine in known)]
        # Checked last: a program that starts after the answer holds none of these.
        return leftovers if leftovers and self._shared.lock.alone() else []

    async def _take_up_leftovers(self) -> None:
        """Resumes the tasks of a get without an answer. If other programs use the file, they may be their leftovers."""
        leftovers = await self._leftovers()
        if not leftovers:
            return
        if not self._began_alone:
            await self._client.give_back([task.id for task in leftovers])
            return
        log.info("%s resumes %d tasks that it already holds", self._name, len(leftovers))
        for task in leftovers:
            self._begin(task, leftover=True)

    async def give_back_leftovers(self) -> None:
        for task in await self._leftovers():
            self._release_queue.put(task, given_back(task))

    def give_back(self, *, unbegun: bool = False) -> None:
        """Releases all tasks, or only those whose function was not called yet, so that other workers get them."""
        for work in list(self.works.values()):
            if not (unbegun and work.begun):
                self._drop(work)
                self._release_queue.put(work.task, given_back(work.task))

    def _begin(self, task: Task, *, leftover: bool = False) -> None:
        self._release_queue.discard(task.id)
        # A task that was reclaimed and assigned again is still being worked on.
        if task.id not in self.works:
            work = self._work_on_suspect if task.id in self._suspects else self._work
            self.works[task.id] = _Work(task, asyncio.create_task(work(task)))
        self._heartbeat.add(task, lambda: self._lose(task), leftover=leftover)

    def _lose(self, task: Task) -> None:
        if work := self.works.get(task.id):
            log.warning("task %d of project %d is not held any more: its work ends", task.id, task.project.id)
            self._drop(work)

    def _drop(self, work: _Work) -> None:
        del self.works[work.task.id]
        work.running.cancel()
        self._freed.set()

    async def _work_on_suspect(self, task: Task) -> None:
        """At most half of them run at a time, and their releases are sent before the next ones begin.

        So a task that crashes the program does not always stop the same others: with each run they are fewer.
        """
        async with self._suspect:
            await self._work(task)
            await self._release_queue.until_sent(task.id)
        self._suspects.discard(task.id)

    async def _work(self, task: Task) -> None:
        """Works on a task, and releases it however that ends, unless it was dropped."""
        work = self.works[task.id]
        release = given_back(task)
        try:
            await self._slots.take()
            work.begun = True
            try:
                release = await self._released(work)
            finally:
                self._slots.free(work.call)
        finally:
            if self.works.get(task.id) is work:
                del self.works[task.id]
                self._pace.note(task, release)
                self._release_queue.put(task, release)
            self._freed.set()

    async def _released(self, work: _Work) -> Release:
        try:
            work.call = self._handler.call(work.task)
        except Exception as error:
            log.warning("task %d is given back, as its function could not begin: %r", work.task.id, error)
            return given_back(work.task)
        timeout = self._handler.timeout
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            await asyncio.wait([work.call], timeout=None if deadline is None else max(0, deadline - monotonic()))
            if not work.call.done():
                return outcome(work.task, Ended(error=Fail(f"its function had not ended after {timeout:g} s")))
            if work.call.cancelled():
                return outcome(work.task, Ended(error=asyncio.CancelledError()))
            if work.call.exception() is not None:
                return given_back(work.task)  # a Ctrl-C, which ends the event loop
            ended = work.call.result()
            try:
                rest = self._handler.goes_on(ended)
            except Exception as error:
                return outcome(work.task, Ended(error=error))
            if rest is None:
                return outcome(work.task, ended)
            work.call = rest
