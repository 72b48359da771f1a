"""The groups of a project's tasks, such as hosts: how much waits, and limits of their own."""

from broker.api import answers, auth, queries
from broker.api.bodies import RemoveGroup, SetGroup
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import (
    EITHER,
    MANAGER,
    NEEDS_MAINTENANCE,
    NEEDS_READ,
    NO_SUCH_PROJECT,
    PROJECT_ID,
    Example,
    Operation,
    Routes,
)
from broker.api.values import required, seconds_or_minus_1, valid_group
from broker.errors import BrokerError, Invalid
from broker.store.groups import GROUP_STATES, GroupRow
from broker.store.projects import EDIT, MAINTENANCE, READ

_PAGE = 100

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
        "never seen has zeros. A call with an id in `X-Worker-ID`, or without a cookie, is a worker's call.",
        who=EITHER,
        path=PROJECT_ID,
        query=queries.GroupQuery,
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
        if not await auth.has_access(call, project):
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
        "the next get. Safe to repeat, but a block starts again.",
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
    delay, group = seconds_or_minus_1(body.delay, "delay"), _checked(body.group)
    found = await call.store.groups.set_limits(
        project, group, delay=delay, limit=body.limit, blocked_for=body.blocked_for, by=f"manager {asking.id}"
    )
    return _reply(found)


@routes.add(
    "GET /project/groups/{id}",
    Operation(
        group="Maintenance",
        summary="List a project's groups of tasks",
        text="For managers with READ, also if the project is public. A page may be short, or empty, before the last "
        "one: go on until `next` is null. A group that changes its state meanwhile may be missing or come twice.",
        who=MANAGER,
        path=PROJECT_ID,
        query=queries.GroupsQuery,
        content=(answers.GroupPage,),
        refuses={"invalid": "`state` is missing or none of these; `after` or `limit` is not valid"}
        | NEEDS_READ
        | NO_SUCH_PROJECT,
        example=Example(path="/project/groups/2?state=blocked", content={"groups": [], "next": None}),
    ),
)
async def list_groups(call: Call) -> Reply:
    project = await auth.authorized(call, READ)
    state, after, limit = call.query("state"), call.query("after"), call.number("limit", 1, 500)
    if state not in GROUP_STATES:
        raise Invalid(f"state: required, one of {', '.join(GROUP_STATES)}")
    onward, rows = await call.store.groups.page(project, state, after or "", limit or _PAGE)
    return Reply({"groups": [row._asdict() for row in rows], "next": onward or None})


@routes.add(
    "POST /project/remove_group/{id}",
    Operation(
        group="Maintenance",
        summary="Delete the waiting tasks of a group",
        text="For managers with MAINTENANCE. First removes the delayed tasks of the group, as `/project/remove_tasks` "
        "does: that takes longer the more tasks the project has. Then selects all tasks of the group that wait, with "
        "or without votes, in one step, and answers when they are deleted and their hashes are free, or after 30 "
        "seconds; the rest follows in the background. Tasks that are held or have failed stay, and so do the group's "
        "limits. Safe to repeat.",
        who=MANAGER,
        path=PROJECT_ID,
        body=RemoveGroup,
        content=(answers.AffectedTasks,),
        refuses=NEEDS_MAINTENANCE | NO_SUCH_PROJECT,
        example=Example(path="/project/remove_group/2", body={"group": "example.org"}, content={"affected_tasks": 0}),
    ),
)
async def remove_group(call: Call) -> Reply:
    project = await auth.authorized(call, MAINTENANCE)
    group = _checked((await call.decode(RemoveGroup)).group)
    return Reply({"affected_tasks": await call.store.maintenance.remove_group(project, group)})


def _checked(group: str | None) -> str:
    return valid_group(required(group or None, "group"))


def _reply(row: GroupRow) -> Reply:
    return Reply({"group": row._asdict()})
