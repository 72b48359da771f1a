"""One function of a worker: the tasks of its project are taken as there is room, and each becomes a result."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from inspect import iscoroutinefunction
from threading import Thread
from time import monotonic
from typing import NamedTuple, TypeVar

from broker.client.calls import Backoff
from broker.client.clients import AsyncClient
from broker.client.credentials import SharedLock
from broker.client.heartbeat import Heartbeat
from broker.client.release_queue import ReleaseQueue
from broker.client.types import Fail, Refused, Result, Skip, Task, Unreachable

log = logging.getLogger("broker.client")

A = TypeVar("A")
R = TypeVar("R")

Function = Callable[[Task], int | None] | Callable[[Task], Awaitable[int | None]]

_MOST = 1000
"""Tasks of one get."""

_SOON = 0.5
"""Seconds: an answer that comes earlier, without a task and without a long poll, is followed by a pause."""


@dataclass(frozen=True)
class Handler:
    """A function, and how it is to be called. ``submit``: whether it needs that right on its project."""

    function: Function
    project: int
    concurrency: int
    prefetch: int
    submit: bool


class _Work(NamedTuple):
    task: Task
    running: "asyncio.Task[None]"


class Consumer:
    """``lock``: None when what this worker holds already is not to be taken up. ``wait``: seconds of a long poll."""

    def __init__(
        self,
        handler: Handler,
        client: AsyncClient,
        heartbeat: Heartbeat,
        release_queue: ReleaseQueue,
        *,
        lock: SharedLock | None,
        wait: int,
    ) -> None:
        self._handler = handler
        self._client = client
        self._heartbeat = heartbeat
        self._release_queue = release_queue
        self._lock = lock
        self._who = f"worker {client.worker.id} ({client.worker.alias})" if client.worker else "nobody"
        self._wait = wait
        self._slots = asyncio.Semaphore(handler.concurrency)
        self._freed = asyncio.Event()
        self._skipped = False
        self._said = ""
        self._begun: set[int] = set()
        self.works: dict[int, _Work] = {}

    async def run(self) -> None:
        """Until it is cancelled. Raises :class:`Refused` when waiting would not help."""
        await self._client.request_access(self._handler.project, submit=self._handler.submit)
        await self._take_up()
        backoff = Backoff(0.2)
        while True:
            room = await self._room()
            began = monotonic()
            try:
                tasks = await self._take(room)
            except Unreachable:
                await asyncio.sleep(backoff.pause())
                await self._take_up()
                continue
            for task in tasks:
                self._begin(task)
            skipped, self._skipped = self._skipped, False
            if tasks and not skipped:
                backoff.reset()
            elif skipped or monotonic() - began < (self._wait / 2 or _SOON):
                # Without this, a broker that knows no long polls, or a task that nobody wants, would be asked for ever.
                await asyncio.sleep(backoff.pause())

    async def give_back_leftovers(self) -> None:
        for task in await self._leftovers():
            self._release_queue.put(task, Result.SKIP)

    async def _leftovers(self) -> list[Task]:
        """What this worker holds and nobody works on: an earlier run left it, or the answer of a get was lost."""
        if self._lock is None:
            return []
        found = await self._client.assigned(self._handler.project)
        leftovers = [task for task in found if task.id not in self._heartbeat]
        # Asked last: who came after the answer holds nothing of it.
        return leftovers if leftovers and self._lock.alone() else []

    def give_back(self, *, unbegun: bool = False) -> None:
        """ReleaseQueue what is in work, or what is not yet, so that another worker gets it."""
        for work in list(self.works.values()):
            if not (unbegun and work.task.id in self._begun):
                self._drop(work.task)
                self._release_queue.put(work.task, Result.SKIP)

    async def _room(self) -> int:
        """For how many tasks; waits until there is any."""
        most = self._handler.concurrency + self._handler.prefetch
        while len(self.works) >= most:
            self._freed.clear()
            await self._freed.wait()
        return min(most - len(self.works), _MOST)

    async def _take(self, room: int) -> list[Task]:
        project = self._handler.project
        try:
            tasks = await self._client.get_many(project, count=room, wait=self._wait)
        except Refused as refused:
            if refused.code == "denied":
                where = f"{self._client.url}/ui/projects/{project}/access"
                self._say(f"{self._who} waits until a manager lets it into project {project}: {where}")
            elif refused.code == "worker_paused":
                self._say(f"{self._who} is paused, and waits until an admin lets it go on")
            elif refused.status >= 500:
                self._say(str(refused))
            else:
                raise
            return []
        if self._said:
            log.warning("%s may take tasks of project %d now", self._who, project)
            self._said = ""
        return tasks

    def _say(self, text: str) -> None:
        if text != self._said:
            log.warning("%s", text)
        self._said = text

    async def _take_up(self) -> None:
        leftovers = await self._leftovers()
        if leftovers:
            log.info("%d tasks that this worker holds already are taken up", len(leftovers))
        for task in leftovers:
            self._begin(task, taken_up=True)

    def _begin(self, task: Task, *, taken_up: bool = False) -> None:
        self._release_queue.came_again(task.id)
        self._heartbeat.add(task, lambda: self._lose(task), taken_up=taken_up)
        # One that was reclaimed and came again is still in work.
        if task.id not in self.works:
            self.works[task.id] = _Work(task, asyncio.create_task(self._work(task)))

    async def _work(self, task: Task) -> None:
        async with self._slots:
            self._begun.add(task.id)
            try:
                result, verification = await self._outcome(task)
            finally:
                self._begun.discard(task.id)
        if self._is_ours(task):
            del self.works[task.id]
            self._freed.set()
            self._release_queue.put(task, result, verification)

    async def _outcome(self, task: Task) -> tuple[Result, int]:
        function = self._handler.function
        try:
            found = await (function(task) if iscoroutinefunction(function) else _in_thread(function, task))
            return Result.OK, _checked(found)
        except Skip as skip:
            self._skipped = True
            log.info("task %d of project %d was skipped: %s", task.id, task.project.id, skip)
            return Result.SKIP, 0
        except Fail as fail:
            log.info("task %d of project %d failed: %s", task.id, task.project.id, fail)
        except asyncio.CancelledError:
            if not self._is_ours(task):
                raise
            log.error("task %d of project %d failed: its function was cancelled from within", task.id, task.project.id)
        except Exception:
            log.exception("task %d of project %d failed", task.id, task.project.id)
        return Result.FAIL, 0

    def _is_ours(self, task: Task) -> bool:
        """Whether the work that asks is still wanted: its task was neither lost nor given back."""
        work = self.works.get(task.id)
        return work is not None and work.running is asyncio.current_task()

    def _lose(self, task: Task) -> None:
        if task.id in self.works:
            log.warning("task %d of project %d is not held any more: its work ends", task.id, task.project.id)
            self._drop(task)

    def _drop(self, task: Task) -> None:
        self.works.pop(task.id).running.cancel()
        self._freed.set()


def _checked(found: object) -> int:
    """What a function returned, as a verification."""
    if found is None:
        return 0
    if type(found) is not int or not -(2**63) <= found < 2**63:
        raise TypeError(
            f"a task's function returned {type(found).__name__}: return a signed 64-bit int or None; "
            "broker.client.verification makes one of a text or bytes"
        )
    return found


def check_arguments(handler: Handler, taken: Iterable[int]) -> None:
    if handler.concurrency < 1 or handler.prefetch < 0:
        raise ValueError("concurrency: 1 or more; prefetch: 0 or more")
    if handler.project in taken:
        raise ValueError(f"project {handler.project} has a function already")


async def _in_thread(function: Callable[[A], R], argument: A) -> R:
    """What it returns. Its thread ends with the program: a function that hangs holds nobody up who wants to stop."""
    future: Future[R] = Future()
    context = copy_context()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = context.run(function, argument)
        except BaseException as error:
            # StopIteration and SystemExit mean something else to the event loop.
            mild = isinstance(error, Exception) and not isinstance(error, StopIteration)
            future.set_exception(error if mild else RuntimeError(f"a task's function raised {error!r}"))
        else:
            future.set_result(result)

    Thread(target=run, name=f"task-{getattr(function, '__name__', '')}", daemon=True).start()
    return await asyncio.wrap_future(future)
