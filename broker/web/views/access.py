"""Who may work on a project, and who may manage it."""

from starlette.responses import Response

from broker.store.projects import EDIT, MAINTENANCE, MANAGE_ACCESS, READ, SECRET
from broker.store.workers import Worker
from broker.web.routing import Pages
from broker.web.visit import Visit

pages = Pages()

ROLES = {
    READ: ("Read", "see it when it is hidden, look at its tasks"),
    EDIT: ("Edit", "change its settings, pause it"),
    MANAGE_ACCESS: ("Access", "let workers and managers in"),
    SECRET: ("Secrets", "read and set its secrets"),
    MAINTENANCE: ("Maintenance", "reset, reclaim, retry and remove tasks"),
}
_PAGE = 500


@pages.add("/projects/{id}/access")
async def access(visit: Visit) -> Response:
    project = await visit.project(MANAGE_ACCESS)
    accesses = await visit.store.workers.access_list(project.id)
    workers: dict[int, Worker] = {}
    for start in range(0, len(accesses), _PAGE):
        some = [access.worker for access in accesses[start : start + _PAGE]]
        workers |= {worker.id: worker for worker in await visit.store.workers.get(some) if worker}
    listed = [(access, workers[access.worker]) for access in accesses if access.worker in workers]
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
