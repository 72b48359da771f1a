"""Pages of a project: its progress, settings, secrets and access."""

import time
from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response

from broker.errors import BrokerError
from broker.store.access import AccessFilter, Which
from broker.store.monitoring import Stats
from broker.store.projects import EDIT, MAINTENANCE, MANAGE_ACCESS, READ, SECRET, Project
from broker.web.routing import Pages
from broker.web.trends import recent_trend
from broker.web.visit import CHOICES, FEW, Visit

pages = Pages()

_HOLDERS = 16

_ACCESS = 50
"""Workers of a page of access, and of one of requests."""

_LISTS: Mapping[Which, tuple[str, ...]] = {
    "requests": ("all", "requests"),
    "access": ("all", "access"),
    "rejected": ("rejected",),
}
"""Lists of the page of access, and with which choices they are shown."""

_RANGES = {"1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "all": 0}
"""Seconds that the timeline goes back; 0: as far as there are snapshots."""

ROLES = {
    READ: ("Read", "see the project if it is hidden, see its tasks"),
    EDIT: ("Edit", "change the settings, pause the project"),
    MANAGE_ACCESS: ("Access", "give access to workers, and roles to managers"),
    SECRET: ("Secrets", "read and set the secrets"),
    MAINTENANCE: ("Maintenance", "reset, reclaim, retry and remove tasks"),
}


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
        live=_live(stats),
        trend=await recent_trend(visit, shown, stats),
        holders=[(worker, held[worker.id]) for worker in workers if worker],
        more_holders=len(held) - len(largest),
        chained=await _name(visit, chain) if chain else None,
        ranges=_RANGES,
        span=visit.choice("range", "6h", *_RANGES),
        may=_may(shown),
    )


def _live(stats: Stats) -> dict[str, int]:
    """The current counts for the charts, named as in a snapshot."""
    total = stats.counters.get
    return {
        "time_stamp": int(time.time()),
        "waiting_task_count": stats.waiting,
        "assigned_task_count": stats.assigned,
        "awaiting_verification_count": stats.verifying,
        "failed_task_count": stats.failed,
        "closed_task_count": total("closed", 0),
        "submitted_task_count": total("submitted", 0) + total("chained", 0),
        "all_failed_task_count": total("failed", 0),
        "reclaimed_task_count": total("reclaimed", 0),
    }


async def _name(visit: Visit, project: int) -> str | None:
    """None if the manager may not see the project."""
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
    targets = await _targets(visit, shown.id, shown.values["chain"]) if may["edit"] else None
    stats = await visit.store.monitoring.stats(shown.id)
    live = stats.waiting + stats.verifying + stats.delayed + stats.assigned + stats.failed
    return visit.page("settings.html", project=shown, values=shown.values, targets=targets, live=live, may=may)


def _may(project: Project) -> dict[str, bool]:
    return {"edit": bool(project.roles & EDIT), "maintain": bool(project.roles & MAINTENANCE)}


class _Targets(NamedTuple):
    """Projects that closed tasks may go on to."""

    found: list[tuple[int, str]]
    """Id and name of some, the current one among them."""
    words: str
    """The words that were searched in the names."""
    many: bool
    """Whether to offer a search."""


async def _targets(visit: Visit, project: int, current: int) -> _Targets:
    words = visit.text("find")
    page = await visit.store.projects.page(visit.me.id, "name", 0, CHOICES, text=words, role=EDIT)
    found = [(one.id, one.fields["name"]) for one in page.rows if one.id != project]
    many = bool(words) or page.onward is not None or len(found) > FEW
    if current and current not in dict(found):
        found.append((current, await _name(visit, current) or f"project {current}"))
    return _Targets(sorted(found, key=lambda target: target[1].casefold()), words, many)


@pages.add("/projects/{id}/secrets")
async def secrets(visit: Visit) -> Response:
    shown = await visit.project(SECRET)
    return visit.page("secrets.html", project=shown)


@pages.add("/projects/{id}/access")
async def access(visit: Visit) -> Response:
    project = await visit.project(MANAGE_ACCESS)
    show, may = visit.choice("show", "all", *_LISTS), visit.choice("may", "", "assign", "submit")
    filter, at = AccessFilter(may, visit.text("q")), {which: visit.text(which) for which in _LISTS}
    lists = {
        which: await visit.store.access.page(project.id, which, at[which], _ACCESS, filter)
        for which in _LISTS
        if show in _LISTS[which]
    }
    roles = await visit.store.projects.roles(project.id)
    holders = {manager.id for manager, _ in roles}
    others = [manager for manager in await visit.store.managers.every() if manager.id not in holders]
    return visit.page(
        "access.html",
        project=project,
        lists=lists,
        at=at,
        show=show,
        filter=filter,
        tokens=await visit.store.joining.tokens(project.id),
        managers=roles,
        others=sorted(others, key=lambda manager: manager.username.casefold()),
        roles=ROLES,
    )
