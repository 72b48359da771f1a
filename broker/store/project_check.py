"""``broker check``: whether all that the store keeps of a project agrees, while the fleet works.

What is asked of a store before the broker starts is in ``check.py``.
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
    """One run. A script compares, and repairs, what it looks at in one step: work in between is no difference.

    A hash does not say whose it is: all hashes of live tasks are remembered here, about 100 bytes for each.
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
        """What differs, as the scripts name it, to its tasks; of ``leftover`` to hashes, of ``sample`` to families."""

    async def run(self) -> AsyncIterator[str]:
        """Says after each step where it is. Raises ``not_found``."""
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
        # These are assigned, and only `:holders` did not say so.
        self.differences["nowhere"] -= self.differences["holder"]

    async def _walk(self) -> AsyncIterator[int]:
        """Over the records that were not looked at yet, up to the last one that there is now."""
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
        """Tasks that came since the walk may have these hashes: it goes on until few enough for one script are left."""
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
