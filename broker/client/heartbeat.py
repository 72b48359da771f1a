"""The tasks that a worker holds: their deadlines are moved for as long as it works on them."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from broker.client.clients import AsyncClient
from broker.client.types import ClientError, Task

log = logging.getLogger("broker.client")

_SURE = 60
"""Seconds that a task has at least when the server's default counts, which nobody tells us: it is an hour, usually."""

_EXTENSION = 600
"""Seconds that such a task is given: it comes back ten minutes after a crash, and a broker may be away as long."""

_PART = 1 / 3
"""Of its time, after which a task is extended: two more attempts are left."""


@dataclass(eq=False)
class _Held:
    id: int
    seconds: int
    renew_at: float
    when_lost: Callable[[], None]


class Heartbeat:
    """From the get of a task until its release was answered."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._held: dict[int, _Held] = {}
        self._added = asyncio.Event()

    def __contains__(self, task_id: int) -> bool:
        return task_id in self._held

    def add(self, task: Task, when_lost: Callable[[], None], *, taken_up: bool) -> None:
        """``taken_up``: from an earlier run. How much time is left is not known, so it is extended at once."""
        seconds = task.max_assign_time or _EXTENSION
        left = 0 if taken_up else (task.max_assign_time or _SURE) * _PART
        self._held[task.id] = _Held(task.id, seconds, _now() + left, when_lost)
        self._added.set()

    def remove(self, task_id: int) -> None:
        self._held.pop(task_id, None)

    async def run(self) -> None:
        """Extends what is due, until it is cancelled."""
        while True:
            self._added.clear()
            due: dict[int, list[_Held]] = {}
            for held in self._held.values():
                if held.renew_at <= _now():
                    due.setdefault(held.seconds, []).append(held)
            for seconds, tasks in due.items():
                await self._extend(tasks, seconds)
            if not due:
                await self._until(min((held.renew_at for held in self._held.values()), default=None))

    async def _until(self, moment: float | None) -> None:
        """Or until a task comes that may be due before."""
        try:
            async with asyncio.timeout_at(moment):
                await self._added.wait()
        except TimeoutError:
            pass

    async def _extend(self, tasks: list[_Held], seconds: int) -> None:
        began = _now()
        try:
            extended = await self._client.extend([held.id for held in tasks], seconds)
        except ClientError as error:
            log.error("the deadlines of %d tasks could not be moved: %s", len(tasks), error)
            extended = [True] * len(tasks)
        for held, ours in zip(tasks, extended, strict=True):
            held.renew_at = began + seconds * _PART
            # It may have been released meanwhile, and perhaps even have come again.
            if not ours and self._held.get(held.id) is held:
                del self._held[held.id]
                held.when_lost()


def _now() -> float:
    return asyncio.get_running_loop().time()
