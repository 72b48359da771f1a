"""Deletes workers that are no longer needed."""

from broker.api import answers, auth
from broker.api.bodies import DeleteWorkers, required
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import MANAGER, Example, Operation, Routes

routes = Routes()


@routes.add(
    "POST /worker/delete",
    Operation(
        group="Workers",
        summary="Delete a worker",
        text="For admins. The worker's credentials end at once, and its id is not used again. The tasks that it holds "
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
    pending = await call.store.worker_deletion.delete(required(body.worker, "worker"))
    return Reply({"deleted": 1, "pending": pending})
