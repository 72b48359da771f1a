"""The tasks of a project for managers: reclaim, delete or retry all of them, list them, retry or remove one."""

import re
from dataclasses import asdict
from functools import partial

from broker.api import answers, auth, queries
from broker.api.bodies import LONGEST_TEXT, ForgetHash, MatchTasks, hash_of, required, valid_group
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import (
    EITHER,
    MANAGER,
    NEEDS_MAINTENANCE,
    NEEDS_READ,
    NO_SUCH_PROJECT,
    PROJECT_ID,
    Example,
    Operation,
    Routes,
)
from broker.errors import Invalid
from broker.store.maintenance import Matching
from broker.store.project_tasks import TaskFilter
from broker.store.projects import MAINTENANCE, READ
from broker.store.task_fields import Row, TaskFields
from broker.store.tasks import project_of

_STATES = {"waiting": 1, "verifying": 1, "delayed": 1, "assigned": 1, "failed": 2}
"""The task's ``status`` in the original tracker: 1 new, 2 failed."""

_SHORT = 200
"""Characters of a recipe in a list."""

SHORT_BYTES = 4 * (_SHORT + 1)
"""Bytes to read for that: a character has at most four, and the script may drop the last character."""

_PAGE = 50

_ENTRY = re.compile("[0-9]{1,11}")
"""The ``after`` of a filtered page."""

_EXAMPLE_FAILED = {
    "id": 200002,
    "state": "failed",
    "status": 2,
    **TaskFields("https://example.org/a").given(),
    "recipe_bytes": 21,
    "hash64": 5158252350249958646,
    "retries": 1,
    "reclaims": 0,
    "round": 1,
    "error": {"message": "HTTP 500", "worker": 1, "time": 1795469335},
    "created": 1795469334,
    "assignee": None,
    "assign_time": None,
    "deadline": None,
    "fail_time": 1795469335,
    "not_before": None,
    "vote_count": 0,
    "votes": [],
}

_TASK_ID = PROJECT_ID | {"task": "the task's id"}

_OTHER_PROJECT = {"invalid": "an id is not valid, or the task belongs to another project"}

routes = Routes()


_WHOLE = (
    "For managers with MAINTENANCE. The call selects all tasks concerned in one step; tasks that are submitted or "
    "assigned, or that fail, after that are not changed. A hard reset answers then, and the tasks are deleted in the "
    "background. The others answer when the tasks wait again, or after 30 seconds; the rest follows in the background."
)


_all_tasks = partial(
    Operation,
    group="Maintenance",
    who=MANAGER,
    path=PROJECT_ID,
    content=(answers.AffectedTasks,),
    refuses=NEEDS_MAINTENANCE | NO_SUCH_PROJECT,
)


@routes.add(
    "POST /project/reclaim_assigned_tasks/{id}",
    _all_tasks(
        summary="Reclaim all assigned tasks",
        text=f"{_WHOLE} Assigned tasks are waiting again, whatever their deadline. Safe to repeat.",
        example=Example(path="/project/reclaim_assigned_tasks/2", content={"affected_tasks": 1}),
    ),
)
async def reclaim_assigned(call: Call) -> Reply:
    return await _run(call, "reclaim_assigned")


@routes.add(
    "POST /project/hard_reset/{id}",
    _all_tasks(
        summary="Delete all tasks of a project",
        text=f"{_WHOLE} Votes, hashes and remembered hashes are deleted too; counters and snapshots are kept. A repeat "
        "also deletes tasks that were submitted after the first call.",
        example=Example(path="/project/hard_reset/2", content={"affected_tasks": 1}),
    ),
)
async def hard_reset(call: Call) -> Reply:
    return await _run(call, "hard_reset")


@routes.add(
    "POST /project/reset_failed_tasks/{id}",
    _all_tasks(
        summary="Retry all failed tasks",
        text=f"{_WHOLE} Failed tasks are waiting again, with their votes and with `retries` 0. Safe to repeat.",
        example=Example(path="/project/reset_failed_tasks/2", content={"affected_tasks": 0}),
    ),
)
async def reset_failed(call: Call) -> Reply:
    return await _run(call, "reset_failed")


_MATCHING = (
    "For managers with MAINTENANCE. The call looks at all tasks of the project one by one, from the oldest to the "
    "newest. Tasks that do not match can be assigned all the time; tasks that are submitted later are left alone. "
    "Each task is looked at once, in the state that it then has. The call answers when it is done, or after 5 seconds "
    "with `pending`: the rest follows in the background, also if this server process dies. Several such calls are "
    "carried out one after another."
)

_matching_tasks = partial(
    Operation,
    group="Maintenance",
    who=MANAGER,
    path=PROJECT_ID,
    body=MatchTasks,
    content=(answers.MatchingTasks,),
    refuses=NEEDS_MAINTENANCE
    | NO_SUCH_PROJECT
    | {"rate_limited": "the project has 16 calls in progress that retry or remove tasks"},
)


@routes.add(
    "POST /project/retry_tasks/{id}",
    _matching_tasks(
        summary="Retry the failed tasks that match",
        text=f"{_MATCHING} Failed tasks are waiting again, with their votes and with `retries` 0. A task that fails "
        "again meanwhile is not retried a second time.",
        example=Example(
            path="/project/retry_tasks/2",
            body={"state": "failed", "contains": "https://example.org/"},
            content={"affected_tasks": 0, "pending": False},
        ),
    ),
)
async def retry_tasks(call: Call) -> Reply:
    return await _matching(call, "retry_tasks", "failed")


@routes.add(
    "POST /project/remove_tasks/{id}",
    _matching_tasks(
        summary="Delete the tasks of a state that match",
        text=f"{_MATCHING} The tasks are deleted with their votes, and their hashes are free at once. If a worker "
        "holds a task, its release answers `updated` false.",
        example=Example(
            path="/project/remove_tasks/2",
            body={"state": "waiting", "group": "example.org"},
            content={"affected_tasks": 0, "pending": False},
        ),
    ),
)
async def remove_tasks(call: Call) -> Reply:
    return await _matching(call, "remove_tasks", None)


async def _matching(call: Call, operation: Matching, state: str | None) -> Reply:
    """``state``: the only one that is allowed; None: any, but one must be sent."""
    project = await auth.authorized(call, MAINTENANCE)
    body = await call.decode(MatchTasks)
    filter = _filter(required(body.state or state, "state"), body.contains, body.group, body.worker)
    if state not in {None, filter.state}:
        raise Invalid(f"state: only {state}")
    affected, pending = await call.store.maintenance.run_matching(project, operation, filter)
    return Reply({"affected_tasks": affected, "pending": pending})


@routes.add(
    "POST /project/reclaim_worker/{id}/{worker}",
    Operation(
        group="Maintenance",
        summary="Reclaim the tasks of one worker",
        text="For managers with MAINTENANCE. The tasks that the worker holds in this project are waiting again, "
        "whatever their deadlines; the call answers when that is done. Tasks that the worker gets meanwhile may stay: "
        "pause it, or revoke its access, first. Safe to repeat.",
        who=MANAGER,
        path=PROJECT_ID | {"worker": "the worker's id"},
        content=(answers.AffectedTasks,),
        refuses=NEEDS_MAINTENANCE | NO_SUCH_PROJECT,
        example=Example(path="/project/reclaim_worker/2/1", content={"affected_tasks": 0}),
    ),
)
async def reclaim_worker(call: Call) -> Reply:
    project, worker = await auth.authorized(call, MAINTENANCE), call.id("worker")
    return Reply({"affected_tasks": await call.store.project_tasks.reclaim(project, worker)})


@routes.add(
    "POST /project/forget/{id}",
    Operation(
        group="Maintenance",
        summary="Forget the hash of a closed task",
        text="For workers with submit on the project, and for managers with MAINTENANCE. In a project with "
        "`remember_closed`, a task with this hash can be submitted again. The hash of a task that is not closed stays. "
        "A call with an id in `X-Worker-ID`, or without a cookie, is a worker's call. A repeat answers false.",
        who=EITHER,
        path=PROJECT_ID,
        body=ForgetHash,
        content=(answers.Forgotten,),
        refuses={"denied": "the worker may not submit to this project; the manager lacks MAINTENANCE"}
        | NO_SUCH_PROJECT,
        example=Example(
            path="/project/forget/2", body={"unique_string": "https://example.org/"}, content={"forgotten": False}
        ),
    ),
)
async def forget(call: Call) -> Reply:
    project, worker = call.id("id"), None
    if auth.is_workers_call(call):
        worker = (await auth.worker(call)).id
    else:
        await auth.authorized(call, MAINTENANCE)
    hash64 = required(hash_of(await call.decode(ForgetHash)), "hash64")
    return Reply({"forgotten": await call.store.project_tasks.forget(project, hash64, worker)})


async def _run(call: Call, maintenance: str) -> Reply:
    project = await auth.authorized(call, MAINTENANCE)
    return Reply({"affected_tasks": await call.store.maintenance.run(project, maintenance)})


@routes.add(
    "GET /project/tasks/{id}",
    Operation(
        group="Maintenance",
        summary="List a project's tasks",
        text="For managers with READ, also if the project is public. Tasks that a maintenance call is moving at the "
        "moment are not listed.\n\n"
        "With any of `order`, `contains`, `group`, `worker` and `after`, the page has those tasks of the state that "
        "match all of them, by id, and `next` in place of `total`; `offset` is refused. It looks at up to 1,000 tasks "
        "in any state, so it may be short, or empty, before the last one: go on until `next` is null, with the same "
        "`order`. Each task is shown in the state that it has at that moment: a task whose state changes meanwhile "
        "may be missing, and no task comes twice.",
        who=MANAGER,
        path=PROJECT_ID,
        query=queries.TaskPageQuery,
        content=(answers.TaskPage, answers.FoundTasks),
        refuses={"invalid": "a parameter is not valid; `offset` beside a filter"} | NEEDS_READ | NO_SUCH_PROJECT,
        example=Example(path="/project/tasks/2?state=failed", content={"total": 1, "tasks": [_EXAMPLE_FAILED]}),
    ),
)
async def tasks(call: Call) -> Reply:
    project = await auth.authorized(call, READ)
    filter = _filter(call.query("state"), call.query("contains"), call.query("group"), call.number("worker", 1, 2**53))
    order, after = call.query("order"), call.query("after")
    offset, limit = call.page()
    full = call.query("full") == "1"
    longest = 0 if full else SHORT_BYTES
    found: dict[str, object]
    if order is None and after is None and not any(filter[1:]):
        total, rows = await call.store.project_tasks.page(
            project, filter.state, offset or 0, limit or _PAGE, longest=longest
        )
        found = {"total": total}
    else:
        if order not in {None, "newest", "oldest"}:
            raise Invalid("order: newest or oldest")
        if after is not None and not _ENTRY.fullmatch(after):
            raise Invalid("after: not the `next` of a page")
        if offset is not None:
            raise Invalid("offset: not with order, contains, group, worker or after; send the next of a page as after")
        onward, rows = await call.store.project_tasks.find(
            project,
            filter,
            newest=order == "newest",
            entry=None if after is None else int(after),
            limit=limit or _PAGE,
            longest=longest,
        )
        found = {"next": None if onward is None else str(onward)}
    return Reply({**found, "tasks": [_view(row, filter.state, full=full) for row in rows]})


def _filter(state: str | None, contains: str | None, group: str | None, worker: int | None) -> TaskFilter:
    state = "waiting" if state in {None, "queue"} else state
    if state not in _STATES:
        raise Invalid(f"state: one of {', '.join(_STATES)}")
    if contains and len(contains) > LONGEST_TEXT:
        raise Invalid(f"contains: longer than {LONGEST_TEXT} characters")
    return TaskFilter("queue" if state == "waiting" else state, contains or "", valid_group(group or ""), worker or "")


def _view(row: Row, state: str, *, full: bool) -> dict[str, object]:
    recipe, hash64 = row.fields.recipe, row.fields.hash64
    shown = "waiting" if state == "queue" else state
    return {
        "id": row.id,
        "state": shown,
        "status": _STATES[shown],
        **row.fields.given(),
        "recipe": recipe if full else recipe[:_SHORT],
        "recipe_bytes": row.length,
        "hash64": int(hash64) if hash64 else None,
        "retries": row.retries,
        "reclaims": row.reclaims,
        "round": row.round,
        "error": row.error and row.error._asdict(),
        "created": row.created,
        "assignee": row.assignee,
        "assign_time": row.assign_time,
        "deadline": int(row.score) // 1000 if state == "assigned" else None,
        "fail_time": int(row.score) // 1000 if state == "failed" else None,
        "not_before": row.score / 1000 if state == "delayed" else None,
        "vote_count": row.vote_count,
        "votes": [{"worker": worker, "verification": vote} for worker, vote in row.votes],
    }


@routes.add(
    "GET /project/failures/{id}",
    Operation(
        group="Maintenance",
        summary="Count why tasks have failed",
        text="For managers with READ, also if the project is public. Looks at the 1,000 tasks that failed last and are "
        "failed now. `/project/tasks?state=failed&contains=` lists the tasks of a message.",
        who=MANAGER,
        path=PROJECT_ID,
        content=(answers.Failures,),
        refuses=NEEDS_READ | NO_SUCH_PROJECT,
        example=Example(
            path="/project/failures/2",
            content={"failures": [{"message": "HTTP 500", "count": 1, "last": 1795469335, "task_id": 200002}]},
        ),
    ),
)
async def failures(call: Call) -> Reply:
    project = await auth.authorized(call, READ)
    return Reply({"failures": [asdict(row) for row in await call.store.project_tasks.failures(project)]})


@routes.add(
    "GET /project/task/{id}/{task}",
    Operation(
        group="Maintenance",
        summary="Get one task",
        text="For managers with READ. Returns a task in any state, with its whole recipe.",
        who=MANAGER,
        path=_TASK_ID,
        content=(answers.OneManagedTask,),
        refuses=_OTHER_PROJECT
        | NEEDS_READ
        | {"not_found": "no such project; or the task was closed or removed, or never existed"},
        example=Example(path="/project/task/2/200002", content={"task": _EXAMPLE_FAILED}),
    ),
)
async def task(call: Call) -> Reply:
    project = await auth.authorized(call, READ)
    state, row = await call.store.project_tasks.get(project, _task_of(call, project))
    return Reply({"task": _view(row, state, full=True)})


@routes.add(
    "POST /project/retry_task/{id}/{task}",
    Operation(
        group="Maintenance",
        summary="Retry a failed task",
        text="For managers with MAINTENANCE. The task is waiting again, last in its priority, with `retries` 0 and its "
        "votes. A repeat answers 404.",
        who=MANAGER,
        path=_TASK_ID,
        refuses=_OTHER_PROJECT | NEEDS_MAINTENANCE | {"not_found": "no such project or task, or it is not failed"},
        example=Example(path="/project/retry_task/2/200002"),
    ),
)
async def retry_task(call: Call) -> Reply:
    project, task = await _task(call)
    await call.store.project_tasks.retry(project, task)
    return Reply()


@routes.add(
    "POST /project/remove_task/{id}/{task}",
    Operation(
        group="Maintenance",
        summary="Delete one task",
        text="For managers with MAINTENANCE. Deletes a task in any state, with its votes. Its hash is free at once. "
        "If a worker holds the task, its release answers `updated` false. A repeat answers 404.",
        who=MANAGER,
        path=_TASK_ID,
        refuses=_OTHER_PROJECT | NEEDS_MAINTENANCE | {"not_found": "no such project or task"},
        example=Example(path="/project/remove_task/2/300002"),
    ),
)
async def remove_task(call: Call) -> Reply:
    project, task = await _task(call)
    await call.store.project_tasks.remove(project, task)
    return Reply()


def _task_of(call: Call, project: int) -> int:
    task = call.id("task")
    if project_of(task) != project:
        raise Invalid("task: not an id of this project")
    return task


async def _task(call: Call) -> tuple[int, int]:
    project = await auth.authorized(call, MAINTENANCE)
    return project, _task_of(call, project)
