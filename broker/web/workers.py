"""All workers: what they have closed, hold and log. The log has lines of the broker as well."""

import hashlib
import time
from collections import Counter
from functools import partial
from typing import NamedTuple

import orjson
from starlette.responses import Response

from broker.store.logs import LEVELS, Line
from broker.store.worker_stats import WorkerCounts
from broker.web.routing import Pages
from broker.web.visit import Visit, page_count

pages = Pages()

_PAGE = 100


@pages.add("/workers")
async def workers(visit: Visit) -> Response:
    words, page, after = visit.text("q"), visit.number("page", 1), visit.number("after", 0)
    which = visit.choice("show", "all", "holding", "paused")
    order = "held" if which == "holding" else visit.choice("sort", "closed", "held", "id")
    offset, onward, found = (page - 1) * _PAGE, None, None
    stats, last = visit.store.worker_stats, await visit.store.workers.count()
    if words or which == "paused":
        onward, rows = await stats.find(partial(_is_wanted, words, which), after, _PAGE)
        if not after and onward is None:
            found = len(rows)
    elif order == "id":
        found, rows = last, await stats.page(offset, _PAGE, None)
    else:
        found, rows = await stats.most(offset, _PAGE, holding=order == "held")
    return visit.page(
        "workers.html",
        rows=rows,
        total=last,
        found=found,
        order=order,
        words=words,
        which=which,
        page=page,
        pages=1 if words or which == "paused" else page_count(found or 0, _PAGE),
        onward=onward,
    )


def _is_wanted(words: str, which: str, row: WorkerCounts) -> bool:
    worker = row.worker
    return (
        (words.casefold() in worker.alias.casefold() or words == str(worker.id))
        and (which != "holding" or row.held > 0)
        and (which != "paused" or worker.paused)
    )


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
        "logs.html", entries=_keyed(entries[:_LINES_SHOWN]), found=len(entries), level=level, since=since, wanted=wanted
    )


async def _read(visit: Visit, level: str) -> list[Entry]:
    """The newest lines of this level."""
    entries: list[Entry] = []
    async for line in visit.store.logs.newest_first(level):
        entries.append(_entry(line, level))
        if len(entries) == _LINES_READ:
            break
    return entries


def _entry(line: Line, level: str) -> Entry:
    data = orjson.loads(line.data)
    return Entry(line.timestamp, level, data.get("worker"), data.get("scope", ""), line.message)


def _keyed(entries: list[Entry]) -> list[tuple[str, Entry]]:
    """Each with a key that stays the same when the page is read again, so that an open line stays open."""
    repeats: Counter[Entry] = Counter()
    keyed = []
    for entry in reversed(entries):
        repeats[entry] += 1
        key = hashlib.blake2b(repr((entry, repeats[entry])).encode(), digest_size=8)
        keyed.append((key.hexdigest(), entry))
    return keyed[::-1]
