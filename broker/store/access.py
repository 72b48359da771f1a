"""Lists of the workers with access to a project, of requests for it, and of rejected workers."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal, NamedTuple

from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Calls
from broker.store.shared_read import rest
from broker.store.workers import Worker, Workers

_PAGE = 500

_LIST_DUTY = 0.3
"""Share of the time while all access to a project is listed; others are served in the rest of it."""

_AFTER = re.compile("([0-9]{1,20})-([0-9]{1,16})")
"""Where a page continues: a cursor, and the last worker at this cursor that was shown."""

_SCANS = 20
"""Scripts that such a page calls at most: what is scanned may be empty."""

_SEARCHES = 4
"""The same in a search by alias, which reads the alias of each worker that is scanned."""

Which = Literal["requests", "access", "rejected"]


class Access(NamedTuple):
    worker: int
    assign: bool
    submit: bool
    request: bool
    rejected: bool = False


Row = tuple[Access, Worker]


class AccessPage(NamedTuple):
    total: int
    """On all pages, whether they match the filter or not."""
    rows: list[Row]
    onward: str
    """'' at the end."""


class AccessFilter(NamedTuple):
    """A filter; '': any."""

    may: str = ""
    """assign or submit: workers that have or request at least this. Rejected workers always match."""
    words: str = ""
    """A text in the alias, or the whole id."""

    @property
    def id(self) -> int:
        """0: the words are not an id."""
        return int(self.words) if re.fullmatch("[0-9]{1,16}", self.words) else 0

    def fits(self, access: Access) -> bool:
        return access.rejected or not self.may or {"assign": access.assign, "submit": access.submit}[self.may]


EVERYBODY = AccessFilter()


class AccessLists:
    def __init__(self, calls: Calls, keys: Keys, workers: Workers) -> None:
        self._calls = calls
        self._keys = keys
        self._workers = workers
        self._listing = asyncio.Lock()

    async def rendered(self, project: int, render: Callable[[list[Row]], bytes]) -> list[bytes]:
        """All access, rendered by ``render`` in slices: requests first, then granted access, by worker id.

        One list at a time, for a share of the store's time. Raises ``not_found``.
        """
        async with self._listing:
            rows: list[Access] = []
            for which in ("requests", "access"):
                listed = {access.worker: access async for access in self._every(project, which)}
                rows += (listed[worker] for worker in sorted(listed))
            slices = []
            for start in range(0, len(rows), _PAGE):
                begun = time.monotonic()
                if found := await self._with_workers(rows[start : start + _PAGE]):
                    slices.append(bytes(memoryview(render(found))))
                await rest(begun, _LIST_DUTY)
            return slices

    async def page(
        self, project: int, which: Which, after: str, limit: int, filter: AccessFilter = EVERYBODY
    ) -> AccessPage:
        """Some workers that match, fewer than twice ``limit``, and perhaps none although others follow.

        ``after``: what the page before gave as ``onward``, '' to begin. Up to some hundred, they come by worker id.
        """
        command = "SCARD" if which == "rejected" else "HLEN"
        total = int(await self._calls.command(command, self._keys.access(project, which)))
        match = _AFTER.fullmatch(after)
        cursor, last = (match[1], int(match[2])) if match else ("0", 0)
        found = [] if match or not filter.id else await self._of_one(project, which, filter)
        count = _PAGE if any(filter) else limit
        for _ in range(_SEARCHES if filter.words else _SCANS):
            onward, scanned = await self._scan(project, which, cursor, count)
            some = sorted({access for access in scanned if access.worker > last and filter.fits(access)})
            if filter.words:
                some = await self._named(some, filter)
            if len(found) + len(some) >= 2 * limit:
                some = some[: limit - len(found)]
                return AccessPage(total, await self._with_workers([*found, *some]), f"{cursor}-{some[-1].worker}")
            found += some
            cursor, last = onward, 0
            if cursor == "0" or 2 * len(found) >= limit:
                break
        return AccessPage(total, await self._with_workers(found), "" if cursor == "0" else f"{cursor}-0")

    async def _of_one(self, project: int, which: Which, filter: AccessFilter) -> list[Access]:
        """The access of the worker whose id is searched."""
        key = self._keys.access(project, which)
        if which == "rejected":
            may = "" if await self._calls.command("SISMEMBER", key, filter.id) else None
        else:
            may = await self._calls.command("HGET", key, filter.id)
        access = None if may is None else _access(filter.id, may, which)
        return [access] if access and filter.fits(access) else []

    async def _named(self, some: Sequence[Access], filter: AccessFilter) -> list[Access]:
        """Workers with the words in their alias. The worker whose id is the words is left out: it was found before."""
        rows = [row for start in range(0, len(some), _PAGE) for row in await self._with_workers(some[start:][:_PAGE])]
        words = filter.words.casefold()
        return [access for access, worker in rows if words in worker.alias.casefold() and worker.id != filter.id]

    async def _with_workers(self, rows: Sequence[Access]) -> list[Row]:
        if not rows:
            return []
        workers = await self._workers.get([access.worker for access in rows])
        return [(access, worker) for access, worker in zip(rows, workers, strict=True) if worker]

    async def _every(self, project: int, which: str) -> AsyncIterator[Access]:
        cursor = ""
        while cursor != "0":
            begun = time.monotonic()
            cursor, some = await self._scan(project, which, cursor or "0", _PAGE)
            for access in some:
                yield access
            await rest(begun, _LIST_DUTY)

    async def _scan(self, project: int, which: str, cursor: str, count: int) -> tuple[str, list[Access]]:
        onward, pairs = await self._calls.call("access_list", self._keys.project(project), [which, cursor, count])
        return onward, [_access(int(worker), may, which) for worker, may in zip(pairs[::2], pairs[1::2], strict=True)]


def _access(worker: int, may: str, which: str) -> Access:
    return Access(worker, "assign" in may, "submit" in may, which == "requests", which == "rejected")
