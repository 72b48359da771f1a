"""How many workers get access to a project at once: their requests are accepted together."""

import time
from collections.abc import Sequence

from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Calls
from broker.store.shared_read import rest

_PAGE = 500

_DUTY = 0.3
"""Share of the time while all requests of a project are accepted; others are served in the rest of it."""


class Joining:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys

    async def accept(self, project: int, workers: Sequence[int]) -> int:
        """Accepts the requests of these workers, and answers how many there were. Raises ``not_found``."""
        accepted = 0
        for start in range(0, len(workers), _PAGE):
            accepted += await self._accept(project, workers[start : start + _PAGE])
        return accepted

    async def accept_all(self, project: int) -> int:
        """Accepts all requests that there are now, page by page, and answers how many. Raises ``not_found``."""
        accepted, cursor = 0, ""
        while cursor != "0":
            begun = time.monotonic()
            key = self._keys.access(project, "requests")
            cursor, row = await self._calls.command("HSCAN", key, cursor or "0", "COUNT", _PAGE)
            # Of a small hash, all come at once.
            accepted += await self.accept(project, [int(worker) for worker in row[::2]])
            await rest(begun, _DUTY)
        return accepted

    async def _accept(self, project: int, workers: Sequence[int]) -> int:
        """In the order of :meth:`~broker.store.workers.Workers.grant`: so no crash leaves access without its hint."""
        asked = await self._calls.command("HMGET", self._keys.access(project, "requests"), *workers)
        asking = [worker for worker, what in zip(workers, asked, strict=True) if what]
        if not asking:
            return 0
        there = await self._hint(project, asking)
        accepted = await self._calls.call("grant_requests", self._keys.project(project), there)
        await self._hint(project, accepted)
        return len(accepted)

    async def _hint(self, project: int, workers: Sequence[int | str]) -> list[str]:
        """Notes that they have access there, and answers which of them there are."""
        there: list[str] = await self._calls.call("workers_hint", self._keys.directory, [project, *workers])
        return there
