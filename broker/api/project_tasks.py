"""The tasks of a project for managers: list them, retry or remove one; ``maintenance.py`` is for many of them."""

import re
from dataclasses import asdict

from broker.api import answers, auth, queries
from broker.api.bodies import ForgetHash, hash_of
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
from broker.api.values import LONGEST_TEXT, required, valid_group
from broker.errors import Invalid
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
    filter = filter_of(
        call.query("state"), call.query("contains"), call.query("group"), call.number("worker", 1, 2**53)
    )
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


def filter_of(state: str | None, contains: str | None, group: str | None, worker: int | None) -> TaskFilter:
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
