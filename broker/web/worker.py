"""One worker: when it was last seen, its access, assigned tasks and log lines, and why it gets no tasks."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from starlette.responses import Response

from broker.api.reasons import Told, reasons
from broker.errors import BrokerError
from broker.store.projects import MAINTENANCE, MANAGE_ACCESS, READ, Project
from broker.web.logs import entry_of, keyed
from broker.web.routing import Pages
from broker.web.visit import Visit
from broker.web.workers import silent_since

pages = Pages()

_PROJECTS = 25
"""Projects that are shown: each takes four calls of the store."""

_LINES = 10
"""The number of log lines that are shown at most."""


class Place(NamedTuple):
    """A project in which the worker was granted access, or about which somebody asks."""

    project: Project
    may: str
    """'assign', 'submit', 'assign,submit' or ''."""
    held: int
    closed: int
    failed: int

    @property
    def reads(self) -> bool:
        return bool(self.project.roles & READ)

    @property
    def manages_access(self) -> bool:
        return bool(self.project.roles & MANAGE_ACCESS)

    @property
    def maintains(self) -> bool:
        return bool(self.project.roles & MAINTENANCE)


@pages.add("/workers/{id}")
async def worker(visit: Visit) -> Response:
    id, why = visit.id("id"), visit.number("why", 0)
    rows = await visit.store.worker_stats.of([id])
    if not rows:
        raise BrokerError("not_found", "No such worker: it may have been deleted")
    granted = sorted(await visit.store.workers.projects(id))
    asked = [why] if why and why not in granted else []
    found = await asyncio.gather(*(_place(visit, id, project) for project in [*asked, *granted[:_PROJECTS]]))
    places = [place for place in found if place is not None]
    asked_about = next((place for place in places if place.project.id == why and place.manages_access), None)
    return visit.page(
        "worker.html",
        row=rows[0],
        places=[place for place in places if place.may],
        more=max(0, len(granted) - _PROJECTS),
        elsewhere=max(0, rows[0].held - sum(place.held for place in places)),
        asked_about=asked_about,
        reasons=await _reasons(visit, asked_about, id) if asked_about else [],
        silent=silent_since(),
        entries=keyed([entry_of(line, level) for level, line in await visit.store.logs.of_worker(id, _LINES)]),
    )


async def _place(visit: Visit, worker: int, id: int) -> Place | None:
    """None if the project was deleted, or if this manager may not see it."""
    store = visit.store
    try:
        project = await store.projects.get(id, visit.me.id)
        if not project.visible:
            return None
        may, ((closed, failed),), held = await asyncio.gather(
            store.workers.access(id, worker),
            store.workers.closed_by(id, [worker]),
            store.worker_stats.held_in(id, worker),
        )
    except BrokerError as error:
        if error.code != "not_found":
            raise
        return None
    return Place(project, may, held, closed, failed)


async def _reasons(visit: Visit, place: Place, worker: int) -> Sequence[Told]:
    try:
        return await reasons(visit.store, place.project.id, worker)
    except BrokerError as error:
        if error.code != "not_found":
            raise
        return []
