"""How fast a project goes: from the snapshots of the last two hours, and what is closed by now."""

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from broker.store import Store
from broker.store.monitoring import Monitoring, Stats
from broker.store.shared_read import SharedReads

_SPAN = 7200
"""Seconds that a sparkline shows."""

_KEPT = 20
"""Seconds that a project's snapshots are kept here: pages that update themselves ask every few seconds."""

_LONGEST = 500
"""Snapshots that are read at most, where they are taken every few seconds."""

_MOST = 2000
"""Projects whose snapshots are kept."""

_YOUNGEST = 20
"""Seconds that a snapshot must be old to measure from: over a shorter time the pace would jump."""

WIDTH, HEIGHT = 100, 24


class Point(NamedTuple):
    time: int
    closed: int


class Trend(NamedTuple):
    pace: float | None
    """Tasks closed per second, since the youngest snapshot that is old enough."""
    since: int | None
    eta: float | None
    """Seconds until everything is closed at this pace."""
    line: str
    """The points of a sparkline: tasks closed from snapshot to snapshot."""


class Trends:
    def __init__(self) -> None:
        self._points = SharedReads(_points, most=_MOST, duty=1, ttl=_KEPT)

    async def of(self, store: Store, project: int, stats: Stats) -> Trend:
        now = time.time()
        # Up to the last multiple of _KEPT: all processes show the same pace.
        points = await self._points.get((store.monitoring, project, int(now - now % _KEPT)))
        return trend(points, stats, now)


async def _points(key: tuple[Monitoring, int, int]) -> list[Point]:
    """Of a project, up to a unix second; oldest first."""
    monitoring, project, until = key
    points: list[Point] = []
    async for row in monitoring.snapshots(project, until, until - _SPAN):
        points.append(Point(row["time_stamp"], row["closed_task_count"]))
        if len(points) == _LONGEST:
            break
    points.reverse()
    return points


def trend(points: Sequence[Point], stats: Stats, now: float) -> Trend:
    closed = stats.counters.get("closed", 0)
    base = next((point for point in reversed(points) if now - point.time >= _YOUNGEST), None)
    pace = max(0, closed - base.closed) / (now - base.time) if base else None
    left = stats.waiting + stats.verifying + stats.assigned
    eta = left / pace if pace and left else None
    return Trend(pace, base.time if base else None, eta, sparkline(points))


def sparkline(points: Sequence[Point]) -> str:
    """``x,y`` pairs of tasks closed per second between snapshots; '' when there are too few, or nothing was closed."""
    steps = [
        (later.time, max(0, later.closed - earlier.closed) / max(1, later.time - earlier.time))
        for earlier, later in pairwise(points)
    ]
    highest = max((height for _, height in steps), default=0)
    if len(steps) < 2 or not highest:
        return ""
    first, last = steps[0][0], steps[-1][0]
    scale = WIDTH / max(1, last - first)
    return " ".join(f"{(at - first) * scale:.1f},{(HEIGHT - 2) * (1 - y / highest) + 1:.1f}" for at, y in steps)
