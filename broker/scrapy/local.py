"""What a process keeps in memory: requests that cannot be tasks, and what it has seen lately."""

import heapq
from itertools import count
from typing import Generic, TypeVar

from scrapy import Request

K = TypeVar("K")
V = TypeVar("V")


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


class Recent(Generic[K, V]):
    """A dictionary of the items that were set last: at least ``least``, at most twice as many."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._now: dict[K, V] = {}
        self._before: dict[K, V] = {}

    def __contains__(self, key: K) -> bool:
        return key in self._now or key in self._before

    def get(self, key: K) -> V | None:
        found = self._now.get(key)
        return self._before.get(key) if found is None else found

    def __setitem__(self, key: K, value: V) -> None:
        self._now[key] = value
        if len(self._now) >= self._least:
            self._now, self._before = {}, self._now
