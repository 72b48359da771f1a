"""Consumes the tasks of one project: gets as many as there is room for, calls the function, queues its results."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from inspect import iscoroutinefunction
from threading import Thread
from time import monotonic
from typing import NamedTuple

from broker.client.calls import Backoff
from broker.client.clients import AsyncClient
from broker.client.credentials import SharedLock
from broker.client.heartbeat import Heartbeat
from broker.client.release_queue import ReleaseQueue
from broker.client.types import Fail, Refused, Release, Result, Skip, Task, Unreachable

log = logging.getLogger("broker.client")

Function = Callable[[Task], int | None] | Callable[[Task], Awaitable[int | None]]

_MOST = 1000
"""Tasks of one get."""

_LONGEST = 315_360_000
"""Seconds of a delay: ten years."""

_LONGEST_MESSAGE = 1000
"""Characters of why a task failed: the broker keeps no more."""

_SOON = 0.5
"""Seconds. Without a long poll, a pause follows an answer that comes sooner and has no task."""


@dataclass(frozen=True)
class Handler:
    """A function and its options. ``submit``: whether it needs access to submit to its project."""

    function: Function
    project: int
    concurrency: int
    prefetch: int
    submit: bool

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.prefetch < 0:
            raise ValueError("concurrency: 1 or more; prefetch: 0 or more")


class _Work(NamedTuple):
    task: Task
    running: "asyncio.Task[None]"


class Consumer:
    """``lock``: None when leftovers must be left alone. ``wait``: seconds of a long poll.

    Leftovers are tasks that this worker holds and does not work on. Those of an earlier run are given back; those of a
    get whose answer was lost are resumed.
    """

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
        self._name = f"worker {client.worker.id} ({client.worker.alias})" if client.worker else "nobody"
        self._wait = wait
        self._slots = asyncio.Semaphore(handler.concurrency)
        self._freed = asyncio.Event()
        self._skipped = False
        self._backoff = Backoff(0.2)
        self._blocked_by = ""
        self._begun: set[int] = set()
        self.works: dict[int, _Work] = {}

    async def run(self) -> None:
        """Runs until it is cancelled. Raises :class:`Refused` when waiting would not help."""
        await self._client.request_access(self._handler.project, submit=self._handler.submit)
        await self._give_back_of_earlier_runs()
        while True:
            room = await self._room()
            began = monotonic()
            try:
                taken_along = await self._release_queue.take_along(self._handler.project, room)
                tasks = taken_along or await self._get(room)
            except Unreachable:
                await asyncio.sleep(self._backoff.pause())
                await self._resume_leftovers()
                continue
            for task in tasks:
                self._begin(task)
            skipped, self._skipped = self._skipped, False
            if tasks and not skipped:
                self._backoff.reset()
            elif skipped or monotonic() - began < (self._wait / 2 or _SOON):
                # A broker without long polls, or with a task that everybody skips, would be asked without end.
                await asyncio.sleep(self._backoff.pause())

    async def give_back_leftovers(self) -> None:
        for task in await self._leftovers():
            self._release_queue.put(task, Release(task.id, Result.SKIP))

    def give_back(self, *, unbegun: bool = False) -> None:
        """Releases all tasks, or only those whose function was not called yet, so that other workers get them."""
        for work in list(self.works.values()):
            if not (unbegun and work.task.id in self._begun):
                self._drop(work.task)
                self._release_queue.put(work.task, Release(work.task.id, Result.SKIP))

    async def _leftovers(self) -> list[Task]:
        if self._lock is None:
            return []
        await self._release_queue.settle(self._handler.project)
        held = await self._client.assigned(self._handler.project)
        leftovers = [task for task in held if task.id not in self._heartbeat]
        # Checked last: a program that starts after the answer holds none of these.
        return leftovers if leftovers and self._lock.alone() else []

    async def _give_back_of_earlier_runs(self) -> None:
        """It is counted: a task that ends its worker each time would otherwise do so for ever."""
        while leftovers := await self._leftovers():
            log.info("%s gives back %d tasks of an earlier run", self._name, len(leftovers))
            await self._client.give_back([task.id for task in leftovers])

    async def _resume_leftovers(self) -> None:
        leftovers = await self._leftovers()
        if leftovers:
            log.info("%s resumes %d tasks that it already holds", self._name, len(leftovers))
        for task in leftovers:
            self._begin(task, leftover=True)

    async def _room(self) -> int:
        """Waits until there is room, and returns for how many tasks."""
        most = self._handler.concurrency + self._handler.prefetch
        while len(self.works) >= most:
            self._freed.clear()
            await self._freed.wait()
        return min(most - len(self.works), _MOST)

    async def _get(self, room: int) -> list[Task]:
        project = self._handler.project
        try:
            tasks = await self._client.get_many(project, count=room, wait=self._wait)
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
            log.warning("%s may take tasks of project %d now", self._name, project)
            self._blocked_by = ""
        return tasks

    def _warn_once(self, text: str) -> None:
        if text != self._blocked_by:
            log.warning("%s", text)
        self._blocked_by = text

    def _begin(self, task: Task, *, leftover: bool = False) -> None:
        self._release_queue.discard(task.id)
        self._heartbeat.add(task, lambda: self._lose(task), leftover=leftover)
        # A task that was reclaimed and assigned again is still being worked on.
        if task.id not in self.works:
            self.works[task.id] = _Work(task, asyncio.create_task(self._work(task)))

    async def _work(self, task: Task) -> None:
        async with self._slots:
            self._begun.add(task.id)
            try:
                release = await self._outcome(task)
            finally:
                self._begun.discard(task.id)
        if self._is_current(task):
            del self.works[task.id]
            self._freed.set()
            self._release_queue.put(task, release)

    async def _outcome(self, task: Task) -> Release:
        function = self._handler.function
        try:
            found = await (function(task) if iscoroutinefunction(function) else _in_thread(function, task))
            return _release(task, Result.OK, verification=_checked(found), again_in=task.comes_again)
        except Skip as skip:
            # A delay keeps this task away; so does a block of its group, but that has to arrive first, and a public
            # project may ignore it.
            self._skipped |= skip.delay <= 0
            if task.group and task.group_blocked > 0 and not task.project.public:
                self._backoff.reset()
            log.info("task %d of project %d was skipped: %s", task.id, task.project.id, skip)
            return _release(task, Result.SKIP, delay=skip.delay)
        except Fail as fail:
            log.info("task %d of project %d failed: %s", task.id, task.project.id, fail)
            return _release(task, Result.FAIL, message=_sendable(fail), delay=fail.delay)
        except asyncio.CancelledError:
            if not self._is_current(task):
                raise
            log.error("task %d of project %d failed: its function was cancelled from within", task.id, task.project.id)
            return _release(task, Result.FAIL, message="its function was cancelled from within")
        except Exception as error:
            log.exception("task %d of project %d failed", task.id, task.project.id)
            message = ": ".join(filter(None, (type(error).__name__, _sendable(error))))
            return _release(task, Result.FAIL, message=message)

    def _is_current(self, task: Task) -> bool:
        """Whether the calling work still counts: its task was neither lost nor given back."""
        work = self.works.get(task.id)
        return work is not None and work.running is asyncio.current_task()

    def _lose(self, task: Task) -> None:
        if task.id in self.works:
            log.warning("task %d of project %d is not held any more: its work ends", task.id, task.project.id)
            self._drop(task)

    def _drop(self, task: Task) -> None:
        self.works.pop(task.id).running.cancel()
        self._freed.set()


def _release(
    task: Task, result: Result, *, verification: int = 0, message: str = "", delay: float = 0, again_in: float = 0
) -> Release:
    delay, again_in = (max(0, min(seconds, _LONGEST)) for seconds in (delay, again_in))
    message = message[:_LONGEST_MESSAGE]
    return Release(task.id, result, verification, task.group_delay, task.group_blocked, message, delay, again_in)


def _sendable(error: Exception) -> str:
    """The text of an error that may be of any library: not all have one, nor one of whole characters."""
    try:
        return str(error).encode(errors="replace").decode()
    except Exception:
        return ""


def _checked(found: object) -> int:
    """The verification that a function returned."""
    if found is None:
        return 0
    if type(found) is not int or not -(2**63) <= found < 2**63:
        raise TypeError(
            f"a task's function returned {type(found).__name__}: return a signed 64-bit int or None; "
            "broker.client.verification makes one of a text or bytes"
        )
    return found


async def _in_thread(function: Callable[[Task], object], task: Task) -> object:
    """As ``asyncio.to_thread``, whose threads would keep the program from ending while a function hangs."""
    future: Future[object] = Future()
    context = copy_context()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = context.run(function, task)
        except BaseException as error:
            # The event loop gives StopIteration and SystemExit another meaning.
            usual = isinstance(error, Exception) and not isinstance(error, StopIteration)
            future.set_exception(error if usual else RuntimeError(f"a task's function raised {error!r}"))
        else:
            future.set_result(result)

    Thread(target=run, name=f"task-{getattr(function, '__name__', '')}", daemon=True).start()
    return await asyncio.wrap_future(future)
