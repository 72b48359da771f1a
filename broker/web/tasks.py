"""Tasks of a project by state, a single task, and the console, which submits tasks."""

from collections.abc import Sequence
from typing import NamedTuple

from starlette.responses import Response

from broker.api.project_tasks import SHORT_BYTES
from broker.api.requests import parsed_id
from broker.api.values import LONGEST_TEXT
from broker.errors import BrokerError
from broker.store.project_tasks import Failure, TaskFilter
from broker.store.projects import MAINTENANCE, READ, Project
from broker.store.task_fields import Row
from broker.store.tasks import project_of
from broker.store.workers import Worker
from broker.web import formats
from broker.web.routing import Pages
from broker.web.visit import CHOICES, FEW, Visit, page_count

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
        "A task is listed here until the time from which workers may get it.",
    ),
    "assigned": (
        "Assigned",
        "No tasks are assigned.",
        "A task is listed here while a worker holds it: until it is released, or reclaimed at its deadline.",
    ),
    "failed": (
        "Failed",
        "No tasks have failed.",
        "A task that has failed and has no retries left is listed here, with the reason that its worker gave.",
    ),
}
_PAGE = 50

_MESSAGES = 50
"""Messages of failed tasks that are shown."""


class Filter(NamedTuple):
    """Which tasks of a state are wanted, as the query has it; '' for any."""

    contains: str
    group: str
    worker: str

    @classmethod
    def of(cls, visit: Visit) -> "Filter":
        """Texts are not stripped: a message or the name of a group may begin and end with spaces."""
        query = visit.request.query_params
        return cls(query.get("contains", "")[:LONGEST_TEXT], query.get("group", ""), visit.text("worker"))

    def given(self) -> dict[str, str]:
        return {name: text for name, text in self._asdict().items() if text}

    def of_store(self, state: str) -> TaskFilter:
        # No worker has the id -1.
        return TaskFilter(state, self.contains, self.group, (parsed_id(self.worker) or -1) if self.worker else "")


class TaskList(NamedTuple):
    """Some tasks of a state."""

    rows: list[Row]
    pages: int = 1
    """How many numbered pages there are."""
    looked: int = 0
    """Tasks that were searched."""
    matched: int | None = None
    """How many of those match; None when they were not counted."""
    onward: int | None = None
    """Where the search continues."""


class Shown:
    """A task, as the templates use it."""

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
    state, page, filter = visit.choice("state", *STATES), visit.number("page", 1), Filter.of(visit)
    after = (parsed_id(visit.text("after")) or 0) if filter.given() else 0
    shown = await _listed(visit, project.id, filter.of_store(state), page, after)
    workers = await _workers(visit, shown.rows)
    stats = await visit.store.monitoring.stats(project.id)
    totals = {"queue": stats.waiting} | {state: getattr(stats, state) for state in STATES if state != "queue"}
    is_first = state == "failed" and page == 1 and not filter.given()
    failures = await visit.store.project_tasks.failures(project.id) if is_first and shown.rows else []
    return visit.page(
        "tasks.html",
        project=project,
        states=STATES,
        state=state,
        totals=totals,
        filter=filter,
        matching=_body(state, filter),
        found=shown,
        tasks=[Shown(row, state, workers) for row in shown.rows],
        failures=failures[:_MESSAGES],
        counted=_counted(failures),
        page=page,
        after=after,
        may_change=bool(project.roles & MAINTENANCE),
    )


async def _listed(visit: Visit, project: int, filter: TaskFilter, page: int, after: int) -> TaskList:
    tasks, offset = visit.store.project_tasks, (page - 1) * _PAGE
    if filter.state == "failed":
        failed = await tasks.failed(project, filter, start=after, skip=offset, limit=_PAGE, longest=SHORT_BYTES)
        if not any(filter[1:]):
            return TaskList(failed.rows, page_count(failed.total, _PAGE))
        onward = after + failed.looked
        return TaskList(
            failed.rows,
            page_count(failed.matched, _PAGE),
            failed.looked,
            failed.matched,
            onward if failed.looked and onward < failed.total else None,
        )
    if any(filter[1:]):
        next, rows = await tasks.find(
            project, filter, newest=False, entry=after or None, limit=_PAGE, longest=SHORT_BYTES
        )
        return TaskList(rows, onward=next)
    total, rows = await tasks.page(project, filter.state, offset, _PAGE, longest=SHORT_BYTES)
    return TaskList(rows, page_count(total, _PAGE))


def _body(state: str, filter: Filter) -> dict[str, object]:
    """The body of a call that retries or removes the listed tasks."""
    worker = {"worker": parsed_id(filter.worker) or 0} if filter.worker else {}
    return {"state": state, **filter.given(), **worker}


def _counted(failures: list[Failure]) -> tuple[int, int]:
    """How many tasks have these messages, and how many messages are not shown."""
    return sum(failure.count for failure in failures), max(0, len(failures) - _MESSAGES)


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
    """The workers that hold these tasks or were the last to fail them, and some that have voted."""
    ids = {row.assignee for row in rows if row.assignee} | set(voters)
    ids |= {row.error.worker for row in rows if row.error and row.error.worker}
    some = sorted(ids)[:500]
    found = await visit.store.workers.get(some) if some else []
    return {worker.id: worker for worker in found if worker}


@pages.add("/console")
async def console(visit: Visit) -> Response:
    chosen, words = visit.number("project", 0), visit.text("find")
    page = await visit.store.projects.page(visit.me.id, "name", 0, CHOICES, text=words)
    projects, many = page.rows, bool(words) or page.onward is not None or len(page.rows) > FEW
    if not words and chosen and chosen not in {project.id for project in projects}:
        projects += await _visible(visit, chosen)
    return visit.page("console.html", projects=projects, chosen=chosen, words=words, many=many)


async def _visible(visit: Visit, id: int) -> list[Project]:
    """The project, or none."""
    try:
        project = await visit.store.projects.get(id, visit.me.id)
    except BrokerError as error:
        if error.code != "not_found":
            raise
        return []
    return [project] if project.visible else []
