"""Maintenance of a project, and a look at its single tasks."""

from broker.api import answers, auth
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import MANAGER, NEEDS_MAINTENANCE, NO_SUCH_PROJECT, PROJECT_ID, Example, Operation, Routes
from broker.store.projects import MAINTENANCE

routes = Routes()

_WHOLE = (
    "For managers with MAINTENANCE. The call selects all tasks concerned in one step; tasks that are submitted or "
    "assigned, or that fail, after that are not changed. It takes up to about 30 seconds; after that the broker "
    "processes the other tasks in the background."
)


async def _run(call: Call, operation: str) -> Reply:
    project = await auth.authorized(call, MAINTENANCE)
    return Reply({"affected_tasks": await call.store.maintenance.run(project, operation)})


@routes.add(
    "POST /project/delete/{id}",
    Operation(
        group="Maintenance",
        summary="Delete a project",
        text="For managers with EDIT and MAINTENANCE. Deletes the project with its tasks, name, roles and access. "
        "Chains to it are removed. Its id is never used again. A repeat answers 404.",
        who=MANAGER,
        path=PROJECT_ID,
        refuses={"denied": "needs EDIT and MAINTENANCE on the project"} | NO_SUCH_PROJECT,
        example=Example(path="/project/delete/2"),
    ),
)
async def delete(call: Call) -> Reply:
    """Needs EDIT and MAINTENANCE; the script says so."""
    manager = await auth.manager(call)
    await call.store.maintenance.delete(manager.id, call.id("id"))
    return Reply()


@routes.add(
    "POST /project/reclaim_assigned_tasks/{id}",
    Operation(
        group="Maintenance",
        summary="Reclaim all assigned tasks",
        text=f"{_WHOLE} Assigned tasks are waiting again, whatever their deadline. Safe to repeat.",
        who=MANAGER,
        path=PROJECT_ID,
        content=(answers.AffectedTasks,),
        refuses=NEEDS_MAINTENANCE | NO_SUCH_PROJECT,
        example=Example(path="/project/reclaim_assigned_tasks/2", content={"affected_tasks": 0}),
    ),
)
async def reclaim_assigned(call: Call) -> Reply:
    return await _run(call, "reclaim_assigned")


@routes.add(
    "POST /project/hard_reset/{id}",
    Operation(
        group="Maintenance",
        summary="Delete all tasks of a project",
        text=f"{_WHOLE} Votes, hashes and remembered hashes are deleted too; counters and snapshots are "
        "kept. A repeat also deletes tasks that were submitted after the first call.",
        who=MANAGER,
        path=PROJECT_ID,
        content=(answers.AffectedTasks,),
        refuses=NEEDS_MAINTENANCE | NO_SUCH_PROJECT,
        example=Example(path="/project/hard_reset/2", content={"affected_tasks": 1}),
    ),
)
async def hard_reset(call: Call) -> Reply:
    return await _run(call, "hard_reset")


@routes.add(
    "POST /project/reset_failed_tasks/{id}",
    Operation(
        group="Maintenance",
        summary="Retry all failed tasks",
        text=f"{_WHOLE} Failed tasks are waiting again, with their votes and with `retries` 0. Safe to repeat.",
        who=MANAGER,
        path=PROJECT_ID,
        content=(answers.AffectedTasks,),
        refuses=NEEDS_MAINTENANCE | NO_SUCH_PROJECT,
        example=Example(path="/project/reset_failed_tasks/2", content={"affected_tasks": 0}),
    ),
)
async def reset_failed(call: Call) -> Reply:
    return await _run(call, "reset_failed")
