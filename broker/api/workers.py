"""Workers: registering, and what they are told of themselves."""

import msgspec

from broker.api import answers, auth
from broker.api.bodies import NewAlias, SetPaused, WorkerAlias, required
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import ANYBODY, MANAGER, WORKER, Example, Operation, Routes
from broker.errors import BrokerError, Invalid
from broker.store.workers import Worker

_ALIAS = msgspec.json.Decoder(WorkerAlias | None)
_PAUSED = msgspec.json.Decoder(SetPaused | None)

DEFAULT_ALIAS = "default_alias"


routes = Routes()

EXAMPLE = {"id": 1, "created": 1795469334, "alias": "crawler-01", "secret": None, "paused": False}
_EXAMPLE_SECRET = "lOpEoMJGAFemB1YrSPbc1QqLL0d9XV1aMoJMSzwcky8="  # noqa: S105 (an example)
_RESERVED = {"reserved": "the alias `unassigned` is reserved"}


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
    body = await call.decode(_ALIAS, WorkerAlias())
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
    body = await call.decode(_ALIAS, WorkerAlias())
    if not body.alias:
        raise Invalid("alias: required, must not be empty")
    await call.store.workers.rename(worker.id, _alias(body.alias, call.settings.max_alias))
    return Reply()


@routes.add(
    "GET /worker/get/{id}",
    Operation(
        group="Workers",
        summary="Get a worker",
        who=ANYBODY,
        path={"id": "the worker's id"},
        content=(answers.OneWorker,),
        refuses={"not_found": "no such worker"},
        example=Example(path="/worker/get/1", content={"worker": EXAMPLE}),
    ),
)
async def get(call: Call) -> Reply:
    worker = (await call.store.workers.get([call.id("id")]))[0]
    if worker is None:
        raise BrokerError("not_found", "No such worker")
    return Reply({"worker": view(worker)})


@routes.add(
    "POST /worker/rotate_secret",
    Operation(
        group="Workers",
        summary="Change a worker's secret",
        text="For the worker itself. The old secret is invalid at once. Not safe to repeat: if the answer is "
        "lost and the "
        "old secret is refused, nobody knows the secret of the worker. Create a new one; the tasks of the old one are "
        "reclaimed.",
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
    body = await call.decode(_PAUSED, SetPaused())
    await call.store.workers.pause(required(body.worker, "worker"), required(body.paused, "paused"))
    return Reply()
