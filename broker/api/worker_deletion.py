"""Deletes workers that are no longer needed."""

from broker.api import answers, auth
from broker.api.bodies import DeleteWorkers, required
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import MANAGER, Example, Operation, Routes
from broker.errors import Invalid

routes = Routes()


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
