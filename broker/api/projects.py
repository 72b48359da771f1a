"""Projects: their configuration, who may work on them, their secrets."""

import msgspec

from broker.api import auth
from broker.api.calls import Call
from broker.api.endpoint import route
from broker.api.replies import Reply
from broker.api.workers import view as worker_view
from broker.errors import BrokerError, Invalid
from broker.schemas import AccessRequest, ProjectFields, SetSecret, SetWebhookSecret, required
from broker.store.projects import MANAGE_ACCESS, SECRET, Project

_FIELDS = msgspec.json.Decoder(ProjectFields | None)
_ACCESS = msgspec.json.Decoder(AccessRequest | None)
_SECRET = msgspec.json.Decoder(SetSecret | None)
_WEBHOOK_SECRET = msgspec.json.Decoder(SetWebhookSecret | None)
_PAGE = 500


async def create(call: Call) -> Reply:
    manager = await auth.manager(call)
    body = await call.decode(_FIELDS, ProjectFields())
    return Reply({"id": await call.store.projects.create(manager.id, body.given())})


async def update(call: Call) -> Reply:
    manager = await auth.manager(call)
    project = call.id("id")
    body = await call.decode(_FIELDS, ProjectFields())
    await call.store.projects.update(manager.id, project, body.given())
    return Reply({"id": project})


async def get(call: Call) -> Reply:
    view = (await readable(call, call.id("id"))).view()
    return Reply({**view, "project": view})


async def readable(call: Call, id: int) -> Project:
    """The project, if who asks may see it: a hidden one needs READ."""
    manager = await auth.manager_if_any(call)
    project = await call.store.projects.get(id, manager.id if manager else None)
    if not project.visible:
        if manager is None:
            raise BrokerError("not_logged_in", "Not logged in: the project is hidden")
        raise BrokerError("denied", "Needs the READ role on the project: it is hidden")
    return project


async def list_all(call: Call) -> Reply:
    manager = await auth.manager_if_any(call)
    projects = call.store.projects.every(manager.id if manager else None)
    views = [project.view() async for project in projects if project.visible]
    return Reply({"projects": sorted(views, key=lambda view: str(view["name"]))})


async def stats(call: Call) -> Reply:
    project = await readable(call, call.id("id"))
    return Reply({"stats": (await call.store.tasks.stats(project.id))._asdict()})


async def request_access(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(_ACCESS, AccessRequest())
    project, assign, submit = required(body.project, "project"), bool(body.assign), bool(body.submit)
    if not assign and not submit:
        raise Invalid("assign: ask for assign, submit or both")
    await call.store.workers.request_access(project, worker.id, assign=assign, submit=submit)
    return Reply()


async def access_list(call: Call) -> Reply:
    project = await authorized(call, MANAGE_ACCESS)
    accesses = await call.store.workers.access_list(project)
    workers = {}
    for start in range(0, len(accesses), _PAGE):
        for worker in await call.store.workers.get([access.worker for access in accesses[start : start + _PAGE]]):
            if worker is not None:
                workers[worker.id] = worker_view(worker)
    return Reply(
        {
            "accesses": [
                {
                    "submit": access.submit,
                    "assign": access.assign,
                    "request": access.request,
                    "worker": workers[access.worker],
                    "project": project,
                }
                for access in accesses
                if access.worker in workers
            ]
        }
    )


async def accept_request(call: Call) -> Reply:
    project = await authorized(call, MANAGE_ACCESS)
    await call.store.workers.grant(project, call.id("worker"))
    return Reply()


async def reject_request(call: Call) -> Reply:
    """Also revokes what was granted."""
    project = await authorized(call, MANAGE_ACCESS)
    await call.store.workers.revoke(project, call.id("worker"))
    return Reply()


async def get_secret(call: Call) -> Reply:
    """For a manager with SECRET, or a worker that was granted ASSIGN."""
    project = call.id("id")
    if call.session_cookie is None or b"x-worker-id" in call.headers:
        worker = await auth.worker(call)
        if "assign" not in await call.store.workers.access(project, worker.id):
            raise BrokerError("denied", "Needs ASSIGN on the project")
    else:
        await authorized(call, SECRET)
    return Reply({"secret": (await call.store.projects.get(project)).fields["secret"]})


async def set_secret(call: Call) -> Reply:
    manager, project = await auth.manager(call), call.id("id")
    body = await call.decode(_SECRET, SetSecret())
    await call.store.projects.set_secret(manager.id, project, "secret", required(body.secret, "secret"))
    return Reply()


async def get_webhook_secret(call: Call) -> Reply:
    project = await authorized(call, SECRET)
    return Reply({"webhook_secret": (await call.store.projects.get(project)).fields["webhook_secret"]})


async def set_webhook_secret(call: Call) -> Reply:
    manager, project = await auth.manager(call), call.id("id")
    secret = required((await call.decode(_WEBHOOK_SECRET, SetWebhookSecret())).webhook_secret, "webhook_secret")
    await call.store.projects.set_secret(manager.id, project, "webhook_secret", secret)
    return Reply()


async def authorized(call: Call, role: int) -> int:
    """The project in the path, when the manager who asks holds ``role`` there."""
    manager, project = await auth.manager(call), call.id("id")
    await call.store.projects.authorize(manager.id, project, role)
    return project


ROUTES = [
    route("POST", "/project/create", create),
    route("POST", "/project/update/{id}", update),
    route("GET", "/project/get/{id}", get),
    route("GET", "/project/list", list_all),
    route("GET", "/project/stats/{id}", stats),
    route("POST", "/project/request_access", request_access),
    route("GET", "/project/access_list/{id}", access_list),
    route("POST", "/project/accept_request/{id}/{worker}", accept_request),
    route("POST", "/project/reject_request/{id}/{worker}", reject_request),
    route("GET", "/project/secret/{id}", get_secret),
    route("POST", "/project/secret/{id}", set_secret),
    route("GET", "/project/webhook_secret/{id}", get_webhook_secret),
    route("POST", "/project/webhook_secret/{id}", set_webhook_secret),
]
