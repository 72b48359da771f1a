"""Who holds how many tasks of a project.

Counting looks at each assigned task, and anybody may ask. So those who ask while a count is under way share it, and one
that took long is kept for twenty times as long: the store spends a twentieth of its time on it at most.
"""

import asyncio
import time

from broker.store.stats.snapshots import Snapshots

_LONG = 0.005
"""Seconds that a count may take to be made anew each time."""

_KEPT = 20


class Holders:
    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._counting: dict[int, asyncio.Task[dict[int, int]]] = {}
        self._kept: dict[int, tuple[float, dict[int, int]]] = {}

    async def of(self, project: int) -> dict[int, int]:
        """Tasks by worker."""
        until, held = self._kept.get(project, (0.0, {}))
        if time.monotonic() < until:
            return held
        counting = self._counting.get(project)
        if counting is None:
            counting = self._counting[project] = asyncio.create_task(self._count(project))
            counting.add_done_callback(lambda _: self._counting.pop(project))
        # One who goes away must not take the count from the others.
        return await asyncio.shield(counting)

    async def _count(self, project: int) -> dict[int, int]:
        self._kept.pop(project, None)
        begun = time.monotonic()
        held = await self._snapshots.assignees(project)
        ended = time.monotonic()
        if ended - begun > _LONG:
            self._kept[project] = ended + _KEPT * (ended - begun), held
        return held
