"""Snapshots of projects, the workers that hold their tasks, and workers' statistics."""

from collections.abc import Callable, Mapping

import orjson

from broker.api import answers, auth, presence, queries
from broker.api.requests import Call
from broker.api.responses import Answer, Listed, Reply
from broker.api.routing import NO_SUCH_PROJECT, PROJECT_ID, READER, Example, Operation, Routes
from broker.errors import Invalid
from broker.store.monitoring import Snapshot
from broker.store.worker_stats import PAGE, WorkerCounts

_ASSIGNEES = 16
_MOST = 100_000
"""Snapshots in one answer."""


routes = Routes()


def snapshot_view(snapshot: Snapshot) -> dict[str, int]:
    return {
        "new_task_count": snapshot.new,
        "failed_task_count": snapshot.failed,
        "closed_task_count": snapshot.closed,
        "worker_access_count": snapshot.access,
        "awaiting_verification_count": snapshot.awaiting,
        "time_stamp": snapshot.time,
    }


def full_snapshot_view(snapshot: Snapshot) -> dict[str, int | None]:
    return {
        **snapshot_view(snapshot),
        "waiting_task_count": snapshot.waiting,
        "assigned_task_count": snapshot.assigned,
        "submitted_task_count": snapshot.submitted,
        "all_failed_task_count": snapshot.fails,
        "reclaimed_task_count": snapshot.reclaimed,
    }


_View = Callable[[Snapshot], Mapping[str, int | None]]


@routes.add(
    "GET /project/monitoring/{id}",
    Operation(
        group="Maintenance",
        summary="List the newest snapshots of a project",
        text="For everybody; if the project is hidden, for managers with READ. A snapshot is taken every 120 seconds "
        "and kept for 400 hours (settings).",
        who=READER,
        path=PROJECT_ID,
        query=queries.SnapshotsQuery,
        content=(answers.Snapshots,),
        refuses=NO_SUCH_PROJECT,
        example=Example(
            path="/project/monitoring/2?count=1",
            content={
                "snapshots": [
                    {
                        "new_task_count": 2,
                        "failed_task_count": 0,
                        "closed_task_count": 0,
                        "worker_access_count": 1,
                        "awaiting_verification_count": 0,
                        "time_stamp": 1795471193,
                    }
                ]
            },
        ),
    ),
)
async def monitoring(call: Call) -> Reply:
    project, count = await auth.readable(call, call.id("id")), call.number("count", 1, 999)
    if count is None:
        raise Invalid("count: required, a whole number from 1 to 999")
    return await _snapshots(call, project.id, None, None, count)


@routes.add(
    "GET /project/monitoring-between/{id}",
    Operation(
        group="Maintenance",
        summary="List the snapshots of a time range",
        text="Like `/project/monitoring/{id}`, with at most 100,000 snapshots; with `full=1`, each has more counts.",
        who=READER,
        path=PROJECT_ID,
        query=queries.BetweenQuery,
        content=(answers.Snapshots, answers.FullSnapshots),
        refuses=NO_SUCH_PROJECT,
        example=Example(
            path="/project/monitoring-between/2?from=1795468800&to=1795469100",
            content={"snapshots": []},
        ),
    ),
)
async def monitoring_between(call: Call) -> Reply:
    project = await auth.readable(call, call.id("id"))
    oldest, newest = call.moment("from"), call.moment("to")
    view = full_snapshot_view if call.query("full") == "1" else snapshot_view
    return await _snapshots(call, project.id, newest, oldest, _MOST, view=view)


async def _snapshots(
    call: Call, project: int, newest: int | None, oldest: int | None, most: int, *, view: _View = snapshot_view
) -> Reply:
    snapshots = []
    async for snapshot in call.store.monitoring.snapshots(project, newest, oldest):
        snapshots.append(view(snapshot))
        if len(snapshots) == most:
            break
    return Reply({"snapshots": snapshots})


@routes.add(
    "GET /project/assignees/{id}",
    Operation(
        group="Maintenance",
        summary="Count the assigned tasks by worker",
        text="For everybody; if the project is hidden, for managers with READ. Returns the 16 workers that hold the "
        "most tasks, and last, as `unassigned`, the number of tasks that wait, with or without votes.",
        who=READER,
        path=PROJECT_ID,
        content=(answers.Assignees,),
        refuses=NO_SUCH_PROJECT,
        example=Example(
            path="/project/assignees/2",
            content={
                "assignees": [
                    {"assignee": "crawler-01", "task_count": 1},
                    {"assignee": "unassigned", "task_count": 2},
                ]
            },
        ),
    ),
)
async def assignees(call: Call) -> Reply:
    project = await auth.readable(call, call.id("id"))
    held = await call.store.monitoring.held(project.id)
    largest = sorted(held, key=lambda worker: (-held[worker], worker))[:_ASSIGNEES]
    workers = await call.store.workers.get(largest) if largest else []
    rows = [{"assignee": worker.alias, "task_count": held[worker.id]} for worker in workers if worker]
    stats = await call.store.monitoring.stats(project.id)
    return Reply({"assignees": [*rows, {"assignee": "unassigned", "task_count": stats.waiting + stats.verifying}]})


@routes.add(
    "GET /worker/stats",
    Operation(
        group="Workers",
        summary="Count the closed and assigned tasks of workers",
        text="For everybody; with a hidden `project`, for managers with READ on it. Without a query, all workers are "
        "returned; with a query, at most 500. Counts are cached for some seconds, usually at most 10; with `project`, "
        "`closed_task_count` and `failed_task_count` are current. `alias` and `paused` are always current. Managers "
        "who are logged in, and a worker in its own row, also see when the worker was last seen, how many tasks it "
        "holds, how many it failed, and its `X-Worker-Info`.",
        who=READER,
        query=queries.WorkerStatsQuery,
        content=(answers.AllWorkerStats,),
        refuses={"not_found": "no such project"},
        example=Example(
            path="/worker/stats?project=2&limit=1",
            content={
                "stats": [
                    {"alias": "crawler-01", "closed_task_count": 1, "paused": False, "id": 1}
                    | {"last_seen": 1795471260, "held_task_count": 0, "failed_task_count": 1}
                    | {"version": None, "host": None}
                ]
            },
        ),
    ),
)
async def worker_stats(call: Call) -> Answer:
    offset, limit = call.page()
    project = call.number("project", 1, 10**9 - 1)
    if project is not None:
        await auth.readable(call, project)
    sees, stats = await presence.seen_by(call), call.store.worker_stats
    if project is None and offset is None and limit is None:
        slices = await stats.rendered(_whole_json if sees.all else _json)
        own = await stats.of([sees.own]) if sees.own else []
        return Listed("stats", _with_more(slices, own[0]) if own else slices)
    rows = await stats.page(offset or 0, limit or PAGE, project)
    return Reply({"stats": [_whole(row) if sees.worker(row.worker.id) else _counts(row) for row in rows]})


def _json(rows: list[WorkerCounts]) -> bytes:
    return orjson.dumps([_counts(row) for row in rows])


def _whole_json(rows: list[WorkerCounts]) -> bytes:
    return orjson.dumps([_whole(row) for row in rows])


def _whole(row: WorkerCounts) -> dict[str, object]:
    return _counts(row) | presence.view(row)


def _counts(row: WorkerCounts) -> dict[str, object]:
    """The id comes last: see :func:`_with_more`."""
    worker = row.worker
    return {"alias": worker.alias, "closed_task_count": row.closed, "paused": worker.paused, "id": worker.id}


def _with_more(slices: list[bytes], row: WorkerCounts) -> list[bytes]:
    """The shared list, with more fields in one row. The row is found by its end: JSON escapes the quotes of texts, so
    no text looks like it.
    """
    end = b'"id":%d}' % row.worker.id
    for n, one in enumerate(slices):
        before, found, after = one.partition(end)
        if found:
            whole = b"%b%b,%b%b" % (before, end[:-1], orjson.dumps(presence.view(row))[1:], after)
            return [*slices[:n], whole, *slices[n + 1 :]]
    return slices
