"""All workers: what they have closed, what they hold, and whether they are paused."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from broker.web.routing import Pages
from broker.web.visit import Visit

pages = Pages()

_PAGE = 100
_ORDERS: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "closed": lambda row: (-row["closed_task_count"], row["id"]),
    "held": lambda row: (-row["held_task_count"], row["id"]),
    "alias": lambda row: (row["alias"].casefold(), row["id"]),
    "id": lambda row: (row["id"],),
}


@pages.add("/workers")
async def workers(visit: Visit) -> Response:
    order, words, page = visit.choice("sort", *_ORDERS), visit.text("q"), visit.number("page", 1)
    which = visit.choice("show", "all", "holding", "paused")
    every: list[dict[str, Any]] = await visit.store.worker_stats.all()
    found = [
        row
        for row in every
        if (words.casefold() in row["alias"].casefold() or words == str(row["id"]))
        and (which != "holding" or row["held_task_count"])
        and (which != "paused" or row["paused"])
    ]
    found.sort(key=_ORDERS[order])
    shown = found[(page - 1) * _PAGE : page * _PAGE]
    return visit.page(
        "workers.html",
        rows=shown,
        total=len(every),
        found=len(found),
        order=order,
        words=words,
        which=which,
        page=page,
        pages=max(1, -(-len(found) // _PAGE)),
    )
