"""Why a worker gets no task of a project, in words."""

from typing import TypedDict

from broker.api import answers, auth, queries
from broker.api.requests import Call, parsed_id
from broker.api.responses import Reply
from broker.api.routing import EITHER, PROJECT_ID, Example, Operation, Routes
from broker.errors import BrokerError, Invalid
from broker.store import Store
from broker.store.projects import MANAGE_ACCESS
from broker.store.tasks import Reason

routes = Routes()

REASONS = {
    "worker_paused": "An admin has paused this worker",
    "paused": "The project is paused",
    "no_access": "This worker has no access to the project, which is not public, and has not requested it",
    "access_pending": "This worker has requested access: a manager has to accept the request",
    "rejected": "A manager has rejected this worker, or ended its access",
    "rate_limited": "The project's assign_rate is used up until then",
    "nothing_waits": "No task waits in this project",
    "voted": "This worker has voted on every task that it could get: other workers have to verify them",
    "groups_resting": "Groups with waiting tasks rest until their delay has passed; the first of them is ready then",
    "groups_full": "Groups with waiting tasks are full: workers hold as many of their tasks as the limit allows",
    "groups_blocked": "Groups with waiting tasks are blocked; the first block ends then",
    "delayed": "Tasks are delayed; the first of them is waiting then",
    "held": "Workers hold tasks; the first deadline is then",
    "failed": "Tasks have failed: they come back only when a manager retries them",
    "draining": "Maintenance calls are moving tasks, which cannot be assigned until the calls end",
    "available": "A task is available: a get returns it",
}
"""Code and message; scripts give the codes."""


class Told(TypedDict):
    """A reason as it is shown. ``until``: unix seconds; ``count``: of tasks or groups."""

    code: str
    message: str
    until: int | None
    count: int | None


@routes.add(
    "GET /project/why/{id}",
    Operation(
        group="Projects",
        summary="Explain why a worker gets no task",
        text="For managers with MANAGE_ACCESS, and for the worker itself. Lists all reasons why a get of this worker "
        "in this project would return nothing now; or one, `available`, if it would return a task. `until` is when the "
        "reason may end. At most 100 groups are looked at.",
        who=EITHER,
        path=PROJECT_ID,
        query=queries.WhyQuery,
        content=(answers.Reasons,),
        refuses={
            "invalid": "`worker` is missing in a manager's call, or cannot be an id",
            "denied": "needs MANAGE_ACCESS on the project; a worker may ask only about itself",
            "not_found": "no such project or worker",
        },
        example=Example(
            path="/project/why/2?worker=1",
            content={
                "reasons": [
                    {"code": code, "message": REASONS[code], "until": None, "count": None}
                    for code in ("access_pending", "nothing_waits")
                ]
            },
        ),
    ),
)
async def why(call: Call) -> Reply:
    project = call.id("id")
    worker = await _asked_about(call)
    return Reply({"reasons": await reasons(call.store, project, worker)})


async def reasons(store: Store, project: int, worker: int) -> list[Told]:
    """Raises ``not_found``."""
    (record,) = await store.workers.get([worker])
    found = await store.tasks.why(project, worker)
    if record is None:
        raise BrokerError("not_found", "worker: no such worker")
    if record.paused:
        found = [Reason("worker_paused", None, None), *(one for one in found if one.code != "available")]
    return [
        Told(code=reason.code, message=REASONS[reason.code], until=reason.until, count=reason.count) for reason in found
    ]


async def _asked_about(call: Call) -> int:
    given = call.query("worker")
    worker = parsed_id(given) if given is not None else None
    if auth.is_workers_call(call):
        asking = (await auth.worker(call)).id
        if given is not None and worker != asking:
            raise BrokerError("denied", "worker: a worker may ask only about itself")
        return asking
    await auth.authorized(call, MANAGE_ACCESS)
    if worker is None:
        raise Invalid("worker: required, a worker's id")
    return worker
