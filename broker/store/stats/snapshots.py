"""Monitoring: how many tasks were in each state over time."""

from collections.abc import AsyncIterator
from typing import Any

from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls

_PAGE = 500
_NAMES = {
    "new": "new_task_count",
    "failed": "failed_task_count",
    "closed": "closed_task_count",
    "access": "worker_access_count",
    "awaiting": "awaiting_verification_count",
}


class Snapshots:
    def __init__(self, calls: Calls, keys: Keys, interval: float, history: float) -> None:
        """A snapshot each ``interval`` seconds, kept ``history`` seconds."""
        self._calls = calls
        self._keys = keys
        self.interval = interval
        self._history = round(history * 1000)
        self.now = ""

    async def take(self, project: int) -> bool:
        """False when the last one is too young."""
        args: Arguments = [self.now, round(self.interval * 1000), self._history]
        made = -1
        while made < 0:
            made = await self._calls.call("snapshot", self._keys.project(project), args)
        return bool(made)

    async def newest_first(self, project: int, newest: int | None, oldest: int | None) -> AsyncIterator[dict[str, Any]]:
        """Snapshots not after ``newest`` and not before ``oldest`` (unix s), as the API shows them."""
        before = "+" if newest is None else str(newest * 1000 + 999)
        after = "-" if oldest is None else str(oldest * 1000)
        while True:
            page = await self._calls.call("snapshots", self._keys.project(project), [before, after, _PAGE])
            for id, pairs in page:
                counts = dict(zip(pairs[::2], pairs[1::2], strict=True))
                yield {shown: int(counts[name]) for name, shown in _NAMES.items()} | {"time_stamp": _ms(id) // 1000}
            if len(page) < _PAGE:
                return
            before = f"({page[-1][0]}"


def _ms(stream_id: str) -> int:
    return int(stream_id.partition("-")[0])
