"""The heartbeat of a worker: it extends the deadlines of the tasks that the worker holds."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from broker.client.calls import Backoff
from broker.client.clients import AsyncClient
from broker.client.types import Refused, Task, Unreachable

log = logging.getLogger("broker.client")

_PART = 1 / 3
"""Share of its time after which a task is extended: two more attempts are left."""

_MOST = 1000
"""Tasks of one call."""

_LATE = 2.0
"""Seconds."""

_ADVICE = "a function that blocks must not be async"


@dataclass(eq=False)
class _Held:
    task: Task
    seconds: int
    renew_at: float
    when_lost: Callable[[], None]


class Heartbeat:
    """Extends a task from its get until its release is answered. ``lease``: seconds for which a task is held.

    A task with a ``max_assign_time`` is held no longer than that.
    """

    def __init__(self, client: AsyncClient, lease: int) -> None:
        self._client = client
        self._lease = lease
        self._held: dict[int, _Held] = {}
        self._added = asyncio.Event()

    def held(self) -> dict[int, Task]:
        """The tasks that it extends now, by id."""
        return {task_id: held.task for task_id, held in self._held.items()}

    def add(self, task: Task, when_lost: Callable[[], None], *, leftover: bool) -> None:
        """``leftover``: from an earlier get. The time left is not known, so the task is extended at once."""
        seconds = min(self._lease, task.max_assign_time or self._lease)
        left = 0 if leftover else seconds * _PART
        self._held[task.id] = _Held(task, seconds, _now() + left, when_lost)
        self._added.set()

    def remove(self, task_id: int) -> None:
        self._held.pop(task_id, None)

    async def run(self) -> None:
        """Extends tasks when they are due, until it is cancelled."""
        backoff = Backoff()
        while True:
            self._added.clear()
            try:
                await self._extend_due()
                backoff.reset()
            except Unreachable:
                await asyncio.sleep(backoff.pause())
            except Exception:  # for lack of memory, say
                log.exception("the deadlines of tasks could not be extended: trying again")
                await asyncio.sleep(backoff.pause())
            else:
                # A new task may be due earlier.
                next_due = min((held.renew_at for held in self._held.values()), default=None)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(next_due):
                        await self._added.wait()
                if next_due is not None and (late := _now() - next_due) > _LATE:
                    log.warning("the event loop was blocked for %.0f s, and no task was extended: %s", late, _ADVICE)

    async def _extend_due(self) -> None:
        due: dict[int, list[_Held]] = {}
        for held in self._held.values():
            if held.renew_at <= _now():
                due.setdefault(held.seconds, []).append(held)
        for seconds, tasks in due.items():
            left = iter(tasks)
            while some := list(islice(left, _MOST)):
                await self._extend(some, seconds)

    async def _extend(self, tasks: list[_Held], seconds: int) -> None:
        began = _now()
        try:
            extended = await self._client.extend([held.task.id for held in tasks], seconds, patience=0)
        except Refused as error:
            log.error("the deadlines of %d tasks could not be extended: %s", len(tasks), error)
            extended = [True] * len(tasks)
        for held, still_held in zip(tasks, extended, strict=True):
            held.renew_at = began + seconds * _PART
            # Meanwhile it may have been released, and even assigned again.
            if not still_held and self._held.get(held.task.id) is held:
                del self._held[held.task.id]
                held.when_lost()


def same_get(task: Task, other: Task | None) -> bool:
    """Whether both are the same task from the same get: it may have been released and assigned again."""
    return other is not None and (task.id, task.retries, task.round, task.assign_time) == (
        other.id,
        other.retries,
        other.round,
        other.assign_time,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
