"""Who holds how many tasks of a project. Counting looks at each assigned task, and pages ask every two seconds."""

import time

from broker.store import Store

_SHARE = 20
"""Counts are kept so many times longer than it took to make them: the store spends a twentieth of its time at most."""

_MOST = 2000
"""Projects whose counts are kept."""


class Holders:
    def __init__(self) -> None:
        self._kept: dict[int, tuple[float, dict[int, int]]] = {}

    async def of(self, store: Store, project: int) -> dict[int, int]:
        """Tasks by worker."""
        until, held = self._kept.get(project, (0.0, {}))
        started = time.monotonic()
        if started >= until:
            held = await store.snapshots.assignees(project)
            ended = time.monotonic()
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[project] = ended + _SHARE * (ended - started), held
        return held
