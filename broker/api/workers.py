"""Workers: registering, and what they are told of themselves."""

import msgspec

from broker.api import auth
from broker.api.endpoint import route
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.errors import BrokerError, Invalid
from broker.schemas import SetPaused, WorkerAlias, required
from broker.store.worker_records import Worker

_ALIAS = msgspec.json.Decoder(WorkerAlias | None)
_PAUSED = msgspec.json.Decoder(SetPaused | None)

DEFAULT_ALIAS = "default_alias"


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
        raise BrokerError("reserved", "alias: 'unassigned' names the tasks that no worker holds")
    return text


async def create(call: Call) -> Reply:
    body = await call.decode(_ALIAS, WorkerAlias())
    worker, secret = await call.store.workers.create(
        _alias(body.alias or DEFAULT_ALIAS, call.settings.max_alias), call.address
    )
    return Reply({"worker": view(worker, secret)})


async def update(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(_ALIAS, WorkerAlias())
    if not body.alias:
        raise Invalid("alias: required, and not empty")
    await call.store.workers.rename(worker.id, _alias(body.alias, call.settings.max_alias))
    return Reply()


async def get(call: Call) -> Reply:
    worker = (await call.store.workers.get([call.id("id")]))[0]
    if worker is None:
        raise BrokerError("not_found", "No such worker")
    return Reply({"worker": view(worker)})


async def rotate_secret(call: Call) -> Reply:
    worker = await auth.worker(call)
    secret = await call.store.workers.rotate_secret(worker.id)
    return Reply({"worker": view(worker, secret)})


async def set_paused(call: Call) -> Reply:
    auth.admin(await auth.manager(call))
    body = await call.decode(_PAUSED, SetPaused())
    await call.store.workers.pause(required(body.worker, "worker"), required(body.paused, "paused"))
    return Reply()


ROUTES = [
    route("POST", "/worker/create", create),
    route("POST", "/worker/update", update),
    route("GET", "/worker/get/{id}", get),
    route("POST", "/worker/rotate_secret", rotate_secret),
    route("POST", "/worker/set_paused", set_paused),
]
