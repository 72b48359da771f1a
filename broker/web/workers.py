"""All workers with their counts; and the log, with the lines of workers and of the broker."""

import hashlib
import time
from collections import Counter
from functools import partial
from math import inf
from typing import NamedTuple

import orjson
from starlette.responses import Response

from broker.store.logs import LEVELS, Line
from broker.store.worker_stats import Order, WorkerCounts
from broker.web.routing import Pages
from broker.web.visit import Visit, page_count

pages = Pages()

_PAGE = 100


SILENT = 300
"""Seconds after which a worker is silent: it waits for a task for a minute at most, and extends longer tasks."""

_WEEK = 7 * 86_400

_SEEN = {"week": (_WEEK, -inf), "alive": (SILENT, -inf), "silent": (inf, SILENT)}
"""How long ago the listed workers were last seen, at most and at least."""


@pages.add("/workers")
async def workers(visit: Visit) -> Response:
    words, page, after = visit.text("q"), visit.number("page", 1), visit.number("after", 0)
    first = "all" if visit.text("sort") else "week"
    which = visit.choice("show", first, "week", "all", "alive", "silent", "holding", "paused")
    order = visit.choice("sort", "closed", "failed", "held", "id")
    order = "seen" if which in _SEEN else "held" if which == "holding" else order
    stats, onward = visit.store.worker_stats, None
    if words or which == "paused":
        onward, rows = await stats.find(partial(_is_wanted, words, which), after, _PAGE)
        found = len(rows) if not after and onward is None else None
    else:
        found, rows = await _some(visit, which, order, (page - 1) * _PAGE)
        if not found and not visit.text("show"):
            which, order = "all", "closed"
            found, rows = await _some(visit, which, order, (page - 1) * _PAGE)
    return visit.page(
        "workers.html",
        rows=rows,
        total=await visit.store.workers.count(),
        found=found,
        order=order,
        words=words,
        which=which,
        page=page,
        pages=1 if words or which == "paused" else page_count(found or 0, _PAGE),
        onward=onward,
        silent=silent_since(),
    )


def silent_since() -> float:
    """Unix seconds: a worker that was last seen before that is silent."""
    return time.time() - SILENT


async def _some(visit: Visit, which: str, order: str, offset: int) -> tuple[int, list[WorkerCounts]]:
    """How many workers there are to show, and those of a page."""
    stats = visit.store.worker_stats
    if order == "seen":
        longest, shortest = _SEEN[which]
        return await stats.seen(offset, _PAGE, since=time.time() - longest, before=time.time() - shortest)
    if order == "id":
        return await visit.store.workers.count(), await stats.page(offset, _PAGE, None)
    return await stats.most(offset, _PAGE, _ORDERS[order])


_ORDERS: dict[str, Order] = {"closed": "closed", "failed": "failed", "held": "held"}


def _is_wanted(words: str, which: str, row: WorkerCounts) -> bool:
    worker, alive = row.worker, row.seen is not None and row.seen >= silent_since()
    return (
        (words.casefold() in worker.alias.casefold() or words in {str(worker.id), row.info.host})
        and (which != "holding" or row.held > 0)
        and (which != "paused" or worker.paused)
        and (which != "alive" or alive)
        and (which != "silent" or not alive)
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
