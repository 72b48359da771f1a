"""The call of a crawler that has done a page: it releases that, submits the links, and gets the next ones."""

from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

from broker.api import answers, auth
from broker.api.assign import Wanted, example, hand_out, refuse_paused
from broker.api.batches import batch
from broker.api.bodies import MAX_NAMED, Turn, TurnGet
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import WORKER, Example, Operation, Routes
from broker.api.tasks import Release, checked_releases, checked_tasks, release_all, slow_downs_of, submit_all
from broker.eager import Begun
from broker.errors import BrokerError, Invalid
from broker.store.task_fields import TaskFields
from broker.store.tasks import keep_order, project_of
from broker.store.workers import Worker

routes = Routes()

_Step = tuple[str, str, Coroutine[Any, Any, object]]
"""The part that it belongs to, the field of the answer that it fills, if any, and what it does."""
_Begun = tuple[str, str, Awaitable[object]]


@routes.add(
    "POST /task/turn",
    Operation(
        group="Tasks",
        summary="Release, submit and get in one call",
        text="For workers: what a crawler does after each page. Each part may be absent, null or empty; `get: {}` gets "
        "a task of any project. Everything is checked before anything is done. Then the releases, the submits and the "
        "get are carried out, within a project in this order: the get can return what was submitted, or the next task "
        "of a group whose task was released.\n\n"
        "A part that is refused does not stop the others. `ok` is then false, and `refused` says for each such part "
        "what its own call would say. `updated` is false and `outcomes` ends where it is not known what was done. If "
        "no task is there, `tasks` is empty and nothing is refused. With `wait`, the releases and submits are done at "
        "once, and the answer comes as soon as there is a task.\n\n"
        "If the client is gone before the answer can be written, the tasks of the get are waiting again at once; the "
        "releases and submits stand. After a lost answer, `/task/assigned/{project}` lists the tasks that the worker "
        "got. Do not repeat a call with submits that have no hash: it would submit them twice.",
        who=WORKER,
        body=Turn,
        large=True,
        content=(answers.TurnOutcome,),
        remarks="beside",
        in_parts=True,
        refuses={"invalid": "a part is not valid; nothing was done; `message` names the field: `submits[3].recipe`"},
        example=Example(
            path="/task/turn",
            body={
                "releases": [{"task_id": 200002, "result": 0}],
                "submits": [{"project": 2, "recipe": "https://example.org/c", "unique_string": "c"}],
                "get": {"project": 2},
            },
            content={
                "updated": [True],
                "outcomes": [500002],
                "tasks": [example(500002, "https://example.org/c")],
                "refused": {},
            },
        ),
    ),
)
async def turn(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(Turn)
    releases: list[Release] = []
    project, tasks = 0, list[TaskFields]()
    if body.releases:
        releases = await checked_releases(batch(call, body.releases, "releases", MAX_NAMED), "releases")
    if body.submits:
        project, tasks = await checked_tasks(call, batch(call, body.submits, "submits"), "submits")
    wanted = None if body.get is None else _wanted(call, body.get)

    content: dict[str, Any] = {"updated": [False] * len(releases), "outcomes": [], "tasks": [], "refused": {}}
    of_releases = {project_of(release.task) for release in releases}
    together = len(of_releases) <= 1 and keep_order(len(releases), len(tasks))
    steps: list[_Step] = []
    if together and any(of_releases) and (slow_downs := slow_downs_of(releases)):
        # A step of its own: each sends one script before it waits.
        slowing = call.store.groups.slow(project_of(releases[0].task), worker.id, slow_downs)
        steps.append(("releases", "", slowing))
        releases = [release._replace(slow_down=None) for release in releases]
    if releases:
        steps.append(("releases", "updated", release_all(call, worker, releases)))
    if tasks:
        steps.append(("submits", "outcomes", submit_all(call, worker, project, tasks)))
    if wanted is not None:
        steps.append(("get", "tasks", _get(call, worker, wanted)))
    # Together, the first script of each leaves before there is a reply to any, and the store keeps their order.
    begun: Sequence[_Begun] = [(part, field, Begun(doing)) for part, field, doing in steps] if together else steps
    for part, field, doing in begun:
        await _end(content, part, field, doing)

    refused = content["refused"]
    if "get" in refused and call.undo is not None:
        # It has tasks, but not all that is told of them.
        await call.undo()
        call.undo = None
    return Reply(content, f"Refused: {', '.join(refused)}; content.refused says why" if refused else None, not refused)


def _wanted(call: Call, get: TurnGet) -> Wanted:
    count, most = get.count or 1, call.settings.max_count
    if count > most:
        raise Invalid(f"get.count: a whole number from 1 to {most}")
    return Wanted(get.project or 0, count, get.hold or 0, get.wait or 0)


async def _get(call: Call, worker: Worker, wanted: Wanted) -> list[dict[str, object]]:
    refuse_paused(worker)
    return await hand_out(call, worker, wanted)


async def _end(content: dict[str, Any], part: str, field: str, doing: Awaitable[object]) -> None:
    """Notes under ``field`` what comes of it, if it has one, and why ``part`` was refused, if it was."""
    try:
        done = await doing
        if field:
            content[field] = done
    except BrokerError as error:
        if error.content:
            content[field] = error.content[field]
        if error.code == "no_task":
            return
        refusal: dict[str, object] = {"code": error.code, "message": error.message}
        if error.detail is not None:
            refusal["detail"] = error.detail
        if error.code == "rate_limited":
            refusal["rate_limit_delay"] = error.delay
        content["refused"][part] = refusal
