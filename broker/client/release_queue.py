"""The results of a worker on their way to the broker: many in one call, each sent until it is answered."""

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
"""Releases of one call: two scripts in the store."""


@dataclass(frozen=True, eq=False)
class _Queued:
    task: Task
    release: Release


class ReleaseQueue:
    def __init__(self, client: AsyncClient, heartbeat: Heartbeat) -> None:
        self._client = client
        self._heartbeat = heartbeat
        self._queued: dict[int, _Queued] = {}
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def __len__(self) -> int:
        return len(self._queued)

    def put(self, task: Task, result: Result, verification: int = 0) -> None:
        self._queued[task.id] = _Queued(
            task, Release(task.id, result, verification, task.group_delay, task.group_blocked)
        )
        self._emptied.clear()
        self._filled.set()

    def discard(self, task_id: int) -> None:
        """Drops the release of a task that was assigned again: the release arrived, and must not be sent twice."""
        self._queued.pop(task_id, None)

    async def run(self) -> None:
        """Sends what is queued, until it is cancelled."""
        backoff = Backoff()
        while True:
            await self._filled.wait()
            await asyncio.sleep(_GATHER)
            batch = list(islice(self._queued.values(), _MOST))
            try:
                if batch:
                    await self._send(batch)
                backoff.reset()
            except Unreachable:
                await asyncio.sleep(backoff.pause())
                await self._remove_carried_out(batch)
            if not self._queued:
                self._filled.clear()
                self._emptied.set()

    async def until_empty(self) -> None:
        await self._emptied.wait()

    async def _send(self, batch: list[_Queued]) -> None:
        """Raises :class:`Unreachable` when the releases may have been carried out."""
        try:
            await self._client.release_many([queued.release for queued in batch])
        except Unreachable:
            raise
        except ClientError as error:
            log.error("%d tasks could not be released, and come back after their deadlines: %s", len(batch), error)
        self._remove(batch)

    async def _remove_carried_out(self, batch: list[_Queued]) -> None:
        """A fail or a skip must not arrive twice: between the two, this worker may have been assigned the task again.

        So it asks the broker which tasks this worker still holds since the same get. An OK may arrive twice.
        """
        unsure = [queued for queued in batch if queued.release.result is not Result.OK]
        held = {
            task.id: task
            for project in {queued.task.project.id for queued in unsure}
            for task in await self._client.assigned(project)
        }
        self._remove(queued for queued in unsure if not _same_get(queued.task, held.get(queued.task.id)))

    def _remove(self, done: Iterable[_Queued]) -> None:
        for queued in done:
            if self._queued.get(queued.task.id) is queued:
                del self._queued[queued.task.id]
                self._heartbeat.remove(queued.task.id)


def _same_get(task: Task, held: Task | None) -> bool:
    return held is not None and (held.retries, held.assign_time) == (task.retries, task.assign_time)
