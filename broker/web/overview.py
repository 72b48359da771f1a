"""All projects that a manager may see, with what is going on in each."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from starlette.responses import Response

from broker.errors import BrokerError
from broker.store.monitoring import Stats
from broker.store.projects import Project
from broker.web.routing import Pages
from broker.web.trends import Trend, trend
from broker.web.visit import Visit

pages = Pages()

_AT_ONCE = 200
"""Projects whose counts are asked for together."""

_PAGE = 100


class Row(NamedTuple):
    project: Project
    stats: Stats
    trend: Trend

    @property
    def closed(self) -> int:
        return self.stats.counters.get("closed", 0)


_ORDERS: dict[str, Callable[[Row], tuple[float, str]]] = {
    "name": lambda row: (0, row.project.fields["name"].casefold()),
    "waiting": lambda row: (-row.stats.waiting, row.project.fields["name"]),
    "assigned": lambda row: (-row.stats.assigned, row.project.fields["name"]),
    "verifying": lambda row: (-row.stats.verifying, row.project.fields["name"]),
    "failed": lambda row: (-row.stats.failed, row.project.fields["name"]),
    "closed": lambda row: (-row.closed, row.project.fields["name"]),
    "pace": lambda row: (-(row.trend.pace or 0), row.project.fields["name"]),
}


@pages.add("/")
async def overview(visit: Visit) -> Response:
    order, words, page = visit.choice("sort", *_ORDERS), visit.text("q"), visit.number("page", 1)
    projects = [project async for project in visit.store.projects.every(visit.me.id) if project.visible]
    found = [project for project in projects if words.casefold() in project.fields["name"].casefold()]
    rows = [
        row
        for start in range(0, len(found), _AT_ONCE)
        for row in await asyncio.gather(*(_row(visit, project) for project in found[start : start + _AT_ONCE]))
        if row
    ]
    rows.sort(key=_ORDERS[order])
    shown = rows[(page - 1) * _PAGE : page * _PAGE]
    return visit.page(
        "overview.html",
        rows=shown,
        everything=_sum(rows),
        order=order,
        words=words,
        page=page,
        pages=max(1, -(-len(rows) // _PAGE)),
        total=len(projects),
    )


async def _row(visit: Visit, project: Project) -> Row | None:
    """None for a project that has been deleted meanwhile."""
    try:
        stats = await visit.store.monitoring.stats(project.id)
        return Row(project, stats, await visit.site.trends.of(visit.store, project.id, stats))
    except BrokerError as error:
        if error.code != "not_found":
            raise
        return None


def _sum(rows: list[Row]) -> tuple[Stats, Trend]:
    stats = Stats(
        sum(row.stats.waiting for row in rows),
        sum(row.stats.verifying for row in rows),
        sum(row.stats.assigned for row in rows),
        sum(row.stats.failed for row in rows),
        {"closed": sum(row.closed for row in rows)},
    )
    paces = [row.trend.pace for row in rows if row.trend.pace is not None]
    return stats, trend([], stats, 0)._replace(pace=sum(paces) if paces else None)
