"""The overview: all projects, what needs attention, and the broker itself."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from starlette.responses import Response

from broker.errors import BrokerError
from broker.store.monitoring import Stats
from broker.store.projects import MANAGE_ACCESS, Order, Project, ProjectPage
from broker.web.attention import trouble, trouble_of_store, trouble_of_workers
from broker.web.routing import Pages
from broker.web.trends import Trend, recent_trend, trend
from broker.web.visit import Visit
from broker.web.workers import silent_since

pages = Pages()

_PAGE = 100

_TROUBLES = 20
"""The number of troubles that are shown at most."""


class Row(NamedTuple):
    project: Project
    stats: Stats
    trend: Trend
    needs_attention: bool
    """Whether it does for a reason other than requests for access."""

    @property
    def closed(self) -> int:
        return self.stats.counters.get("closed", 0)

    @property
    def requests(self) -> int:
        """Requests that the manager may accept."""
        return self.stats.requests if self.project.roles & MANAGE_ACCESS else 0


_ORDERS: dict[str, Callable[[Row], tuple[float, str]]] = {
    "name": lambda row: (0, row.project.fields["name"].casefold()),
    "waiting": lambda row: (-row.stats.waiting, row.project.fields["name"]),
    "assigned": lambda row: (-row.stats.assigned, row.project.fields["name"]),
    "verifying": lambda row: (-row.stats.verifying, row.project.fields["name"]),
    "delayed": lambda row: (-row.stats.delayed, row.project.fields["name"]),
    "failed": lambda row: (-row.stats.failed, row.project.fields["name"]),
    "closed": lambda row: (-row.closed, row.project.fields["name"]),
    "pace": lambda row: (-(row.trend.pace or 0), row.project.fields["name"]),
    "activity": lambda row: (-(row.trend.closed + row.trend.failed), row.project.fields["name"]),
}


_SHOWN: dict[str, Callable[[Row], bool]] = {
    "all": lambda row: True,
    "attention": lambda row: row.needs_attention or row.requests > 0,
    "requests": lambda row: row.requests > 0,
    "tasks": lambda row: any(row.stats[:5]),
    "paused": lambda row: row.project.fields["paused"] == "1",
}
"""Which of the projects are listed."""


@pages.add("/")
async def overview(visit: Visit) -> Response:
    order, words, after = visit.choice("sort", *_ORDERS), visit.text("q"), visit.number("after", 0)
    which = visit.choice("show", *_SHOWN)
    query = visit.request.query_params
    page = await _page(visit, which, order, after, words)
    if not page.whole and which not in _ORDERED and not {"sort", "q", "after"} & query.keys():
        # Of very many projects, the busy ones are shown first.
        order = "waiting"
        page = await _page(visit, which, order, after, words)
    needing = await visit.store.attention.list(visit.me.id, _TROUBLES, [project.id for project in page.rows])
    found = await asyncio.gather(*(_row(visit, project, project.id in needing.among) for project in page.rows))
    every = sorted((row for row in found if row), key=_ORDERS[order])
    memory = await visit.store.overview.memory()
    silent = await visit.store.worker_stats.silent_holders(silent_since())
    others = [*trouble_of_store(memory), *trouble_of_workers(silent)]
    return visit.page(
        "overview.html",
        rows=[row for row in every if _SHOWN[which](row)],
        every=len(every),
        everything=_sum([(row.stats, row.trend.pace) for row in every]) if page.whole else await _sum_of_all(visit),
        troubles=[*others, *map(trouble, needing.rows)],
        all_troubles=len(others) + needing.total,
        all_looked_at=needing.whole,
        memory=memory,
        processes=visit.settings.workers,
        order=order,
        words=words,
        which=which,
        after=after,
        onward=page.onward,
        whole=page.whole,
    )


_ORDERED: dict[str, Order] = {"attention": "attention", "requests": "requests"}
"""The orders that the store makes itself, for a manager of very many projects."""


async def _page(visit: Visit, which: str, order: str, after: int, words: str) -> ProjectPage:
    projects = visit.store.projects
    if which in _ORDERED:
        role = MANAGE_ACCESS if which == "requests" else None
        return await projects.page(visit.me.id, _ORDERED[which], after, _PAGE, text=words, role=role)
    of_store: Order = "name" if order == "name" else "busy"
    return await projects.page(visit.me.id, of_store, after, _PAGE, text=words)


async def _sum_of_all(visit: Visit) -> tuple[Stats, Trend]:
    """With hidden projects for admins, who may see all of them."""
    sums = [await visit.store.overview.sum(hidden=False)]
    if visit.me.tracker_admin:
        sums.append(await visit.store.overview.sum(hidden=True))
    return _sum([(stats, None) for stats in sums])


async def _row(visit: Visit, project: Project, needs_attention: bool) -> Row | None:
    """None for a project that has been deleted meanwhile."""
    try:
        stats = await visit.store.monitoring.stats(project.id)
        return Row(project, stats, await recent_trend(visit, project, stats), needs_attention)
    except BrokerError as error:
        if error.code != "not_found":
            raise
        return None


def _sum(counts: Sequence[tuple[Stats, float | None]]) -> tuple[Stats, Trend]:
    """The sums of stats, and of their paces, if there are any."""
    every = [stats for stats, _ in counts]
    stats = Stats(
        sum(stats.waiting for stats in every),
        sum(stats.verifying for stats in every),
        sum(stats.delayed for stats in every),
        sum(stats.assigned for stats in every),
        sum(stats.failed for stats in every),
        {"closed": sum(stats.counters.get("closed", 0) for stats in every)},
    )
    paces = [pace for _, pace in counts if pace is not None]
    return stats, trend([], stats, 0)._replace(pace=sum(paces) if paces else None)
