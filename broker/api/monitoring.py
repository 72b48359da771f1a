"""What a project and its workers have done over time, and do now."""

from broker.api.endpoint import route
from broker.api.projects import readable
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.errors import Invalid

_PAGE = 500
_ASSIGNEES = 16
_MOST = 100_000
"""Snapshots that one call gives at most."""


async def monitoring(call: Call) -> Reply:
    """The newest ``count`` snapshots."""
    project, count = await readable(call, call.id("id")), call.number("count", 1, 999)
    if count is None:
        raise Invalid("count: required, a whole number from 1 to 999")
    return await _snapshots(call, project.id, None, None, count)


async def monitoring_between(call: Call) -> Reply:
    project = await readable(call, call.id("id"))
    oldest, newest = call.moment("from"), call.moment("to")
    return await _snapshots(call, project.id, newest, oldest, _MOST)


async def _snapshots(call: Call, project: int, newest: int | None, oldest: int | None, most: int) -> Reply:
    snapshots = []
    async for snapshot in call.store.snapshots.newest_first(project, newest, oldest):
        snapshots.append(snapshot)
        if len(snapshots) == most:
            break
    return Reply({"snapshots": snapshots})


async def assignees(call: Call) -> Reply:
    """The workers that hold the most tasks, and how many nobody holds."""
    project = await readable(call, call.id("id"))
    held = await call.store.holders.of(project.id)
    largest = sorted(held, key=lambda worker: (-held[worker], worker))[:_ASSIGNEES]
    workers = await call.store.workers.get(largest) if largest else []
    rows = [{"assignee": worker.alias, "task_count": held[worker.id]} for worker in workers if worker]
    stats = await call.store.tasks.stats(project.id)
    return Reply({"assignees": [*rows, {"assignee": "unassigned", "task_count": stats.waiting + stats.verifying}]})


async def worker_stats(call: Call) -> Reply:
    """All workers, from a copy some seconds old; with ``offset`` or ``limit`` some, as they are; or of one project."""
    offset, limit = call.number("offset", 0, 10**9 - 1), call.number("limit", 1, _PAGE)
    project = call.number("project", 1, 10**9 - 1)
    if project is not None:
        await readable(call, project)
    elif offset is None and limit is None:
        return Reply({"stats": await call.store.worker_stats.all()})
    return Reply({"stats": await call.store.worker_stats.page(offset or 0, limit or _PAGE, project)})


ROUTES = [
    route("GET", "/project/monitoring/{id}", monitoring),
    route("GET", "/project/monitoring-between/{id}", monitoring_between),
    route("GET", "/project/assignees/{id}", assignees),
    route("GET", "/worker/stats", worker_stats),
]
