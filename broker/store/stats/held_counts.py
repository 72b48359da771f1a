"""How many tasks of a project each worker holds."""

from collections import Counter

from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Calls
from broker.store.shared_read import SharedReads

_DUTY = 0.05
"""Of the store's time, for one project: a count looks at each assigned task, and anybody may ask."""

_PATIENCE = 0.1
"""Seconds to wait for a count that is not older than the question."""

_MOST = 2000
"""Projects whose counts are kept."""

_PAGE = 500


class HeldCounts:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys
        self._counts = SharedReads(self.count, most=_MOST, duty=_DUTY, patience=_PATIENCE)

    async def of(self, project: int) -> dict[int, int]:
        """Tasks by worker; where a count takes over 5 ms, as they were at most twenty times as long ago."""
        return await self._counts.get(project)

    async def count(self, project: int) -> dict[int, int]:
        """As they are now, at a cost that grows with the assigned tasks."""
        members: set[str] = set()
        cursor = "0"
        while True:
            cursor, *page = await self._calls.call("assignees", self._keys.project(project), [cursor, _PAGE])
            members.update(page)
            if cursor == "0":
                return Counter(int(member.partition(":")[2]) for member in members)
