"""The way of results to the broker: many in one call, and each until it is answered."""

import asyncio
import logging
from itertools import islice

from broker.client.clients import AsyncClient
from broker.client.errors import ClientError, Unreachable
from broker.client.holdings import Holdings
from broker.client.patience import Backoff
from broker.client.types import Release

log = logging.getLogger("broker.client")

_GATHER = 0.02
"""Seconds for which a result waits for others."""

_MOST = 1000
"""Of one call: two scripts on the broker's side."""


class Releases:
    def __init__(self, client: AsyncClient, holdings: Holdings) -> None:
        self._client = client
        self._holdings = holdings
        self._waiting: dict[int, Release] = {}
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, release: Release) -> None:
        self._waiting[release.task_id] = release
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
            try:
                await self._send(list(islice(self._waiting.values(), _MOST)))
                backoff.reset()
            except Unreachable:
                await asyncio.sleep(backoff.pause())
            if not self._waiting:
                self._filled.clear()
                self._emptied.set()

    async def until_empty(self) -> None:
        await self._emptied.wait()

    async def _send(self, batch: list[Release]) -> None:
        """Raises :class:`Unreachable` when it is not known what was done; see :meth:`came_again`."""
        if not batch:
            return
        try:
            await self._client.release_many(batch)
        except Unreachable:
            raise
        except ClientError as error:
            log.error("%d tasks could not be released, and come back after their deadlines: %s", len(batch), error)
        for release in batch:
            if self._waiting.get(release.task_id) is release:
                del self._waiting[release.task_id]
                self._holdings.remove(release.task_id)
