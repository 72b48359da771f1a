"""Calls of workers on tasks that they submit or hold: submit, release, extend, give back, cancel."""

import time
from operator import attrgetter
from typing import NamedTuple

from broker.api import answers, auth
from broker.api.batches import batch, each, flags, in_parts
from broker.api.bodies import BulkRelease, BulkSubmit, ExtendTasks, ReleaseTask, SubmitTask, TaskIds, hash_of
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import TAKER, WORKER, Example, Operation, Routes
from broker.api.values import (
    LONGEST_DELAY,
    LONGEST_MESSAGE,
    MAX_NAMED,
    non_empty,
    required,
    seconds_or_minus_1,
    valid_group,
)
from broker.errors import BrokerError, Invalid, Unavailable
from broker.store.task_fields import TaskFields
from broker.store.tasks import FAIL, OK, PART, project_of, result_of
from broker.store.workers import Worker

_OPTIONAL = TaskFields._fields[2:-1]
"""Fields that a worker may leave out; 0 and "" count as absent."""

_given = attrgetter(*_OPTIONAL, "delay", "not_before")

UPDATED = {"closed": True, "failed": True, "returned": True, "voted": False, "not_held": False}
_WHY_NOT = {
    "voted": "The task stays open: it waits for more workers to release it with the same verification",
    "not_held": "This worker does not hold the task",
}


routes = Routes()

_TAKEN = "a waiting, verifying, assigned or failed task has this hash; with `remember_closed` also a closed one"


def _new_task(body: SubmitTask, max_recipe: int) -> TaskFields:
    """The task that a worker submits, checked."""
    recipe = non_empty(body.recipe, "recipe", max_recipe)
    hash64 = hash_of(body) or ""
    if not any(_given(body)):
        return TaskFields(recipe, hash64)
    given = {name: value for name in _OPTIONAL if (value := getattr(body, name))}
    if "group" in given:
        valid_group(given["group"])
    return TaskFields(recipe, hash64, **given, start=_start(body) if body.delay or body.not_before else "")


def _start(body: SubmitTask) -> str:
    """As :attr:`TaskFields.start`."""
    if body.delay and body.not_before:
        raise Invalid("not_before: send this or delay, not both")
    if body.not_before is None or not body.not_before:
        return f"+{round((body.delay or 0) * 1000)}"
    if body.not_before > time.time() + LONGEST_DELAY:
        raise Invalid("not_before: more than ten years ahead")
    return f"={round(body.not_before * 1000)}"


@routes.add(
    "POST /task/submit",
    Operation(
        group="Tasks",
        summary="Submit a task",
        text="For workers with submit on the project. Submitting works while the project or the worker is paused.\n\n"
        "Send `hash64` or `unique_string` to prevent duplicates, but not both. After a lost answer, repeat a call that "
        "has one of them: 409 means that the task was submitted. Without them, a repeat creates a second task.\n\n"
        "A task id is 100,000 times a count, plus the project's id: a number below 2^53. The count ends at "
        "90,071,992,546; each submit and each task that is waiting again uses one number. After that the project "
        "accepts no new tasks; its existing tasks can still be assigned and released. Tasks that a chain brings to "
        "it stay in the outbox, as when the store is full, until the project is deleted.",
        who=WORKER,
        body=SubmitTask,
        large=True,
        content=(answers.TaskId,),
        refuses={
            "denied": "the worker may not submit to this project",
            "not_found": "no such project",
            "duplicate": _TAKEN,
            "too_large": "the recipe or the body is too large; or the project has no ids left for new tasks",
            "rate_limited": "the project's `submit_rate` is reached",
        },
        example=Example(
            path="/task/submit",
            body={
                "project": 2,
                "recipe": "https://example.org/",
                "unique_string": "https://example.org/",
                "priority": 1,
                "max_assign_time": 600,
            },
            content={"task_id": 100002},
        ),
    ),
)
async def submit(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(SubmitTask)
    project, task = required(body.project, "project"), _new_task(body, call.settings.max_recipe)
    task_id = (await call.store.tasks.submit(project, worker.id, [task]))[0]
    if task_id is None:
        raise BrokerError("duplicate", "The project has a task with this hash, or remembers its hash")
    return Reply({"task_id": task_id})


@routes.add(
    "POST /task/bulk_submit",
    Operation(
        group="Tasks",
        summary="Submit up to 10,000 tasks",
        text="For workers with submit on the project. All tasks must be of one project. If one task is invalid, "
        "nothing is submitted; duplicates are skipped one by one.\n\n"
        "The call runs in parts of 200; other calls are served in between. A 503 with `content` says which tasks were "
        "submitted: send the others again. After a lost answer, repeat the call: with hashes, only the missing tasks "
        "are submitted.",
        who=WORKER,
        body=BulkSubmit,
        large=True,
        content=(answers.BulkOutcome,),
        partly=answers.BulkOutcome,
        refuses={
            "invalid": "a task is not valid; `message` names the first one: `requests[1].recipe`",
            "denied": "the worker may not submit to this project",
            "not_found": "no such project",
            "too_large": "a recipe or the body is too large; or the project has not enough ids left for all tasks",
            "rate_limited": "the project's `submit_rate` is reached",
        },
        example=Example(
            path="/task/bulk_submit",
            body={
                "requests": [
                    {"project": 2, "recipe": "https://example.org/a", "unique_string": "a"},
                    {"project": 2, "recipe": "https://example.org/b", "unique_string": "b"},
                    {"project": 2, "recipe": "https://example.org/a", "unique_string": "a"},
                ]
            },
            content={"submitted": 2, "duplicates": 1, "outcomes": [200002, 300002, None]},
        ),
    ),
)
async def bulk_submit(call: Call) -> Reply:
    worker = await auth.worker(call)
    requests = batch(call, (await call.decode(BulkSubmit)).requests)
    return Reply(_submitted(await submit_all(call, worker, *await checked_tasks(call, requests))))


async def checked_tasks(
    call: Call, requests: list[SubmitTask], field: str = "requests"
) -> tuple[int, list[TaskFields]]:
    """Their one project, and what is submitted to it."""
    project, max_recipe = required(requests[0].project, f"{field}[0].project"), call.settings.max_recipe

    def checked(request: SubmitTask) -> TaskFields:
        if request.project != project:
            raise Invalid(f"project: differs from {field}[0].project; all tasks must be of one project")
        return _new_task(request, max_recipe)

    return project, await each(requests, checked, field)


async def submit_all(call: Call, worker: Worker, project: int, tasks: list[TaskFields]) -> list[int | None]:
    """The id of each, None for a duplicate. Raises ``unavailable`` with ``outcomes`` so far if a later chunk fails."""
    outcomes: list[int | None] = []
    for start in range(0, len(tasks), PART):
        try:
            chunk = tasks[start : start + PART]
            whole = 0 if start else len(tasks)
            outcomes += await call.store.tasks.submit(project, worker.id, chunk, whole=whole)
        except BrokerError as error:
            if start == 0:
                raise
            message = f"Only the first {start} tasks were submitted: {error.message}"
            raise Unavailable(message, _submitted(outcomes)) from error
    return outcomes


def _submitted(outcomes: list[int | None]) -> dict[str, object]:
    duplicates = outcomes.count(None)
    return {"submitted": len(outcomes) - duplicates, "duplicates": duplicates, "outcomes": outcomes}


@routes.add(
    "POST /task/release",
    Operation(
        group="Tasks",
        summary="Release a task as ok, fail or skip",
        text="For the worker that holds the task, also if it is paused or has lost its access. `updated` is false, "
        "with a message, if the worker does not hold the task, or if its vote was counted and more votes are "
        "needed.\n\n"
        "`group_delay` and `group_blocked` slow down the group of the task, on a public project only if the worker "
        "was granted access: else they are ignored. They never speed up what managers have set: a manager's delay is "
        "the minimum, and -1 does not end a manager's block.\n\n"
        "Safe to repeat: “does not hold” then means that the release was done, or that the task was reclaimed.",
        who=TAKER,
        body=ReleaseTask,
        large=True,
        content=(answers.Updated,),
        remarks="beside",
        example=Example(
            path="/task/release",
            body={"task_id": 100002, "result": 0, "verification": -32315129},
            content={"updated": True},
        ),
    ),
)
async def release(call: Call) -> Reply:
    worker = await auth.worker(call)
    release = _checked_release(await call.decode(ReleaseTask))
    project = project_of(release.task)
    outcome = (await _released(call, worker, project, [release]))[0] if project else "not_held"
    return Reply({"updated": UPDATED[outcome]}, _WHY_NOT.get(outcome))


@routes.add(
    "POST /task/bulk_release",
    Operation(
        group="Tasks",
        summary="Release up to 10,000 tasks",
        text="For workers, for tasks of any projects. A 503 with `content` says what was done before it: `updated` is "
        "false if that is not known. Safe to repeat, like `/task/release`.",
        who=WORKER,
        body=BulkRelease,
        large=True,
        content=(answers.AllUpdated,),
        partly=answers.AllUpdated,
        refuses={"invalid": "a release is not valid; nothing was released"},
        example=Example(
            path="/task/bulk_release",
            body={
                "requests": [{"task_id": 200002, "result": 1, "message": "HTTP 500"}, {"task_id": 100002, "result": 2}]
            },
            content={"updated": [True, False]},
        ),
    ),
)
async def bulk_release(call: Call) -> Reply:
    worker = await auth.worker(call)
    requests = batch(call, (await call.decode(BulkRelease)).requests)
    return Reply({"updated": await release_all(call, worker, await checked_releases(requests))})


class Release(NamedTuple):
    task: int
    result: int | str
    """As :func:`result_of` gives it."""
    verification: int
    slow_down: tuple[float, float] | None
    """``group_delay`` and ``group_blocked``, if one of them was sent."""


async def checked_releases(requests: list[ReleaseTask], field: str = "requests") -> list[Release]:
    return await each(requests, _checked_release, field)


def _checked_release(body: ReleaseTask) -> Release:
    delay, blocked = body.group_delay, body.group_blocked
    slow_down = None
    if delay or blocked:
        delay, blocked = seconds_or_minus_1(delay, "group_delay"), seconds_or_minus_1(blocked, "group_blocked")
        slow_down = delay or 0, blocked or 0
    task, result = required(body.task_id, "task_id"), required(body.result, "result")
    full = _result(body, result) if body.delay or body.again_in or body.message else result
    return Release(task, full, body.verification or 0, slow_down)


def _result(body: ReleaseTask, result: int) -> int | str:
    if result == OK:
        return result_of(result, body.again_in or 0)
    if body.again_in:
        raise Invalid("again_in: only with the result 0")
    message = (body.message or "")[:LONGEST_MESSAGE] if result == FAIL else ""
    return result_of(result, body.delay or 0, message)


async def _released(call: Call, worker: Worker, project: int, releases: list[Release]) -> list[str]:
    """The outcome of each release. Closed tasks are in the chained project before this returns, unless it cannot take
    them.

    Groups are slowed down first: if the process dies in between, no worker gets a task of the group too early.
    """
    store = call.store
    if slow_downs := slow_downs_of(releases):
        await store.groups.slow(project, worker.id, slow_downs)
    released = await store.tasks.release(project, worker.id, [release[:3] for release in releases])
    if released.chained:
        await store.chain.flush_if_possible(project)
    return released.outcomes


async def release_all(call: Call, worker: Worker, releases: list[Release]) -> list[bool]:
    """Whether each was updated. Raises ``unavailable`` with ``updated`` so far if some were answered."""
    project, *others = {project_of(release.task) for release in releases}
    if project and not others and len(releases) <= PART:
        return [UPDATED[outcome] for outcome in await _released(call, worker, project, releases)]
    updated = [False] * len(releases)
    answered = 0

    async def release_some(project: int, positions: list[int]) -> None:
        nonlocal answered
        outcomes = await _released(call, worker, project, [releases[position] for position in positions])
        for position, outcome in zip(positions, outcomes, strict=True):
            updated[position] = UPDATED[outcome]
        answered += len(positions)

    try:
        await in_parts([release.task for release in releases], release_some)
    except BrokerError as error:
        if not answered:
            raise
        message = f"Only {answered} of {len(releases)} releases were carried out: {error.message}"
        raise Unavailable(message, {"updated": updated}) from error
    return updated


def slow_downs_of(releases: list[Release]) -> list[tuple[int, float, float]]:
    """As :meth:`Groups.slow` takes them."""
    return [(release.task, *release.slow_down) for release in releases if release.slow_down]


@routes.add(
    "POST /task/extend",
    Operation(
        group="Tasks",
        summary="Extend the deadline of tasks",
        text="For the worker that holds the tasks. The new deadline is `seconds` from now, which may also be earlier "
        "than the old one. Safe to repeat.",
        who=WORKER,
        body=ExtendTasks,
        large=True,
        content=(answers.Extended,),
        example=Example(
            path="/task/extend",
            body={"task_ids": [100002, 200002], "seconds": 900},
            content={"extended": [True, False]},
        ),
    ),
)
async def extend(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(ExtendTasks)
    if body.task_id is not None and body.task_ids is not None:
        raise Invalid("task_ids: send this or task_id, not both")
    seconds = required(body.seconds, "seconds")
    tasks = batch(call, body.task_ids, "task_ids") if body.task_id is None else [body.task_id]
    extend_some = call.store.tasks.extend
    return Reply({"extended": await flags(tasks, lambda project, some: extend_some(project, worker.id, some, seconds))})


@routes.add(
    "POST /task/give_back",
    Operation(
        group="Tasks",
        summary="Give tasks back",
        text="For the worker that holds the tasks, of any projects: those of its own earlier runs, as "
        "`/task/assigned` lists them. They are waiting again, and that counts as a reclaim: with the project's "
        "`max_reclaims`, a task that crashes every worker is failed in the end. To give a task back without counting "
        "it, release it as skip. Safe to repeat.",
        who=WORKER,
        body=TaskIds,
        content=(answers.Returned,),
        example=Example(
            path="/task/give_back",
            body={"task_ids": [300002, 200002]},
            content={"returned": [True, False]},
        ),
    ),
)
async def give_back(call: Call) -> Reply:
    worker = await auth.worker(call)
    tasks = batch(call, (await call.decode(TaskIds)).task_ids, "task_ids", MAX_NAMED)
    back = call.store.tasks.give_back
    return Reply({"returned": await flags(tasks, lambda project, some: back(project, worker.id, some))})


@routes.add(
    "POST /task/cancel",
    Operation(
        group="Tasks",
        summary="Cancel up to 1,000 tasks",
        text="For workers with submit granted on the projects of the tasks. Deletes tasks in any state but assigned: "
        "those that are waiting, with or without votes, and those that are failed, with their votes. **It does not "
        "matter who submitted a task: each worker with submit can cancel all tasks of the project that are not "
        "assigned.** Their hashes are free at once; they count as `removed`.\n\n"
        "`cancelled` is false for a task that is assigned, that the worker may not cancel, that is moved by a "
        "maintenance call at the moment, or that does not exist (any more): a repeat answers false.",
        who=WORKER,
        body=TaskIds,
        content=(answers.Cancelled,),
        example=Example(
            path="/task/cancel",
            body={"task_ids": [300002, 400002]},
            content={"cancelled": [False, True]},
        ),
    ),
)
async def cancel(call: Call) -> Reply:
    worker = await auth.worker(call)
    tasks = batch(call, (await call.decode(TaskIds)).task_ids, "task_ids", MAX_NAMED)
    cancel_some = call.store.tasks.cancel
    return Reply({"cancelled": await flags(tasks, lambda project, some: cancel_some(project, worker.id, some))})
