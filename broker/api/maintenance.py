"""Maintenance of a project, and a look at its single tasks."""

from broker.api import answers, auth
from broker.api.operation import MANAGER, NEEDS_MAINTENANCE, NO_SUCH_PROJECT, PROJECT_ID, Example, Operation
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import Routes
from broker.store.projects import MAINTENANCE

routes = Routes()

_WHOLE = (
    "By a manager with MAINTENANCE. It takes hold of all tasks concerned in one step; what is submitted, assigned or "
    "fails after that is not touched. It may take up to about 30 seconds; what is left then the broker goes on with."
)


async def _run(call: Call, operation: str) -> Reply:
    project = await auth.authorized(call, MAINTENANCE)
    return Reply({"affected_tasks": await call.store.maintenance.run(project, operation)})


@routes.add(
    "POST /project/delete/{id}",
    Operation(
        group="Maintenance",
        summary="Delete a project",
        text="By a manager with EDIT and MAINTENANCE. Its tasks, name, roles and accesses are gone, and chains to it "
        "end. Its id is never given again. 404 the second time.",
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
        summary="Take all assigned tasks back",
        text=f"{_WHOLE} They wait again, whatever their deadline was. Safe to repeat.",
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
        text=f"{_WHOLE} Their votes and hashes go too, and remembered hashes; counters and snapshots stay. "
        "A second one also deletes what was submitted after the first.",
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
        summary="Let all failed tasks wait again",
        text=f"{_WHOLE} They keep their votes, and have `retries` 0. Safe to repeat.",
        who=MANAGER,
        path=PROJECT_ID,
        content=(answers.AffectedTasks,),
        refuses=NEEDS_MAINTENANCE | NO_SUCH_PROJECT,
        example=Example(path="/project/reset_failed_tasks/2", content={"affected_tasks": 0}),
    ),
)
async def reset_failed(call: Call) -> Reply:
    return await _run(call, "reset_failed")
