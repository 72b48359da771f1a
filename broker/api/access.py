"""Who may work on a project: workers ask, managers accept and reject."""

from functools import partial

import msgspec

from broker.api import answers, auth, workers
from broker.api.bodies import AccessRequest, required
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
from broker.errors import Invalid
from broker.store.projects import MANAGE_ACCESS

_ACCESS = msgspec.json.Decoder(AccessRequest | None)


routes = Routes()

_of_worker = partial(
    Operation,
    group="Projects",
    who=MANAGER,
    path=PROJECT_ID | {"worker": "the worker's id"},
    refuses=NEEDS_MANAGE_ACCESS
    | {"not_found": "no such project or worker, or the worker has neither access nor a request"},
)


@routes.add(
    "POST /project/request_access",
    Operation(
        group="Workers",
        summary="Request access to a project",
        text="For workers. A manager accepts or rejects the request. A worker can also request `assign` on a public "
        "project: any worker may get its tasks, but only a worker with access can read its secret. After a lost "
        "answer, repeat the call: `already_asked` means that the request was made.",
        who=WORKER,
        body=AccessRequest,
        refuses={
            "already_asked": "",
            "already_granted": "the worker has access; before it can request more, a manager must reject it",
            "not_found": "no such project",
        },
        example=Example(path="/project/request_access", body={"project": 2, "assign": True, "submit": True}),
    ),
)
async def request_access(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(_ACCESS, AccessRequest())
    project, assign, submit = required(body.project, "project"), bool(body.assign), bool(body.submit)
    if not assign and not submit:
        raise Invalid("assign: request assign, submit or both")
    await call.store.workers.request_access(project, worker.id, assign=assign, submit=submit)
    return Reply()


@routes.add(
    "GET /project/access_list/{id}",
    Operation(
        group="Projects",
        summary="List access and requests for it",
        text="For managers with MANAGE_ACCESS.",
        who=MANAGER,
        path=PROJECT_ID,
        content=(answers.Accesses,),
        refuses=NEEDS_MANAGE_ACCESS | NO_SUCH_PROJECT,
        example=Example(
            path="/project/access_list/2",
            content={
                "accesses": [{"submit": True, "assign": True, "request": True, "worker": workers.EXAMPLE, "project": 2}]
            },
        ),
    ),
)
async def access_list(call: Call) -> Reply:
    project = await auth.authorized(call, MANAGE_ACCESS)
    return Reply(
        {
            "accesses": [
                {
                    "submit": access.submit,
                    "assign": access.assign,
                    "request": access.request,
                    "worker": workers.view(worker),
                    "project": project,
                }
                for access, worker in await call.store.workers.access_list(project)
            ]
        }
    )


@routes.add(
    "POST /project/accept_request/{id}/{worker}",
    _of_worker(
        summary="Accept an access request",
        text="For managers with MANAGE_ACCESS. Grants the requested access at once. Safe to repeat.",
        example=Example(path="/project/accept_request/2/1"),
    ),
)
async def accept_request(call: Call) -> Reply:
    project = await auth.authorized(call, MANAGE_ACCESS)
    await call.store.workers.grant(project, call.id("worker"))
    return Reply()


@routes.add(
    "POST /project/reject_request/{id}/{worker}",
    _of_worker(
        summary="Reject an access request, or revoke access",
        text="For managers with MANAGE_ACCESS. Deletes the request and revokes granted access at once. A repeat "
        "answers 404.",
        example=Example(path="/project/reject_request/2/2"),
    ),
)
async def reject_request(call: Call) -> Reply:
    project = await auth.authorized(call, MANAGE_ACCESS)
    await call.store.workers.revoke(project, call.id("worker"))
    return Reply()
