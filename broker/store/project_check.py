"""``broker check``: whether the data of a project is consistent, while workers use it.

The check of a store before the broker starts is in ``check.py``.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from broker.store.redis.scripts import Arguments, Calls
from broker.store.tasks import CHUNK

_SETS = ("queue", "verifying", "delayed", "assigned", "failed", "voted", "holders", "errors")
_FAMILIES = ("known", "closed", "recent")
_TASKS = 200
"""Tasks that a step looks at: 4 ms. A step of ZSCAN may give five times as many, and Lua unpacks at most 1,000."""

_ENTRIES = 5000
"""Entries that a step looks at: 5 ms when they are empty."""

_NEW_ENTRIES = 1000


class ProjectCheck:
    """One run. A script compares and repairs what it looks at in one step, so changes in between are no difference.

    A hash does not name its task, so the hashes of all live tasks are kept here, about 100 bytes each.
    """

    def __init__(self, calls: Calls, keys: Sequence[str], now: str, *, repair: bool) -> None:
        self._calls = calls
        self._keys = keys
        self._now = now
        self._repair = "1" if repair else ""
        self._live: set[str] = set()
        self._next = 1
        self.tasks = 0
        """How many were looked at."""
        self.differences: dict[str, set[str]] = defaultdict(set)
        """Kinds of differences, as the scripts name them, to tasks; ``leftover``: to hashes; ``sample``: to
        families."""

    async def run(self) -> AsyncIterator[str]:
        """Yields the progress after each step. Raises ``not_found``."""
        for name in _SETS:
            cursor = ""
            while cursor != "0":
                args: Arguments = [name, cursor or "0", _TASKS, self._repair, self._now]
                cursor, found = await self._calls.call("check_members", self._keys, args)
                self._note(found)
                yield f"members of {name}"
        async for percent in self._walk():
            yield f"{self.tasks:,} tasks, {percent} %"
        for name in _FAMILIES:
            async for percent in self._hashes(name):
                yield f"{name} hashes, {percent} %"
        # These tasks are assigned; only their entry in `:holders` was missing.
        self.differences["nowhere"] -= self.differences["holder"]

    async def _walk(self) -> AsyncIterator[int]:
        """Checks the records that follow, up to the last one that exists at the start. Yields the percentage."""
        last: int | None = None
        while last is None or self._next <= last:
            args: Arguments = [self._next, _ENTRIES, _TASKS, self._repair, self._now]
            self._next, newest, tasks, found, hashes = await self._calls.call("check_records", self._keys, args)
            last = newest if last is None else last
            self.tasks += tasks
            self._note(found)
            self._live.update(hashes)
            yield 100 * self._next // max(self._next, last)

    async def _hashes(self, family: str) -> AsyncIterator[int]:
        cursor: str | None = ""
        suspects: set[str] = set()
        while cursor is not None:
            args: Arguments = [family, cursor, CHUNK, self._repair]
            cursor, percent, off, hashes = await self._calls.call("check_hashes", self._keys, args)
            suspects.update(hash64 for hash64 in hashes if hash64 not in self._live)
            if off:
                self.differences["sample"].add(family)
            yield percent
        hashes = sorted(suspects)
        for i in range(0, len(hashes), CHUNK):
            await self._leftovers(hashes[i : i + CHUNK])
            yield 100

    async def _leftovers(self, hashes: list[str]) -> None:
        """Tasks submitted since the walk may have these hashes: the walk continues until one script can check the
        rest.
        """
        found: list[str] | None = None
        while found is None:
            hashes = [hash64 for hash64 in hashes if hash64 not in self._live]
            args: Arguments = [self._next, _NEW_ENTRIES, self._repair, *hashes]
            found = await self._calls.call("leftover_hashes", self._keys, args)
            if found is None:
                async for _ in self._walk():
                    pass
        self.differences["leftover"].update(found)

    def _note(self, found: Sequence[str]) -> None:
        for what, task in zip(found[::2], found[1::2], strict=True):
            self.differences[what].add(task)
