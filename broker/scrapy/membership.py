"""The worker of a spider, and its access to the project."""

import asyncio
import logging
import math
from pathlib import Path

from broker.client import AsyncClient, Credentials, Refused
from broker.client.credentials import SharedLock
from broker.scrapy.options import Options

log = logging.getLogger(__name__)


class Membership:
    def __init__(self, options: Options, *, alias: str) -> None:
        """Raises :class:`ValueError` if BROKER_URL is not the address of a broker."""
        self._options = options
        self._alias = alias
        self._lock: SharedLock | None = None
        self.client = AsyncClient(options.url, patience=math.inf)
        self.entered = False

    async def enter(self) -> None:
        """Waits for a broker that is unavailable. Raises :class:`ClientError` if it refuses."""
        await self._identify()
        if self._options.join_token:
            await self.client.join(self._options.project, self._options.join_token)
        else:
            await self.client.request_access(self._options.project, assign=True, submit=True)
        self.entered = True
        if self.client.worker is not None:
            log.info("worker %d at %s, project %d", self.client.worker.id, self.client.url, self._options.project)
        await self._warn_of_repeats()

    def alone(self) -> bool:
        """Whether no other program is the same worker now."""
        return self._lock is None or self._lock.alone()

    async def close(self) -> None:
        await self.client.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def _identify(self) -> None:
        if not self._options.worker_file:
            self.client.worker = await self.client.create_worker(self._alias)
            return
        file = Path(self._options.worker_file)
        self.client.worker = await asyncio.to_thread(Credentials.load, file)
        if self.client.worker is None:
            await self.client.identify(file, alias=self._alias)
        self._lock = SharedLock(file)

    async def _warn_of_repeats(self) -> None:
        try:
            project = await self.client.project(self._options.project)
        except Refused:
            return  # a hidden project is shown only to managers
        if not project.remember_closed:
            log.warning(
                "project %d (%s) has remember_closed 0: pages are crawled again when they are found again, "
                "start pages as well; set it to -1 for a crawl that ends",
                project.id,
                project.name,
            )
