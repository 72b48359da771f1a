"""What a process keeps in memory: requests that cannot be tasks, and hashes that it has submitted."""

import heapq
from itertools import count

from scrapy import Request


class LocalQueue:
    """Requests by priority, the oldest first. Of requests with the same hash, it has one, as Scrapy's dupefilter."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Request]] = []
        self._numbers = count()
        self._hashes: set[int] = set()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, request: Request, hash64: int) -> bool:
        """Returns whether the request is new. A hash of 0 is always new."""
        if hash64 in self._hashes:
            return False
        if hash64:
            self._hashes.add(hash64)
        heapq.heappush(self._heap, (-request.priority, next(self._numbers), request))
        return True

    def take(self) -> Request | None:
        return heapq.heappop(self._heap)[2] if self._heap else None


class Recent:
    """The hashes that were added last: at least ``least``, at most twice as many."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._now: set[int] = set()
        self._before: set[int] = set()

    def __contains__(self, hash64: int) -> bool:
        return hash64 in self._now or hash64 in self._before

    def add(self, hash64: int) -> None:
        self._now.add(hash64)
        if len(self._now) >= self._least:
            self._now, self._before = set(), self._now
