"""Maintenance of a project for managers: reclaim, retry or delete all of its tasks, or those that match."""

from functools import partial

from broker.api import answers, auth
from broker.api.bodies import MatchTasks
from broker.api.project_tasks import filter_of
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import MANAGER, NEEDS_MAINTENANCE, NO_SUCH_PROJECT, PROJECT_ID, Example, Operation, Routes
from broker.api.values import required
from broker.errors import Invalid
from broker.store.maintenance import Matching
from broker.store.projects import MAINTENANCE

routes = Routes()


_WHOLE = (
    "For managers with MAINTENANCE. The call selects all tasks concerned in one step; tasks that are submitted or "
    "assigned, or that fail, after that are not changed. A hard reset answers then, and the tasks are deleted in the "
    "background. The others answer when the tasks wait again, or after 30 seconds; the rest follows in the background."
)


_all_tasks = partial(
    Operation,
    group="Maintenance",
    who=MANAGER,
    path=PROJECT_ID,
    content=(answers.AffectedTasks,),
    refuses=NEEDS_MAINTENANCE | NO_SUCH_PROJECT,
)


@routes.add(
    "POST /project/reclaim_assigned_tasks/{id}",
    _all_tasks(
        summary="Reclaim all assigned tasks",
        text=f"{_WHOLE} Assigned tasks are waiting again, whatever their deadline. Safe to repeat.",
        example=Example(path="/project/reclaim_assigned_tasks/2", content={"affected_tasks": 1}),
    ),
)
async def reclaim_assigned(call: Call) -> Reply:
    return await _run(call, "reclaim_assigned")


@routes.add(
    "POST /project/hard_reset/{id}",
    _all_tasks(
        summary="Delete all tasks of a project",
        text=f"{_WHOLE} Votes, hashes and remembered hashes are deleted too; counters and snapshots are kept. A repeat "
        "also deletes tasks that were submitted after the first call.",
        example=Example(path="/project/hard_reset/2", content={"affected_tasks": 1}),
    ),
)
async def hard_reset(call: Call) -> Reply:
    return await _run(call, "hard_reset")


@routes.add(
    "POST /project/reset_failed_tasks/{id}",
    _all_tasks(
        summary="Retry all failed tasks",
        text=f"{_WHOLE} Failed tasks are waiting again, with their votes and with `retries` 0. Safe to repeat.",
        example=Example(path="/project/reset_failed_tasks/2", content={"affected_tasks": 0}),
    ),
)
async def reset_failed(call: Call) -> Reply:
    return await _run(call, "reset_failed")


async def _run(call: Call, maintenance: str) -> Reply:
    project = await auth.authorized(call, MAINTENANCE)
    return Reply({"affected_tasks": await call.store.maintenance.run(project, maintenance)})


_MATCHING = (
    "For managers with MAINTENANCE. The call looks at all tasks of the project one by one, from the oldest to the "
    "newest. Tasks that do not match can be assigned all the time; tasks that are submitted later are left alone. "
    "Each task is looked at once, in the state that it then has. The call answers when it is done, or after 5 seconds "
    "with `pending`: the rest follows in the background, also if this server process dies. Several such calls are "
    "carried out one after another."
)

_matching_tasks = partial(
    Operation,
    group="Maintenance",
    who=MANAGER,
    path=PROJECT_ID,
    body=MatchTasks,
    content=(answers.MatchingTasks,),
    refuses=NEEDS_MAINTENANCE
    | NO_SUCH_PROJECT
    | {"rate_limited": "the project has 16 calls in progress that retry or remove tasks"},
)


@routes.add(
    "POST /project/retry_tasks/{id}",
    _matching_tasks(
        summary="Retry the failed tasks that match",
        text=f"{_MATCHING} Failed tasks are waiting again, with their votes and with `retries` 0. A task that fails "
        "again meanwhile is not retried a second time.",
        example=Example(
            path="/project/retry_tasks/2",
            body={"state": "failed", "contains": "https://example.org/"},
            content={"affected_tasks": 0, "pending": False},
        ),
    ),
)
async def retry_tasks(call: Call) -> Reply:
    return await _matching(call, "retry_tasks", "failed")


@routes.add(
    "POST /project/remove_tasks/{id}",
    _matching_tasks(
        summary="Delete the tasks of a state that match",
        text=f"{_MATCHING} The tasks are deleted with their votes, and their hashes are free at once. If a worker "
        "holds a task, its release answers `updated` false.",
        example=Example(
            path="/project/remove_tasks/2",
            body={"state": "waiting", "group": "example.org"},
            content={"affected_tasks": 0, "pending": False},
        ),
    ),
)
async def remove_tasks(call: Call) -> Reply:
    return await _matching(call, "remove_tasks", None)


async def _matching(call: Call, operation: Matching, state: str | None) -> Reply:
    """``state``: the only one that is allowed; None: any, but one must be sent."""
    project = await auth.authorized(call, MAINTENANCE)
    body = await call.decode(MatchTasks)
    filter = filter_of(required(body.state or state, "state"), body.contains, body.group, body.worker)
    if state not in {None, filter.state}:
        raise Invalid(f"state: only {state}")
    affected, pending = await call.store.maintenance.run_matching(project, operation, filter)
    return Reply({"affected_tasks": affected, "pending": pending})


@routes.add(
    "POST /project/reclaim_worker/{id}/{worker}",
    Operation(
        group="Maintenance",
        summary="Reclaim the tasks of one worker",
        text="For managers with MAINTENANCE. The tasks that the worker holds in this project are waiting again, "
        "whatever their deadlines; the call answers when that is done. Tasks that the worker gets meanwhile may stay: "
        "pause it, or revoke its access, first. Safe to repeat.",
        who=MANAGER,
        path=PROJECT_ID | {"worker": "the worker's id"},
        content=(answers.AffectedTasks,),
        refuses=NEEDS_MAINTENANCE | NO_SUCH_PROJECT,
        example=Example(path="/project/reclaim_worker/2/1", content={"affected_tasks": 0}),
    ),
)
async def reclaim_worker(call: Call) -> Reply:
    project, worker = await auth.authorized(call, MAINTENANCE), call.id("worker")
    return Reply({"affected_tasks": await call.store.project_tasks.reclaim(project, worker)})
