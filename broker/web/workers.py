"""All workers: when they were last seen, and how many tasks they have closed and hold."""

import time
from functools import partial
from math import inf

from starlette.responses import Response

from broker.store.worker_stats import Order, WorkerCounts
from broker.web.attention import trouble_of_workers
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
        troubles=trouble_of_workers(await stats.silent_holders(silent_since())) if which != "silent" else [],
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
