"""The way of results to the broker: many in one call, and each until it is answered."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from broker.client.calls import Backoff
from broker.client.clients import AsyncClient
from broker.client.heartbeat import Heartbeat
from broker.client.types import ClientError, Release, Result, Task, Unreachable

log = logging.getLogger("broker.client")

_GATHER = 0.02
"""Seconds for which a result waits for others."""

_MOST = 1000
"""Of one call: two scripts on the broker's side."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    task: Task
    release: Release


class ReleaseQueue:
    def __init__(self, client: AsyncClient, heartbeat: Heartbeat) -> None:
        self._client = client
        self._heartbeat = heartbeat
        self._waiting: dict[int, _Waiting] = {}
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, task: Task, result: Result, verification: int = 0) -> None:
        self._waiting[task.id] = _Waiting(task, Release(task.id, result, verification))
        self._emptied.clear()
        self._filled.set()

    def came_again(self, task_id: int) -> None:
        """The broker hands the task out again: its release has arrived, and must not be sent a second time."""
        self._waiting.pop(task_id, None)

    async def run(self) -> None:
        """Sends what is put, until it is cancelled."""
        backoff = Backoff()
        while True:
            await self._filled.wait()
            await asyncio.sleep(_GATHER)
            batch = list(islice(self._waiting.values(), _MOST))
            try:
                if batch:
                    await self._send(batch)
                backoff.reset()
            except Unreachable:
                await asyncio.sleep(backoff.pause())
                await self._forget_what_was_done(batch)
            if not self._waiting:
                self._filled.clear()
                self._emptied.set()

    async def until_empty(self) -> None:
        await self._emptied.wait()

    async def _send(self, batch: list[_Waiting]) -> None:
        """Raises :class:`Unreachable` when it is not known what was done."""
        try:
            await self._client.release_many([waiting.release for waiting in batch])
        except Unreachable:
            raise
        except ClientError as error:
            log.error("%d tasks could not be released, and come back after their deadlines: %s", len(batch), error)
        self._forget(batch)

    async def _forget_what_was_done(self, batch: list[_Waiting]) -> None:
        """A fail or a skip must not arrive twice: in between, this worker may have got the task again.

        So the broker is asked what this worker still holds since the same get. An OK may arrive twice.
        """
        unsure = [waiting for waiting in batch if waiting.release.result is not Result.OK]
        held = {
            task.id: task
            for project in {waiting.task.project.id for waiting in unsure}
            for task in await self._client.assigned(project)
        }
        self._forget(waiting for waiting in unsure if not _same_get(waiting.task, held.get(waiting.task.id)))

    def _forget(self, done: Iterable[_Waiting]) -> None:
        for waiting in done:
            if self._waiting.get(waiting.task.id) is waiting:
                del self._waiting[waiting.task.id]
                self._heartbeat.remove(waiting.task.id)


def _same_get(task: Task, held: Task | None) -> bool:
    return held is not None and (held.retries, held.assign_time) == (task.retries, task.assign_time)
