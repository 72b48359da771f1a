"""Workers: they register, change their secret, and ask for access to projects, which managers grant and revoke."""

from functools import partial

import orjson

from broker.api import answers, auth, presence
from broker.api.bodies import AccessRequest, DeleteWorkers, NewAlias, SetPaused, WorkerAlias
from broker.api.requests import Call
from broker.api.responses import Answer, Listed, Reply
from broker.api.routing import (
    ANYBODY,
    MANAGER,
    NEEDS_MANAGE_ACCESS,
    NO_SUCH_PROJECT,
    PERHAPS_MANAGER,
    PROJECT_ID,
    WORKER,
    Example,
    Operation,
    Routes,
)
from broker.api.values import required
from broker.errors import BrokerError, Invalid
from broker.store.access import Access
from broker.store.projects import MANAGE_ACCESS
from broker.store.workers import Worker

DEFAULT_ALIAS = "default_alias"


routes = Routes()

EXAMPLE = {"id": 1, "created": 1795469334, "alias": "crawler-01", "secret": None, "paused": False}
_EXAMPLE_SECRET = "lOpEoMJGAFemB1YrSPbc1QqLL0d9XV1aMoJMSzwcky8="  # noqa: S105 (an example)
_RESERVED = {"reserved": "the alias `unassigned` is reserved"}

_request_of_worker = partial(
    Operation,
    group="Projects",
    who=MANAGER,
    path=PROJECT_ID | {"worker": "the worker's id"},
    refuses=NEEDS_MANAGE_ACCESS
    | {"not_found": "no such project or worker, or the worker has neither access nor a request"},
)


def view(worker: Worker, secret: str | None = None) -> dict[str, object]:
    return {
        "id": worker.id,
        "created": worker.created,
        "alias": worker.alias,
        "secret": secret,
        "paused": worker.paused,
    }


def _alias(text: str, longest: int) -> str:
    if len(text) > longest:
        raise Invalid(f"alias: expected `str` of length <= {longest}")
    if text == "unassigned":
        raise BrokerError("reserved", "alias: 'unassigned' is the name for tasks that no worker holds")
    return text


@routes.add(
    "POST /worker/create",
    Operation(
        group="Workers",
        summary="Create a worker",
        text="This is the only time that the secret is shown. A repeat creates another worker; the first one "
        "stays unused.",
        who=ANYBODY,
        body=WorkerAlias,
        large=True,
        content=(answers.OneWorker,),
        refuses=_RESERVED | {"rate_limited": "too many workers created from this address"},
        example=Example(
            path="/worker/create",
            body={"alias": "crawler-1"},
            content={"worker": EXAMPLE | {"alias": "crawler-1", "secret": _EXAMPLE_SECRET}},
        ),
    ),
)
async def create(call: Call) -> Reply:
    body = await call.decode(WorkerAlias)
    worker, secret = await call.store.workers.create(
        _alias(body.alias or DEFAULT_ALIAS, call.settings.max_alias), call.address
    )
    return Reply({"worker": view(worker, secret)})


@routes.add(
    "POST /worker/update",
    Operation(
        group="Workers",
        summary="Rename a worker",
        text="For the worker itself. Safe to repeat.",
        who=WORKER,
        body=NewAlias,
        large=True,
        refuses=_RESERVED,
        example=Example(path="/worker/update", body={"alias": "crawler-01"}),
    ),
)
async def update(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(WorkerAlias)
    if not body.alias:
        raise Invalid("alias: required, must not be empty")
    await call.store.workers.rename(worker.id, _alias(body.alias, call.settings.max_alias))
    return Reply()


@routes.add(
    "GET /worker/get/{id}",
    Operation(
        group="Workers",
        summary="Get a worker",
        text="Managers who are logged in, and the worker itself, also see when the worker was last seen, how many "
        "tasks it holds, how many it failed, and its `X-Worker-Info`. The counts are some seconds old.",
        who=PERHAPS_MANAGER,
        path={"id": "the worker's id"},
        content=(answers.OneSeenWorker,),
        refuses={"not_found": "no such worker"},
        example=Example(
            path="/worker/get/1",
            content={
                "worker": EXAMPLE
                | {"last_seen": 1795469334, "held_task_count": 0, "failed_task_count": 0}
                | {"version": "1.4", "host": "crawler-01.example"}
            },
        ),
    ),
)
async def get(call: Call) -> Reply:
    id, sees = call.id("id"), await presence.seen_by(call)
    if sees.worker(id):
        rows = await call.store.worker_stats.of([id])
        shown = [view(row.worker) | presence.view(row) for row in rows]
    else:
        shown = [view(worker) for worker in await call.store.workers.get([id]) if worker]
    if not shown:
        raise BrokerError("not_found", "No such worker")
    return Reply({"worker": shown[0]})


@routes.add(
    "POST /worker/rotate_secret",
    Operation(
        group="Workers",
        summary="Change a worker's secret",
        text="For the worker itself. The old secret is invalid at once. Not safe to repeat: if the answer is lost and "
        "the old secret is refused, nobody knows the secret of the worker. Create a new one; the tasks of the old one "
        "are reclaimed.",
        who=WORKER,
        content=(answers.OneWorker,),
        example=Example(path="/worker/rotate_secret", content={"worker": EXAMPLE | {"secret": _EXAMPLE_SECRET}}),
    ),
)
async def rotate_secret(call: Call) -> Reply:
    worker = await auth.worker(call)
    secret = await call.store.workers.rotate_secret(worker.id)
    return Reply({"worker": view(worker, secret)})


@routes.add(
    "POST /worker/set_paused",
    Operation(
        group="Workers",
        summary="Pause or resume a worker",
        text="For admins. Get refuses a paused worker; all other calls still work. Safe to repeat.",
        who=MANAGER,
        body=SetPaused,
        refuses={"denied": "needs an admin", "not_found": "no such worker"},
        example=Example(path="/worker/set_paused", body={"worker": 1, "paused": False}),
    ),
)
async def set_paused(call: Call) -> Reply:
    auth.admin(await auth.manager(call))
    body = await call.decode(SetPaused)
    await call.store.workers.pause(required(body.worker, "worker"), required(body.paused, "paused"))
    return Reply()


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
    body = await call.decode(AccessRequest)
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
            content={"accesses": [{"submit": True, "assign": True, "request": True, "worker": EXAMPLE, "project": 2}]},
        ),
    ),
)
async def access_list(call: Call) -> Answer:
    project = await auth.authorized(call, MANAGE_ACCESS)
    return Listed("accesses", await call.store.access.rendered(project, partial(_accesses, project)))


def _accesses(project: int, rows: list[tuple[Access, Worker]]) -> bytes:
    return orjson.dumps(
        [
            {
                "submit": access.submit,
                "assign": access.assign,
                "request": access.request,
                "worker": view(worker),
                "project": project,
            }
            for access, worker in rows
        ]
    )


@routes.add(
    "POST /project/accept_request/{id}/{worker}",
    _request_of_worker(
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
    _request_of_worker(
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


@routes.add(
    "POST /worker/delete",
    Operation(
        group="Workers",
        summary="Delete a worker, or all silent ones",
        text="For admins. Deletes one `worker`, or all that have sent no call with their credentials for `silent_for` "
        "seconds. A worker that has never sent one counts from its creation, but is kept if it was imported from the "
        "original tracker. A worker's credentials end at once, and its id is not used again. The tasks that it holds "
        "wait again, and its access and requests end, in all projects: when that takes more than 5 seconds, `pending` "
        "is true, and the rest follows in the background. Its votes, and the tasks that it closed, still count. After "
        "a lost answer, repeat the call: 404 means that the worker was deleted.",
        who=MANAGER,
        body=DeleteWorkers,
        content=(answers.DeletedWorkers,),
        refuses={"denied": "needs an admin", "not_found": "no such worker"},
        example=Example(path="/worker/delete", body={"worker": 1}, content={"deleted": 1, "pending": False}),
    ),
)
async def delete(call: Call) -> Reply:
    auth.admin(await auth.manager(call))
    body = await call.decode(DeleteWorkers)
    deletion = call.store.worker_deletion
    if (body.worker is None) == (body.silent_for is None):
        raise Invalid("worker: required, or silent_for instead")
    if body.silent_for is not None:
        deleted, pending = await deletion.delete_silent(body.silent_for)
        return Reply({"deleted": deleted, "pending": pending})
    return Reply({"deleted": 1, "pending": await deletion.delete(required(body.worker, "worker"))})
