"""How fast a project's tasks are closed, by its newest snapshots and its current counts."""

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from broker.store.monitoring import Snapshot, Stats
from broker.store.projects import Project
from broker.web.visit import Visit

SPAN = 7200
"""Seconds of snapshots that are used."""

_YOUNGEST = 20
"""Minimum age in seconds of the snapshot from which the pace is measured: over a shorter time it would jump."""

_GAP = 600
"""Maximum seconds between two snapshots, about."""

WIDTH, HEIGHT = 100, 24
"""Of a sparkline."""


class Trend(NamedTuple):
    pace: float | None
    """Tasks closed per second, since the youngest snapshot that is old enough."""
    since: int | None
    eta: float | None
    """Seconds until everything is closed at this pace."""
    line: str
    """The points of a sparkline: tasks closed from snapshot to snapshot."""
    failed: int = 0
    """Tasks that have failed in SPAN and still are failed."""
    closed: int = 0
    """Tasks closed in SPAN."""


async def recent_trend(visit: Visit, project: Project, stats: Stats) -> Trend:
    return trend(await visit.store.monitoring.recent(project.id, SPAN), stats, time.time())


def trend(points: Sequence[Snapshot], stats: Stats, now: float) -> Trend:
    closed = stats.counters.get("closed", 0)
    old_enough = [point for point in points if now - point.time >= _YOUNGEST]
    base = old_enough[-1] if old_enough else None
    pace = max(0, closed - base.closed) / (now - base.time) if base else None
    left = stats.waiting + stats.verifying + stats.assigned
    eta = left / pace if pace and left else None
    # A project that was created after that had counts of 0.
    first = points[0] if points and points[0].time < now - SPAN + _GAP else None
    return Trend(
        pace,
        base.time if base else None,
        eta,
        sparkline(points),
        max(0, stats.failed - (first.failed if first else 0)),
        max(0, closed - (first.closed if first else 0)),
    )


def sparkline(points: Sequence[Snapshot]) -> str:
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
