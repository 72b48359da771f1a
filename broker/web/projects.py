"""Projects: all of them, and of one how it goes, its settings, its secrets, and who may work on it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from starlette.responses import Response

from broker.api.requests import parsed_id
from broker.errors import BrokerError
from broker.store.monitoring import Snapshot, Stats
from broker.store.projects import EDIT, MAINTENANCE, MANAGE_ACCESS, READ, SECRET, Order, Project
from broker.store.workers import Access, AccessPage, Worker
from broker.web.routing import Pages
from broker.web.visit import Visit

pages = Pages()

_PAGE = 100

_CHOICES = 500
"""Projects that a form lets choose from."""

_TREND_SPAN = 7200
"""Seconds that a sparkline shows."""

_YOUNGEST = 20
"""Seconds that a snapshot must be old to measure from: over a shorter time the pace would jump."""

WIDTH, HEIGHT = 100, 24
"""Of a sparkline."""

_HOLDERS = 16

_ACCESS = 50
"""Workers of a page of access, and of one of requests."""

_RANGES = {"1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "all": 0}
"""Seconds that the timeline goes back; 0: as far as there are snapshots."""

ROLES = {
    READ: ("Read", "see the project if it is hidden, see its tasks"),
    EDIT: ("Edit", "change the settings, pause the project"),
    MANAGE_ACCESS: ("Access", "give access to workers, and roles to managers"),
    SECRET: ("Secrets", "read and set the secrets"),
    MAINTENANCE: ("Maintenance", "reset, reclaim, retry and remove tasks"),
}


class Trend(NamedTuple):
    pace: float | None
    """Tasks closed per second, since the youngest snapshot that is old enough."""
    since: int | None
    eta: float | None
    """Seconds until everything is closed at this pace."""
    line: str
    """The points of a sparkline: tasks closed from snapshot to snapshot."""


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
    "delayed": lambda row: (-row.stats.delayed, row.project.fields["name"]),
    "failed": lambda row: (-row.stats.failed, row.project.fields["name"]),
    "closed": lambda row: (-row.closed, row.project.fields["name"]),
    "pace": lambda row: (-(row.trend.pace or 0), row.project.fields["name"]),
}


@pages.add("/")
async def overview(visit: Visit) -> Response:
    order, words, after = visit.choice("sort", *_ORDERS), visit.text("q"), visit.number("after", 0)
    store_order: Order = "name" if order == "name" else "busy"
    page = await visit.store.projects.page(visit.me.id, store_order, after, _PAGE, text=words)
    found = await asyncio.gather(*(_row(visit, project) for project in page.rows))
    rows = sorted((row for row in found if row), key=_ORDERS[order])
    return visit.page(
        "overview.html",
        rows=rows,
        everything=_sum([(row.stats, row.trend.pace) for row in rows]) if page.whole else await _sum_of_all(visit),
        order=order,
        words=words,
        after=after,
        onward=page.onward,
        whole=page.whole,
    )


async def _sum_of_all(visit: Visit) -> tuple[Stats, Trend]:
    """With hidden projects for admins, who may see all of them."""
    sums = [await visit.store.overview.sum(hidden=False)]
    if visit.me.tracker_admin:
        sums.append(await visit.store.overview.sum(hidden=True))
    return _sum([(stats, None) for stats in sums])


async def _row(visit: Visit, project: Project) -> Row | None:
    """None for a project that has been deleted meanwhile."""
    try:
        stats = await visit.store.monitoring.stats(project.id)
        return Row(project, stats, await _trend(visit, project, stats))
    except BrokerError as error:
        if error.code != "not_found":
            raise
        return None


def _sum(counts: Sequence[tuple[Stats, float | None]]) -> tuple[Stats, Trend]:
    """Of stats with a pace, where there is one."""
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


async def _trend(visit: Visit, project: Project, stats: Stats) -> Trend:
    return trend(await visit.store.monitoring.recent(project.id, _TREND_SPAN), stats, time.time())


def trend(points: Sequence[Snapshot], stats: Stats, now: float) -> Trend:
    closed = stats.counters.get("closed", 0)
    base = next((point for point in reversed(points) if now - point.time >= _YOUNGEST), None)
    pace = max(0, closed - base.closed) / (now - base.time) if base else None
    left = stats.waiting + stats.verifying + stats.assigned
    eta = left / pace if pace and left else None
    return Trend(pace, base.time if base else None, eta, sparkline(points))


def sparkline(points: Sequence[Snapshot]) -> str:
    """``x,y`` pairs of tasks closed per second between snapshots; '' when there are too few, or nothing was closed."""
    steps = [
        (later.time, max(0, later.closed - earlier.closed) / max(1, later.time - earlier.time))
        for earlier, later in pairwise(points)
    ]
    highest = max((height for _, height in steps), default=0)
    if len(steps) < 2 or not highest:
        return ""
    first, last = steps[0][0], steps[-1][0]
    scale = WIDTH / max(1, last - first)
    return " ".join(f"{(at - first) * scale:.1f},{(HEIGHT - 2) * (1 - y / highest) + 1:.1f}" for at, y in steps)


@pages.add("/projects/new")
async def new(visit: Visit) -> Response:
    return visit.page("new_project.html", values=None, targets=await _targets(visit, 0, 0))


@pages.add("/projects/{id}")
async def project(visit: Visit) -> Response:
    shown = await visit.project()
    stats = await visit.store.monitoring.stats(shown.id)
    held = await visit.store.monitoring.held(shown.id)
    largest = sorted(held, key=lambda worker: (-held[worker], worker))[:_HOLDERS]
    workers = await visit.store.workers.get(largest) if largest else []
    chain = shown.values["chain"]
    return visit.page(
        "project.html",
        project=shown,
        stats=stats,
        trend=await _trend(visit, shown, stats),
        holders=[(worker, held[worker.id]) for worker in workers if worker],
        more_holders=len(held) - len(largest),
        chained=await _name(visit, chain) if chain else None,
        ranges=_RANGES,
        span=visit.choice("range", "6h", *_RANGES),
        may=_may(shown),
    )


async def _name(visit: Visit, project: int) -> str | None:
    """None when the manager may not see it."""
    try:
        other = await visit.store.projects.get(project, visit.me.id)
    except BrokerError as error:
        if error.code != "not_found":
            raise
        return None
    return other.fields["name"] if other.visible else None


@pages.add("/projects/{id}/settings")
async def settings(visit: Visit) -> Response:
    shown = await visit.project()
    may = _may(shown)
    if not any(may.values()):
        raise BrokerError("denied", "This page needs the EDIT or the MAINTENANCE role on the project")
    targets = await _targets(visit, shown.id, shown.values["chain"]) if may["edit"] else []
    stats = await visit.store.monitoring.stats(shown.id)
    live = stats.waiting + stats.verifying + stats.delayed + stats.assigned + stats.failed
    return visit.page("settings.html", project=shown, values=shown.values, targets=targets, live=live, may=may)


def _may(project: Project) -> dict[str, bool]:
    return {"edit": bool(project.roles & EDIT), "maintain": bool(project.roles & MAINTENANCE)}


async def _targets(visit: Visit, project: int, current: int) -> list[tuple[int, str]]:
    """Projects that closed tasks may go on to; not all of them when there are very many."""
    page = await visit.store.projects.page(visit.me.id, "name", 0, _CHOICES, role=EDIT)
    targets = [(one.id, one.fields["name"]) for one in page.rows if one.id != project]
    if current and current not in dict(targets):
        targets.append((current, await _name(visit, current) or f"project {current}"))
    return sorted(targets, key=lambda target: target[1].casefold())


@pages.add("/projects/{id}/secrets")
async def secrets(visit: Visit) -> Response:
    shown = await visit.project(SECRET)
    return visit.page("secrets.html", project=shown)


@pages.add("/projects/{id}/access")
async def access(visit: Visit) -> Response:
    project = await visit.project(MANAGE_ACCESS)
    workers, worker = visit.store.workers, visit.text("worker")
    asked, allowed = (
        [await workers.access_page(project.id, which, visit.text(which), _ACCESS) for which in ("requests", "access")]
        if not worker
        else _of_one(await workers.access_rows(project.id, parsed_id(worker) or 0))
    )
    roles = await visit.store.projects.roles(project.id)
    holders = {manager.id for manager, _ in roles}
    others = [manager for manager in await visit.store.managers.every() if manager.id not in holders]
    return visit.page(
        "access.html",
        project=project,
        worker=worker,
        requests=asked,
        granted=allowed,
        at={which: visit.text(which) for which in ("requests", "access")},
        tokens=await visit.store.joining.tokens(project.id),
        managers=roles,
        others=sorted(others, key=lambda manager: manager.username.casefold()),
        roles=ROLES,
    )


def _of_one(rows: list[tuple[Access, Worker]]) -> list[AccessPage]:
    """What one worker asks for, and what it was granted, as pages."""
    parts = [[row for row in rows if row[0].request is asked] for asked in (True, False)]
    return [AccessPage(len(part), part, "") for part in parts]
