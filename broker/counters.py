"""Counters of the server processes of one broker, in shared memory.

Each process adds to its own area, without a lock, and reads the areas of all. A process that replaces a dead one
continues in its area, so no count is lost, and no total ever goes back.
"""

import mmap
import os
import sys
import tempfile
from bisect import bisect_left
from time import perf_counter

BOUNDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: the upper bounds of all histograms; longer times are counted in one more bucket."""

_BUCKETS = len(BOUNDS) + 1
_AREA = 1 << 18
"""Bytes of one process; the system allocates only what is used."""

_CELLS = _AREA // 8


def shared_memory(processes: int) -> int:
    """A file descriptor of memory for so many processes, all zero."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("broker-counters")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, processes * _AREA)
    return descriptor


class Counters:
    """Allocates cells of this process's area, in the same order in every process."""

    def __init__(self, descriptor: int | None = None, mine: int = 0) -> None:
        """``descriptor``: of shared memory, in which this process has the area ``mine``; None: memory of its own."""
        memory = mmap.mmap(-1, _AREA) if descriptor is None else mmap.mmap(descriptor, 0)
        cells = memoryview(memory).cast("d")
        self._areas = [cells[start : start + _CELLS] for start in range(0, len(cells), _CELLS)]
        self.cells = self._areas[mine]
        self._taken = 0

    def take(self, count: int) -> int:
        """Allocates ``count`` cells, and returns the first."""
        first = self._taken
        self._taken += count
        if self._taken > _CELLS:
            raise ValueError("the area of a process is too small")
        return first

    def totals(self, first: int, count: int) -> list[float]:
        """Cells from ``first`` on, each summed over all processes."""
        return [sum(column) for column in zip(*(area[first : first + count] for area in self._areas), strict=True)]


class Counter:
    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._cells = counters.cells
        self._cell = counters.take(1)

    def add(self) -> None:
        self._cells[self._cell] += 1

    @property
    def total(self) -> float:
        return self._counters.totals(self._cell, 1)[0]


class Histogram:
    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._cells = counters.cells
        self._sum = counters.take(1 + _BUCKETS)
        self._first = self._sum + 1

    def observe(self, seconds: float) -> None:
        cells = self._cells
        cells[self._first + bisect_left(BOUNDS, seconds)] += 1
        cells[self._sum] += seconds

    @property
    def total(self) -> "Times":
        total, *buckets = self._counters.totals(self._sum, 1 + _BUCKETS)
        return Times(total, buckets)


class Times:
    """The contents of a histogram: the sum in seconds, and the count of each bucket."""

    def __init__(self, total: float, buckets: list[float]) -> None:
        self.sum = total
        self.buckets = buckets


class Requests:
    """Requests by route and status, how long they took, and how many are in progress."""

    OTHER = "other"
    """The route of requests that match no route."""

    CLIENT_GONE = 499
    """The status of requests that were never answered, as in nginx."""

    def __init__(self, counters: Counters, routes: list[str], statuses: list[int]) -> None:
        """A status that is not among ``statuses`` is counted as 0."""
        self._counters = counters
        self._cells = counters.cells
        self._statuses = [0, self.CLIENT_GONE, *statuses]
        self._offsets = {status: index * _BUCKETS for index, status in enumerate(self._statuses)}
        self._begun = counters.take(1)
        self._size = 1 + len(self._statuses) * _BUCKETS
        self._first = {route: counters.take(self._size) for route in [*routes, self.OTHER]}
        # Requests that were in progress when the process before us died will never end.
        ended = (self._cells[first + 1 : first + self._size] for first in self._first.values())
        self._cells[self._begun] = sum(map(sum, ended))

    def begin(self) -> float:
        """Counts a request, and returns its begin for :meth:`end`."""
        self._cells[self._begun] += 1
        return perf_counter()

    def end(self, route: str, status: int, begun: float) -> None:
        seconds = perf_counter() - begun
        cells, first = self._cells, self._first[route]
        cells[first] += seconds
        cells[first + 1 + self._offsets.get(status, 0) + bisect_left(BOUNDS, seconds)] += 1

    def totals(self) -> dict[str, tuple[dict[int, float], Times]]:
        """By route: how many requests had each status, and how long all took; without routes that had none."""
        found = {}
        for route, first in self._first.items():
            if self._counters.totals(first, 1) == [0]:
                continue
            seconds, *cells = self._counters.totals(first, self._size)
            rows = [cells[start : start + _BUCKETS] for start in range(0, len(cells), _BUCKETS)]
            statuses = {status: sum(row) for status, row in zip(self._statuses, rows, strict=True) if any(row)}
            found[route] = statuses, Times(seconds, [sum(column) for column in zip(*rows, strict=True)])
        return found

    def in_flight(self) -> float:
        begun = self._counters.totals(self._begun, 1)[0]
        return max(0, begun - sum(sum(statuses.values()) for statuses, _ in self.totals().values()))
