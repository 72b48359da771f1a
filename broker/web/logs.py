"""Log lines of workers, and of the broker itself."""

import hashlib
import time
from collections import Counter
from typing import NamedTuple

import orjson
from starlette.responses import Response

from broker.store.logs import LEVELS, Line
from broker.web.routing import Pages
from broker.web.visit import Visit

pages = Pages()

_LINES_READ = 1000
"""Log lines of each level, as many as a call of the API gives."""

_LINES_SHOWN = 200
_SINCE = {"all": 0, "15m": 900, "1h": 3600, "24h": 86_400, "7d": 604_800}
_LEVELS = {
    "warn": ("warn", "error"),
    "error": ("error",),
    "info": ("info", "warn", "error"),
    "all": tuple(LEVELS),
    "only-info": ("info",),
    "only-debug": ("debug",),
    "only-trace": ("trace",),
}


class Entry(NamedTuple):
    timestamp: int
    level: str
    worker: int | None
    """None for a line of the broker itself."""
    scope: str
    message: str


class Wanted(NamedTuple):
    since: float
    worker: str
    """An id, 'broker', or '' for all."""
    scope: str
    words: str

    def has(self, entry: Entry) -> bool:
        from_worker = "broker" if entry.worker is None else str(entry.worker)
        return (
            entry.timestamp >= self.since
            and self.worker in {"", from_worker}
            and self.scope.casefold() in entry.scope.casefold()
            and self.words.casefold() in entry.message.casefold()
        )


@pages.add("/logs")
async def logs(visit: Visit) -> Response:
    level, since = visit.choice("level", *_LEVELS), visit.choice("since", *_SINCE)
    oldest = time.time() - _SINCE[since] if _SINCE[since] else float("-inf")
    wanted = Wanted(oldest, visit.text("worker"), visit.text("scope"), visit.text("q"))
    entries = [entry for name in _LEVELS[level] for entry in await _read(visit, name) if wanted.has(entry)]
    entries.sort(key=lambda entry: -entry.timestamp)
    return visit.page(
        "logs.html", entries=keyed(entries[:_LINES_SHOWN]), found=len(entries), level=level, since=since, wanted=wanted
    )


async def _read(visit: Visit, level: str) -> list[Entry]:
    """The newest lines of this level."""
    entries: list[Entry] = []
    async for line in visit.store.logs.newest_first(level):
        entries.append(entry_of(line, level))
        if len(entries) == _LINES_READ:
            break
    return entries


def entry_of(line: Line, level: str) -> Entry:
    data = orjson.loads(line.data)
    return Entry(line.timestamp, level, data.get("worker"), data.get("scope", ""), line.message)


def keyed(entries: list[Entry]) -> list[tuple[str, Entry]]:
    """Each entry with a key that stays the same when the page is read again, so that an open line stays open."""
    repeats: Counter[Entry] = Counter()
    rows = []
    for entry in reversed(entries):
        repeats[entry] += 1
        key = hashlib.blake2b(repr((entry, repeats[entry])).encode(), digest_size=8)
        rows.append((key.hexdigest(), entry))
    return rows[::-1]
