"""One project: how it goes, its settings, its secrets, who may work on it; and a new one."""

from starlette.responses import Response

from broker.store.projects import EDIT, MAINTENANCE, MANAGE_ACCESS, READ, SECRET
from broker.web.routing import Pages
from broker.web.visit import Visit

pages = Pages()

_HOLDERS = 16
_RANGES = {"1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "all": 0}
"""Seconds that the timeline goes back; 0: as far as there are snapshots."""


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
    chain = shown.view()["chain"]
    return visit.page(
        "project.html",
        project=shown,
        stats=stats,
        trend=await visit.site.trends.of(visit.store, shown.id, stats),
        holders=[(worker, held[worker.id]) for worker in workers if worker],
        more_holders=len(held) - len(largest),
        chained=await _name(visit, chain) if chain else None,
        ranges=_RANGES,
        span=visit.choice("range", "6h", *_RANGES),
        may={"edit": bool(shown.roles & EDIT), "maintain": bool(shown.roles & MAINTENANCE)},
    )


async def _name(visit: Visit, project: int) -> str | None:
    """None when the manager may not see it."""
    async for other in visit.store.projects.every(visit.me.id):
        if other.id == project:
            return other.fields["name"] if other.visible else None
    return None


@pages.add("/projects/{id}/settings")
async def settings(visit: Visit) -> Response:
    shown = await visit.project(EDIT)
    targets = await _targets(visit, shown.id, shown.view()["chain"])
    return visit.page("settings.html", project=shown, values=shown.view(), targets=targets)


async def _targets(visit: Visit, project: int, current: int) -> list[tuple[int, str]]:
    """Projects that closed tasks may go on to."""
    every = [other async for other in visit.store.projects.every(visit.me.id)]
    allowed = [one for one in every if one.id != project and (one.roles & EDIT or one.id == current)]
    names = ((one.id, one.fields["name"] if one.visible else f"project {one.id}") for one in allowed)
    return sorted(names, key=lambda target: target[1].casefold())


@pages.add("/projects/{id}/secrets")
async def secrets(visit: Visit) -> Response:
    shown = await visit.project(SECRET)
    return visit.page("secrets.html", project=shown)


ROLES = {
    READ: ("Read", "see the project if it is hidden, see its tasks"),
    EDIT: ("Edit", "change the settings, pause the project"),
    MANAGE_ACCESS: ("Access", "give access to workers, and roles to managers"),
    SECRET: ("Secrets", "read and set the secrets"),
    MAINTENANCE: ("Maintenance", "reset, reclaim, retry and remove tasks"),
}


@pages.add("/projects/{id}/access")
async def access(visit: Visit) -> Response:
    project = await visit.project(MANAGE_ACCESS)
    listed = await visit.store.workers.access_list(project.id)
    roles = await visit.store.projects.roles(project.id)
    holders = {manager.id for manager, _ in roles}
    others = [manager for manager in await visit.store.managers.every() if manager.id not in holders]
    return visit.page(
        "access.html",
        project=project,
        requests=[(access, worker) for access, worker in listed if access.request],
        granted=[(access, worker) for access, worker in listed if not access.request],
        managers=roles,
        others=sorted(others, key=lambda manager: manager.username.casefold()),
        roles=ROLES,
    )
