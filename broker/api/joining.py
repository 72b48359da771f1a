"""Access for many workers: a manager accepts their requests in one call, or they join with a token."""

from functools import partial

from broker.api import answers, auth
from broker.api.batches import batch
from broker.api.bodies import AcceptRequests, Join, NewJoinToken, RevokeToken
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import (
    MANAGER,
    NEEDS_MANAGE_ACCESS,
    NO_SUCH_PROJECT,
    PROJECT_ID,
    WORKER,
    Example,
    Operation,
    Routes,
)
from broker.api.values import MAX_NAMED, required
from broker.errors import Invalid
from broker.store.joining import DAYS_30
from broker.store.projects import MANAGE_ACCESS

routes = Routes()

_REFUSES = NEEDS_MANAGE_ACCESS | NO_SUCH_PROJECT

_for_managers = partial(Operation, group="Projects", who=MANAGER, path=PROJECT_ID)


@routes.add(
    "POST /project/accept_requests/{id}",
    _for_managers(
        summary="Accept many access requests",
        text="For managers with MANAGE_ACCESS. Grants the requested access to the named workers, or to all that have "
        "requested it. Safe to repeat: the call counts the requests that it has accepted itself.",
        body=AcceptRequests,
        content=(answers.Accepted,),
        refuses=_REFUSES,
        example=Example(path="/project/accept_requests/2", body={"workers": [1]}, content={"accepted": 0}),
    ),
)
async def accept_requests(call: Call) -> Reply:
    project = await auth.authorized(call, MANAGE_ACCESS)
    body = await call.decode(AcceptRequests)
    if bool(body.workers) == bool(body.all):
        raise Invalid("workers: send the ids of 1 to 1,000 workers, or `all` as true, not both")
    if body.all:
        accepted = await call.store.joining.accept_all(project)
    else:
        accepted = await call.store.joining.accept(project, batch(call, body.workers, "workers", MAX_NAMED))
    return Reply({"accepted": accepted})


@routes.add(
    "POST /project/join_tokens/{id}",
    _for_managers(
        summary="Create a join token",
        text="For managers with MANAGE_ACCESS. Workers that have the token get access to the project at once, with "
        "`/project/join`: give it to the machines of a fleet. This is the only time that the token is shown. A project "
        "has at most 100 tokens. A hard reset keeps them, and an export leaves them out. After a lost answer, list the "
        "tokens, and revoke the one that nobody knows.",
        body=NewJoinToken,
        content=(answers.CreatedToken,),
        refuses=_REFUSES | {"limit_reached": "the project has 100 join tokens"},
        example=Example(
            path="/project/join_tokens/2",
            body={"assign": True, "submit": True, "expires_in": 86400, "uses": 300},
            content={"token": "tbj_2_J2kW1Jq8sQz5b9c4YcZpH3t7v0mXn6LrTgUeAoIdSfE", "token_id": 1},
        ),
    ),
)
async def create_join_token(call: Call) -> Reply:
    project = await auth.authorized(call, MANAGE_ACCESS)
    body = await call.decode(NewJoinToken)
    assign, submit = bool(body.assign), bool(body.submit)
    if not assign and not submit:
        raise Invalid("assign: the token must give assign, submit or both")
    id, token = await call.store.joining.create_token(
        project, assign=assign, submit=submit, uses=body.uses or 0, expires_in=body.expires_in or DAYS_30
    )
    return Reply({"token": token, "token_id": id})


@routes.add(
    "GET /project/join_tokens/{id}",
    _for_managers(
        summary="List the join tokens of a project",
        text="For managers with MANAGE_ACCESS. The tokens themselves are not shown: the broker does not know them.",
        content=(answers.JoinTokens,),
        refuses=_REFUSES,
        example=Example(
            path="/project/join_tokens/2",
            content={"tokens": [{"id": 1, "assign": True, "submit": True, "uses_left": 300, "expires": 1795555734}]},
        ),
    ),
)
async def list_join_tokens(call: Call) -> Reply:
    project = await auth.authorized(call, MANAGE_ACCESS)
    return Reply({"tokens": [token._asdict() for token in await call.store.joining.tokens(project)]})


@routes.add(
    "POST /project/revoke_join_token/{id}",
    _for_managers(
        summary="Revoke a join token",
        text="For managers with MANAGE_ACCESS. The token ends at once; workers that have used it keep their access. "
        "A repeat answers 404.",
        body=RevokeToken,
        refuses=NEEDS_MANAGE_ACCESS | {"not_found": "no such project, or it has no such token"},
        example=Example(path="/project/revoke_join_token/2", body={"token_id": 1}),
    ),
)
async def revoke_join_token(call: Call) -> Reply:
    project = await auth.authorized(call, MANAGE_ACCESS)
    token = required((await call.decode(RevokeToken)).token_id, "token_id")
    await call.store.joining.revoke_token(project, token)
    return Reply()


@routes.add(
    "POST /project/join",
    Operation(
        group="Workers",
        summary="Join a project with a token",
        text="For workers. Grants at once the access that a join token gives; access that the worker has already is "
        "kept. A worker with this access uses up nothing, so the call is safe to repeat. A worker that a manager has "
        "rejected cannot join until a manager accepts it.",
        who=WORKER,
        body=Join,
        content=(answers.Joined,),
        refuses={
            "denied": "the token is wrong, has expired or is used up; or a manager has rejected the worker",
            "rate_limited": "too many wrong tokens from this address",
            **NO_SUCH_PROJECT,
        },
        example=Example(
            path="/project/join",
            body={"project": 2, "token": "tbj_2_J2kW1Jq8sQz5b9c4YcZpH3t7v0mXn6LrTgUeAoIdSfE"},
            content={"assign": True, "submit": True},
        ),
    ),
)
async def join(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(Join)
    project, token = required(body.project, "project"), required(body.token, "token")
    may = await call.store.joining.join(project, worker.id, token, call.address)
    return Reply({"assign": "assign" in may, "submit": "submit" in may})
