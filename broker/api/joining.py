"""How many workers get access to a project at once."""

from functools import partial

from broker.api import answers, auth
from broker.api.batches import batch
from broker.api.bodies import MAX_NAMED, AcceptRequests
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import MANAGER, NEEDS_MANAGE_ACCESS, NO_SUCH_PROJECT, PROJECT_ID, Example, Operation, Routes
from broker.errors import Invalid
from broker.store.projects import MANAGE_ACCESS

routes = Routes()

_for_managers = partial(
    Operation, group="Projects", who=MANAGER, path=PROJECT_ID, refuses=NEEDS_MANAGE_ACCESS | NO_SUCH_PROJECT
)


@routes.add(
    "POST /project/accept_requests/{id}",
    _for_managers(
        summary="Accept many access requests",
        text="For managers with MANAGE_ACCESS. Grants the requested access to the named workers, or to all that have "
        "requested it. Safe to repeat: the call counts the requests that it has accepted itself.",
        body=AcceptRequests,
        content=(answers.Accepted,),
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
