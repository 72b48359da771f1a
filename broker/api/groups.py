"""The groups of a project's tasks, such as hosts: how much waits, and limits of their own."""

from broker.api import answers, auth
from broker.api.bodies import SetGroup, required, valid_group
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import EITHER, MANAGER, NO_SUCH_PROJECT, PROJECT_ID, Example, Operation, Routes
from broker.errors import BrokerError, Invalid
from broker.store.groups import GroupRow
from broker.store.projects import EDIT, READ

routes = Routes()

_EXAMPLE = {
    "group": "example.org",
    "waiting": 0,
    "running": 0,
    "delay": 0.5,
    "limit": 2,
    "own": False,
    "next": None,
    "blocked_until": None,
    "set_by": None,
}


@routes.add(
    "GET /project/group/{id}",
    Operation(
        group="Maintenance",
        summary="Read one group of tasks",
        text="For workers with access, and for managers with READ, also if the project is public. A group that was "
        "never seen has zeros. A call with `X-Worker-ID`, or without a cookie, is a worker's call.",
        who=EITHER,
        path=PROJECT_ID,
        query=answers.GroupQuery,
        content=(answers.OneGroup,),
        refuses={
            "invalid": "the group is missing, or cannot be one",
            "denied": "the worker has no access; the manager lacks READ",
        }
        | NO_SUCH_PROJECT,
        example=Example(path="/project/group/2?group=example.org", content={"group": _EXAMPLE}),
    ),
)
async def get_group(call: Call) -> Reply:
    project = call.id("id")
    if auth.is_workers_call(call):
        worker = await auth.worker(call)
        if not await call.store.workers.access(project, worker.id):
            raise BrokerError("denied", "Needs access to the project")
    else:
        await auth.authorized(call, READ)
    return _reply(await call.store.groups.get(project, _checked(call.query("group"))))


@routes.add(
    "POST /project/group/{id}",
    Operation(
        group="Maintenance",
        summary="Give a group limits of its own, or block it",
        text="For managers with EDIT. Fields that are absent or null keep their values. A changed delay counts from "
        "the next get. Safe to repeat, but a block begins anew.",
        who=MANAGER,
        path=PROJECT_ID,
        body=SetGroup,
        content=(answers.OneGroup,),
        refuses={"denied": "needs EDIT on the project"} | NO_SUCH_PROJECT,
        example=Example(
            path="/project/group/2",
            body={"group": "example.org", "delay": 2.5, "limit": 1},
            content={"group": _EXAMPLE | {"delay": 2.5, "limit": 1, "own": True, "set_by": "manager 1"}},
        ),
    ),
)
async def set_group(call: Call) -> Reply:
    asking = await auth.manager(call)
    project = await auth.authorized(call, EDIT)
    body = await call.decode(SetGroup)
    if body.delay is not None and -1 < body.delay < 0:
        raise Invalid("delay: seconds, 0 or more, or -1 for the project's")
    group = _checked(body.group)
    found = await call.store.groups.get(
        project, group, delay=body.delay, limit=body.limit, blocked_for=body.blocked_for, by=f"manager {asking.id}"
    )
    return _reply(found)


def _checked(group: str | None) -> str:
    return valid_group(required(group or None, "group"))


def _reply(row: GroupRow) -> Reply:
    return Reply({"group": row._asdict()})
