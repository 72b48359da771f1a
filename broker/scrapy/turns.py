"""Submits, releases and gets tasks of one project in the background: many in one call, each until it is answered.

The submits of a task are sent before its release: after a crash in between, it comes again, and nothing is lost.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from scrapy import Request

from broker.client import AsyncClient, ClientError, NewTask, Refused, Release, Result, Task, Unreachable
from broker.client.calls import Backoff
from broker.client.heartbeat import Heartbeat
from broker.client.types import RefusedPart, Turn
from broker.scrapy.outbox import Batch, Outbox, Queued

log = logging.getLogger(__name__)

_MOST_HELD = 1000
"""Tasks: ``/task/assigned`` names no more."""

_GATHER = 0.02
"""Seconds to wait for more to send, while there are requests to work on."""

_WAITS = (1, 1, 2, 4)
"""Seconds that a get waits for a task, by how many gets in a row found none."""

_LONGEST_PAUSE = 2.0
"""Maximum seconds before a part that a manager has to allow is tried again."""

_PASSING = {"rate_limited", "unavailable"}
"""Refusals that pass by themselves."""

_FATAL = {"bad_credentials", "not_found"}


class Host(Protocol):
    """The scheduler."""

    def room(self) -> int:
        """For how many tasks there is room."""

    def busy(self) -> bool:
        """Whether it works on requests, so that a call can wait for a moment."""

    def arrived(self) -> None:
        """There are tasks to take."""

    def submitted(self, request: Request, *, duplicate: bool) -> None: ...

    def refused(self, request: Request, why: str) -> None:
        """The broker will never accept this request."""

    def count(self, name: str, by: int = 1) -> None: ...


class Turns:
    """``alone``: whether no other program uses the same worker. ``lease``: seconds for which tasks are held."""

    def __init__(self, client: AsyncClient, project: int, host: Host, *, lease: int, alone: Callable[[], bool]) -> None:
        self._client = client
        self._project = project
        self._host = host
        self._lease = lease
        self._alone = alone
        self._heartbeat = Heartbeat(client, lease)
        self._outbox = Outbox()
        self._held: dict[int, Task] = {}
        self._buffer: deque[Task] = deque()
        self._changed = asyncio.Event()
        self._emptied = asyncio.Event()
        self._poll: asyncio.Task[None] | None = None
        self._backoff = Backoff()
        self._patience = Backoff(0.2, _LONGEST_PAUSE)
        self._lost_get = False
        self._stopping = False
        self._warned = ""
        self._short = False
        """Whether the last get found fewer tasks than it wanted: the next one waits."""
        self._next_get = 0.0
        """No get is sent before this time of the event loop."""
        self._empty = 0
        """Gets in a row that found no task."""

    def submit(self, request: Request, task: NewTask) -> None:
        self._outbox.submit(request, task)
        self._changed.set()

    def release(self, task: Task, release: Release) -> None:
        """Sends it once all that was submitted until now is answered. Nothing happens if the task is not held."""
        if self._held.get(task.id) is task:
            self._outbox.release(task, release)
            self._changed.set()

    def take(self) -> Task | None:
        """A task that has arrived."""
        return self._buffer.popleft() if self._buffer else None

    def wanted(self) -> None:
        """There may be room for more tasks."""
        self._changed.set()

    def give_back_untaken(self) -> None:
        while task := self.take():
            self.release(task, Release(task.id, Result.SKIP))

    def give_back(self) -> None:
        """Gives back all tasks whose release is not in the outbox."""
        self._buffer.clear()
        for task in list(self._held.values()):
            if task not in self._outbox:
                self.release(task, Release(task.id, Result.SKIP))

    @property
    def quiet(self) -> bool:
        """Whether nothing is held, and everything was sent."""
        return not (self._outbox or self._held)

    async def run(self, looked: Callable[[], Awaitable[None]]) -> None:
        """Runs until it is cancelled. Raises :class:`ClientError` if waiting would not help.

        ``looked`` is called after each get that found no task.
        """
        await self._give_back_of_earlier_runs()
        heartbeat = asyncio.create_task(self._heartbeat.run())
        try:
            await self._exchange(looked)
        finally:
            self._emptied.set()
            heartbeat.cancel()
            if self._poll is not None:
                self._poll.cancel()

    async def stop(self, seconds: float) -> None:
        """Gives back what is held, sends what is left, for so long at most. :meth:`run` is cancelled after it."""
        self._stopping = True
        if self._poll is not None:
            self._poll.cancel()
        self.give_back()
        self._changed.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._emptied.wait()
        if self._outbox.submits:
            log.error("%d requests could not be submitted, and are lost", self._outbox.submits)
        if self._held:
            log.warning("%d tasks could not be released: they come back after their leases", len(self._held))

    async def _exchange(self, looked: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._changed.wait()
            if self._host.busy() or self._poll is not None:
                await asyncio.sleep(_GATHER)
            self._changed.clear()
            batch, count = self._outbox.batch(), 0 if self._poll is not None else self._room()
            if self._lost_get or any(queued.unsure for queued in batch.releases):
                await self._settle()
                self._changed.set()
            elif batch or (count and not self._short):
                await self._turn(batch, count)
                self._changed.set()
            elif self._poll is not None and self._poll.done():
                self._poll.result()  # raises
            elif count:
                self._poll = asyncio.create_task(self._get(looked))
                self._poll.add_done_callback(self._polled)
            elif self._stopping and self.quiet and self._poll is None:
                self._emptied.set()

    async def _get(self, looked: Callable[[], Awaitable[None]]) -> None:
        wait = _WAITS[min(self._empty, len(_WAITS) - 1)]
        if await self._turn(Batch(), self._room(), wait):
            return
        await looked()

    def _polled(self, poll: "asyncio.Task[None]") -> None:
        if poll.cancelled():
            self._lost_get = True
            self._poll = None
        elif poll.exception() is None:
            self._poll = None
        self._changed.set()

    def _room(self) -> int:
        if self._stopping or _now() < self._next_get:
            return 0
        return max(0, min(self._host.room() - len(self._buffer), _MOST_HELD - len(self._held)))

    async def _turn(self, batch: Batch, count: int, wait: int = 0) -> bool:
        """Makes one call. Returns whether something was sent or tasks were assigned."""
        began = _now()
        try:
            turn = await self._client.turn(
                self._project,
                releases=[queued.release for queued in batch.releases],
                submits=[submit.task for submit in batch.submits],
                count=min(count, _MOST_HELD),
                wait=wait,
                hold=self._lease,
            )
        except (Unreachable, asyncio.CancelledError) as lost:
            self._lost_get |= count > 0
            for queued in batch.releases:
                queued.unsure = True
            if isinstance(lost, asyncio.CancelledError):
                raise
            await asyncio.sleep(self._backoff.pause())
            return False
        except Refused as refused:
            await self._refused(batch, refused)
            return False
        self._backoff.reset()
        self._note(batch, turn)
        if count:
            self._short = len(turn.tasks) < count
            self._empty = 0 if turn.tasks else self._empty + 1
        await self._pause(turn.refused)
        if count and wait and not turn.tasks and _now() - began < wait / 2:
            await asyncio.sleep(wait / 2)  # a pause of the project, for example, is answered at once
        return bool(batch or turn.tasks)

    def _note(self, batch: Batch, turn: Turn) -> None:
        for submit, outcome in zip(batch.submits, turn.outcomes, strict=False):
            self._outbox.answered(submit)
            self._host.submitted(submit.request, duplicate=outcome is None)
        for queued, updated in zip(batch.releases, turn.updated, strict=False):
            queued.unsure = "releases" in turn.refused
            if not queued.unsure:
                self._drop(queued)
                self._host.count(_RELEASED[queued.release.result] if updated else "lost")
        for task in turn.tasks:
            self._begin(task)

    def _drop(self, queued: Queued) -> None:
        task = queued.task
        self._outbox.done(queued)
        if self._held.get(task.id) is task:
            del self._held[task.id]
            self._heartbeat.remove(task.id)

    def _begin(self, task: Task, *, leftover: bool = False) -> None:
        held = self._held.get(task.id)
        if held is not None:
            if _same_get(held, task):
                return
            self._forget(held)
        self._held[task.id] = task
        self._heartbeat.add(task, lambda: self._lose(task), leftover=leftover)
        self._host.count("assigned")
        if self._stopping:
            self.release(task, Release(task.id, Result.SKIP))
        else:
            self._buffer.append(task)
            self._host.arrived()

    def _lose(self, task: Task) -> None:
        log.warning("task %d is not held any more: its lease ran out, or a manager took it back", task.id)
        self._host.count("lost")
        self._forget(task)

    def _forget(self, task: Task) -> None:
        self._outbox.discard(task.id)
        self._held.pop(task.id, None)
        with suppress(ValueError):
            self._buffer.remove(task)

    async def _settle(self) -> None:
        """Finds out what calls without an answer have done.

        A fail or a skip must not arrive twice: between the two, this worker may have been assigned the task again.
        """
        if self._poll is not None:
            # It must not be carried out after the answer of this call, which may name its tasks.
            self._poll.cancel()
            await asyncio.wait([self._poll])
        try:
            found = {task.id: task for task in await self._client.assigned(self._project)}
        except Refused as refused:
            await self._refused(Batch(), refused)
            return
        self._lost_get = False
        for queued in self._outbox.unsure():
            queued.unsure = False
            if not _same_get(queued.task, found.get(queued.task.id)):
                self._drop(queued)
                self._host.count(_RELEASED[queued.release.result])
        if new := [task for task in found.values() if task.id not in self._held]:
            # Checked last: a program that starts after the answer holds none of these.
            for task in new if self._alone() else ():
                self._begin(task, leftover=True)

    async def _give_back_of_earlier_runs(self) -> None:
        """This counts as a reclaim, so that ``max_reclaims`` stops a task that crashes its program each time."""
        while (left := await self._unless_refused(self._client.assigned(self._project))) and self._alone():
            log.info("%d tasks of an earlier run are given back", len(left))
            await self._client.give_back([task.id for task in left])

    async def _unless_refused(self, call: Awaitable[list[Task]]) -> list[Task]:
        try:
            return await call
        except Refused as refused:
            if refused.code in _FATAL:
                raise
            return []

    async def _refused(self, batch: Batch, refused: Refused) -> None:
        """Nothing of the call was done."""
        if refused.code in _FATAL:
            raise refused
        if refused.status not in {400, 413} or not batch:
            self._warn(str(refused))
            await asyncio.sleep(self._patience.pause())
        elif len(batch.submits) > 1 or (batch.submits and batch.releases):
            self._outbox.one_by_one(batch)
        elif batch.submits:
            self._outbox.answered(batch.submits[0])
            self._host.refused(batch.submits[0].request, refused.reason)
        else:
            log.error("%d tasks could not be released, and come back: %s", len(batch.releases), refused)
            for queued in batch.releases:
                self._drop(queued)

    async def _pause(self, refused: dict[str, RefusedPart]) -> None:
        """Waits until the refused parts may be tried again; a rate of the project says when.

        A refused get does not delay releases and submits.
        """
        if not refused:
            self._warned = ""
            self._patience.reset()
            return
        pause = 0.0
        for name, part in refused.items():
            seconds = self._seconds_after(part)
            if name == "get":
                self._next_get = _now() + seconds
                asyncio.get_running_loop().call_later(seconds, self._changed.set)
            else:
                pause = max(pause, seconds)
        await asyncio.sleep(pause)

    def _seconds_after(self, part: RefusedPart) -> float:
        if part.code in _FATAL:
            raise ClientError(f"the broker refused project {self._project}: {part.message}")
        if part.code in _PASSING:
            return part.rate_limit_delay or 1.0
        self._warn(_explained(self._client, self._project, part))
        return self._patience.pause()

    def _warn(self, text: str) -> None:
        """Logs a refusal once, until there is another one or none."""
        if text != self._warned:
            log.warning("%s", text)
        self._warned = text


_RELEASED = {Result.OK: "released", Result.FAIL: "failed", Result.SKIP: "given_back"}


def _explained(client: AsyncClient, project: int, part: RefusedPart) -> str:
    if part.code == "denied":
        worker = client.worker.id if client.worker else "?"
        return (
            f"worker {worker} waits until a manager grants it access to assign and submit: "
            f"{client.url}/ui/projects/{project}/access"
        )
    if part.code == "worker_paused":
        return "this worker is paused until an admin resumes it"
    return f"the broker refused: {part.message}"


def _same_get(task: Task, held: Task | None) -> bool:
    return held is not None and (held.retries, held.round, held.assign_time) == (
        task.retries,
        task.round,
        task.assign_time,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
