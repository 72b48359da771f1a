"""Maintenance of a project, and a look at its single tasks."""

from broker.api import auth
from broker.api.endpoint import Handler, route
from broker.api.projects import authorized
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.errors import Invalid
from broker.store.projects import MAINTENANCE, READ
from broker.store.task_views import Row
from broker.store.tasks import project_of

_STATES = {"queue": 1, "verifying": 1, "assigned": 1, "failed": 2}
"""The task's status, as the original tracker counted: 1 new, 2 failed."""

_SHORT = 200
"""Characters of a recipe in a list."""

_LARGEST_OFFSET = 10**9 - 1
_PAGE = 50


def _run(operation: str) -> Handler:
    async def run(call: Call) -> Reply:
        project = await authorized(call, MAINTENANCE)
        return Reply({"affected_tasks": await call.store.maintenance.run(project, operation)})

    return run


async def delete(call: Call) -> Reply:
    """Needs EDIT and MAINTENANCE; the script says so."""
    manager = await auth.manager(call)
    await call.store.maintenance.delete(manager.id, call.id("id"))
    return Reply()


async def tasks(call: Call) -> Reply:
    project = await authorized(call, READ)
    state = call.query("state")
    state = "queue" if state is None else state
    if state not in _STATES:
        raise Invalid(f"state: one of {', '.join(_STATES)}")
    offset, limit = call.number("offset", 0, _LARGEST_OFFSET) or 0, call.number("limit", 1, 500) or _PAGE
    full = call.query("full") == "1"
    # A character has four bytes at most, and the script may leave the last one out; what is over is cut below.
    longest = 0 if full else 4 * (_SHORT + 1)
    total, rows = await call.store.task_views.page(project, state, offset, limit, longest=longest)
    return Reply({"total": total, "tasks": [_view(row, state, full=full) for row in rows]})


def _view(row: Row, state: str, *, full: bool) -> dict[str, object]:
    recipe = row.recipe if full else row.recipe[:_SHORT]
    return {
        "id": row.id,
        "state": state,
        "status": _STATES[state],
        "recipe": recipe,
        "recipe_bytes": row.length,
        "priority": row.priority,
        "retries": row.retries,
        "max_retries": row.max_retries,
        "max_assign_time": row.max_assign_time,
        "verification_count": row.verification_count,
        "hash64": row.hash,
        "created": row.created,
        "assignee": row.assignee,
        "assign_time": row.assign_time,
        "deadline": int(row.score) // 1000 if state == "assigned" else None,
        "fail_time": int(row.score) // 1000 if state == "failed" else None,
        "votes": [{"worker": worker, "verification": vote} for worker, vote in row.votes],
    }


async def task(call: Call) -> Reply:
    project = await authorized(call, READ)
    state, row = await call.store.task_views.get(project, _task_of(call, project))
    return Reply({"task": _view(row, state, full=True)})


async def retry_task(call: Call) -> Reply:
    project, task = await _task(call)
    await call.store.tasks.retry(project, task)
    return Reply()


async def remove_task(call: Call) -> Reply:
    project, task = await _task(call)
    await call.store.tasks.remove(project, task)
    return Reply()


async def _task(call: Call) -> tuple[int, int]:
    project = await authorized(call, MAINTENANCE)
    return project, _task_of(call, project)


def _task_of(call: Call, project: int) -> int:
    task = call.id("task")
    if project_of(task) != project:
        raise Invalid("task: not an id of this project")
    return task


ROUTES = [
    route("POST", "/project/reset_failed_tasks/{id}", _run("reset_failed")),
    route("POST", "/project/hard_reset/{id}", _run("hard_reset")),
    route("POST", "/project/reclaim_assigned_tasks/{id}", _run("reclaim_assigned")),
    route("POST", "/project/delete/{id}", delete),
    route("GET", "/project/tasks/{id}", tasks),
    route("GET", "/project/task/{id}/{task}", task),
    route("POST", "/project/retry_task/{id}/{task}", retry_task),
    route("POST", "/project/remove_task/{id}/{task}", remove_task),
]
