"""Tasks of a project, by state, and a single one; and the console, which submits some."""

from collections.abc import Sequence

from starlette.responses import Response

from broker.api.project_tasks import SHORT_BYTES
from broker.errors import BrokerError
from broker.store.projects import MAINTENANCE, READ, Project
from broker.store.task_fields import Row
from broker.store.tasks import project_of
from broker.store.workers import Worker
from broker.web import formats
from broker.web.routing import Pages
from broker.web.visit import Visit, page_count

pages = Pages()

STATES = {
    "queue": ("Waiting", "No tasks are waiting.", "Workers submit tasks, and so can you:"),
    "verifying": (
        "Verifying",
        "No tasks wait for another vote.",
        "A task that needs several votes is listed here after its first vote.",
    ),
    "delayed": (
        "Delayed",
        "No tasks are delayed.",
        "A task is listed here until the time before which no worker gets it.",
    ),
    "assigned": (
        "Assigned",
        "No tasks are assigned.",
        "A task is listed here while a worker holds it: until it is released, or reclaimed at its deadline.",
    ),
    "failed": (
        "Failed",
        "No tasks have failed.",
        "A task that has no retries left stays here. You can retry or remove it.",
    ),
}
_PAGE = 50

_CHOICES = 500
"""Projects that the console lets choose from."""


class Shown:
    """A task, with what the templates ask of it."""

    def __init__(self, row: Row, state: str, workers: dict[int, Worker]) -> None:
        self.row = row
        self.id = row.id
        self.state = state
        self.title = STATES[state][0]
        self.score = row.score / 1000
        self.holder = workers.get(row.assignee) if row.assignee else None
        self.failed_by = workers.get(row.error.worker) if row.error and row.error.worker else None
        self.votes = [(worker, workers.get(worker), vote) for worker, vote in row.votes]


@pages.add("/projects/{id}/tasks")
async def tasks(visit: Visit) -> Response:
    project = await visit.project(READ)
    if wanted := visit.text("task"):
        return visit.go(f"projects/{project.id}/tasks/{wanted if wanted.isdecimal() and wanted.isascii() else 0}")
    state, page = visit.choice("state", *STATES), visit.number("page", 1)
    total, rows = await visit.store.project_tasks.page(
        project.id, state, (page - 1) * _PAGE, _PAGE, longest=SHORT_BYTES
    )
    workers = await _workers(visit, rows)
    stats = await visit.store.monitoring.stats(project.id)
    totals = {"queue": stats.waiting} | {state: getattr(stats, state) for state in STATES if state != "queue"}
    return visit.page(
        "tasks.html",
        project=project,
        states=STATES,
        state=state,
        totals=totals,
        tasks=[Shown(row, state, workers) for row in rows],
        page=page,
        pages=page_count(total, _PAGE),
        may_change=bool(project.roles & MAINTENANCE),
    )


@pages.add("/projects/{id}/tasks/{task}")
async def task(visit: Visit) -> Response:
    project, id = await visit.project(READ), visit.id("task")
    try:
        found = await visit.store.project_tasks.get(project.id, id) if project_of(id) == project.id else None
    except BrokerError as error:
        if error.code != "not_found":
            raise
        found = None
    if found is None:
        return visit.page("task_gone.html", 404, project=project, id=id)
    state, row = found
    shown = Shown(row, state, await _workers(visit, [row], voters=[worker for worker, _ in row.votes]))
    pretty = formats.pretty(row.fields.recipe)
    return visit.page(
        "task.html", project=project, task=shown, pretty=pretty, may_change=bool(project.roles & MAINTENANCE)
    )


async def _workers(visit: Visit, rows: list[Row], voters: Sequence[int] = ()) -> dict[int, Worker]:
    """Those that hold these tasks or have failed them, and some that have voted."""
    ids = {row.assignee for row in rows if row.assignee} | set(voters)
    ids |= {row.error.worker for row in rows if row.error and row.error.worker}
    some = sorted(ids)[:500]
    found = await visit.store.workers.get(some) if some else []
    return {worker.id: worker for worker in found if worker}


@pages.add("/console")
async def console(visit: Visit) -> Response:
    chosen = visit.number("project", 0)
    projects = (await visit.store.projects.page(visit.me.id, "name", 0, _CHOICES)).rows
    if chosen and chosen not in {project.id for project in projects}:
        projects += await _visible(visit, chosen)
    return visit.page("console.html", projects=projects, chosen=chosen)


async def _visible(visit: Visit, id: int) -> list[Project]:
    """The project, or none."""
    try:
        project = await visit.store.projects.get(id, visit.me.id)
    except BrokerError as error:
        if error.code != "not_found":
            raise
        return []
    return [project] if project.visible else []
