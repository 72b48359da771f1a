"""Calls with which workers get tasks, at once or after a wait, and list the tasks that they hold."""

import asyncio
import random
from collections.abc import Awaitable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from broker.api import answers, auth, projects, queries, webhooks
from broker.api.requests import Call, Disconnected
from broker.api.responses import Reply
from broker.api.routing import TAKER, WORKER, Example, Operation, Routes
from broker.api.values import LONGEST_HOLD, LONGEST_WAIT
from broker.errors import BrokerError, Unavailable
from broker.store.task_fields import Task, TaskFields
from broker.store.tasks import BATCH_BYTES, CHUNK, SKIP, Assigned
from broker.store.waiting.waiter import Wake
from broker.store.workers import Worker

_HEAD_START = 0.05
"""Seconds that other waiting workers have for a task that this one was the last to fail."""

_PASSES = {"no_task", "paused", "rate_limited"}
"""Refusals that may pass soon: worth waiting for."""

_NOTHING = {"no_task", "paused", "denied"}
"""Refusals with the message `No task available`: existing clients wait only after this message, and call again at once
after any other."""

_BEST, _OTHERS = 24, 8
"""How many projects without a task for the worker a get of any project tries: the best, then random ones, so that no
project starves behind these. Projects whose rate is used up do not count."""

_ELSEWHERE = _PASSES | {"denied", "not_found"}
"""Refusals by one project after which a get of any project tries others, or waits."""


routes = Routes()

_IN_PATH = {"project": "the project's id"}
_WAIT = (
    "With `wait`, a get that would answer `no_task`, `paused` or 429 waits instead, and answers as soon as there is "
    "a task. A task that is submitted, given back, reclaimed or chained, through any process or broker on the same "
    "store, reaches a waiting worker within some milliseconds. A task of a project that is resumed or made public "
    "takes up to a second. Workers of one process are served in the order of their calls. If access is granted "
    "while a worker waits for any project, it applies to the worker's next call. Set your client's timeout to more "
    "than `wait`. When the broker stops, all waits end at once with `no_task`. The wait also ends when the client "
    "disconnects. A client that closes only its sending side gets `no_task`."
)
_NO_TASK = (
    "For `no_task`, `paused` and `denied` the `message` is always `No task available`: clients of the original tracker "
    "wait only after these words. `detail` gives the reason."
)
_LOST = (
    "If the client is gone before the answer can be written, its tasks are waiting again at once, as after a skip. "
    "A client that closes only its sending side after the request still gets the answer. If the answer is written "
    "but lost on the way, a task is assigned and the worker does not know it: `/task/assigned/{project}` lists it. "
    "If the worker does not release it, it is reclaimed at its deadline. Repeating the call assigns another task."
)


def example(id: int, recipe: str, **others: int) -> dict[str, object]:
    task = {
        "id": id,
        **TaskFields(recipe).given(),
        "assignee": 1,
        "retries": 0,
        "round": 1,
        "status": 1,
        "assign_time": 1795469334,
    }
    return {**task, "project": projects.EXAMPLE | {"version": webhooks.EXAMPLE_COMMIT}, **others}


class Found(NamedTuple):
    project: int
    assigned: Assigned


class Wanted(NamedTuple):
    """What a get asks for."""

    project: int
    """0 for any."""
    most: int
    """Tasks."""
    hold: int
    """Seconds to hold the tasks at most; 0: as long as they say."""
    wait: int
    """Seconds to wait for a task at most."""


@routes.add(
    "GET /task/get/{project}",
    Operation(
        group="Tasks",
        summary="Get a task of one project",
        text="For workers with assign or submit on the project; for any worker if the project is public. Assigns the "
        "task with the highest priority; among tasks with the same priority, the one that has waited longest."
        f"\n\n{_WAIT}\n\n{_NO_TASK}\n\n{_LOST}",
        who=TAKER,
        path=_IN_PATH,
        query=queries.TakeQuery,
        content=(answers.OneTask, answers.Tasks),
        refuses={
            "no_task": "no task is waiting, or only tasks that this worker has voted on; with `wait`, until its end",
            "paused": "the project is paused",
            "worker_paused": "",
            "denied": "the worker may not get tasks of this project",
            "not_found": "no such project",
            "rate_limited": "the project's `assign_rate` is reached",
        },
        example=Example(
            path="/task/get/2",
            content={
                "task": example(100002, "https://example.org/", priority=1, max_assign_time=600),
            },
        ),
    ),
)
async def get(call: Call) -> Reply:
    return await _get(call, await _ready_worker(call), call.id("project"))


@routes.add(
    "GET /task/get",
    Operation(
        group="Tasks",
        summary="Get a task of any project",
        text="For workers. Assigns a task of the project with the highest priority that has a task for this worker. "
        "It tries at most 32 projects that turn out to have none for it: the 24 best and 8 random ones. All tasks of "
        "one answer are "
        f"from one project.\n\n{_LOST}",
        who=TAKER,
        query=queries.TakeQuery,
        content=(answers.OneTask, answers.Tasks),
        refuses={
            "no_task": "no project that the worker may get tasks from has one for it, or these projects are paused",
            "worker_paused": "",
            "rate_limited": "no task was assigned because the `assign_rate` of a project is reached",
        },
        example=Example(
            path="/task/get?count=2",
            content={
                "tasks": [
                    example(200002, "https://example.org/a"),
                    example(300002, "https://example.org/b"),
                ]
            },
        ),
    ),
)
async def get_any(call: Call) -> Reply:
    return await _get(call, await _ready_worker(call), 0)


async def _get(call: Call, worker: Worker, project: int) -> Reply:
    count, hold, wait = _asked(call) if call.target.query else (None, None, None)
    tasks = await hand_out(call, worker, Wanted(project, count or 1, hold or 0, wait or 0))
    return Reply({"task": tasks[0]} if count is None else {"tasks": tasks})


def _asked(call: Call) -> tuple[int | None, int | None, int | None]:
    """``count``, ``hold`` and ``wait`` of the query."""
    count = call.number("count", 1, call.settings.max_count)
    return count, call.number("hold", 1, LONGEST_HOLD), call.number("wait", 0, LONGEST_WAIT)


async def hand_out(
    call: Call, worker: Worker, wanted: Wanted, asked: Assigned | BrokerError | None = None
) -> list[dict[str, object]]:
    """Assigns tasks and returns them as the answer shows them. If the client does not receive the answer, the call's
    ``undo`` gives them back. ``asked``: the store's answer, if it was asked already.
    """
    try:
        found = await _now_or_later(call, worker, wanted, asked)
    except BrokerError as refused:
        if refused.code in _NOTHING:
            refused.detail, refused.message = refused.message, "No task available"
        raise
    call.undo = partial(_return, call, worker, found)
    return await _views(call, worker, found)


def asks_first(call: Call, wanted: Wanted) -> bool:
    """Whether to ask the store before waiting. If others already wait, this call will probably wait as well: it asks
    the store when it has joined the wait queue.
    """
    return not (wanted.wait and call.store.waiters.listens(wanted.project))


async def _now_or_later(call: Call, worker: Worker, wanted: Wanted, asked: Assigned | BrokerError | None) -> Found:
    if asked is None and call.client.gone:
        raise Disconnected
    if asked is not None or asks_first(call, wanted):
        try:
            return await _take(call, worker, wanted) if asked is None else _found(wanted.project, asked)
        except BrokerError as refused:
            if not wanted.wait or refused.code not in _PASSES:
                raise
    begun = asyncio.get_running_loop().time()
    try:
        return await _wait(call, worker, wanted, until=begun + wanted.wait)
    finally:
        call.served.waited = asyncio.get_running_loop().time() - begun


async def _wait(call: Call, worker: Worker, wanted: Wanted, *, until: float) -> Found:
    """Waits for a task and returns as soon as there is one. The wait ends early when the client disconnects."""
    project, queues = wanted.project, call.store.waiters.queues
    granted = () if project else await call.store.workers.projects((await _ready_worker(call)).id)
    asks = not (call.store.waiters.listens(project) and queues.finds_nothing(project, worker.id))
    waiter = await call.store.waiters.enter(project, granted)
    waiter.worker = worker.id
    timer = asyncio.get_running_loop().call_at(until, waiter.end)
    call.client.on_leave(waiter.end)
    wake: Wake | None = None
    refused, leave = _no_task(), True
    try:
        while True:
            if asks:
                try:
                    # During the wait, the worker may have been paused, or its secret changed.
                    worker = await _ready_worker(call)
                    asked = wanted if wake is None else wanted._replace(project=wake.project)
                    found = await _take(call, worker, asked, leave=leave)
                except BrokerError as error:
                    if isinstance(error, Unavailable):
                        queues.unanswered(waiter)
                    if error.code not in (_PASSES if project else _ELSEWHERE):
                        raise
                    refused = error
                else:
                    queues.found(waiter, wake)
                    return found
                if isinstance(refused, _Left):
                    leave = False
                    await asyncio.sleep(_HEAD_START)
                queues.refused(waiter, wake, refused)
            wake = await waiter.woken()
            if call.client.gone:
                raise Disconnected
            if wake is None and asks:
                raise refused if project and refused.code == "paused" else _no_task()
            # Also at the end of the wait, if it has not asked yet: the worker may have lost its access.
            asks = True
    finally:
        queues.leave(waiter)
        timer.cancel()
        call.client.on_leave(None)


async def _return(call: Call, worker: Worker, found: Found) -> None:
    """Releases the tasks as skip. What cannot be released now is reclaimed at its deadline."""
    tasks = found.assigned.tasks
    with suppress(BrokerError):
        for start in range(0, len(tasks), CHUNK):
            releases = [(task.id, SKIP, 0) for task in tasks[start : start + CHUNK]]
            await call.store.tasks.release(found.project, worker.id, releases)


async def _ready_worker(call: Call) -> Worker:
    worker = await auth.worker(call)
    refuse_paused(worker)
    return worker


def refuse_paused(worker: Worker) -> None:
    if worker.paused:
        raise BrokerError("worker_paused", "This worker is paused; an admin can resume it")


def _take(call: Call, worker: Worker, wanted: Wanted, *, leave: bool = False) -> Awaitable[Found]:
    """``leave``: as in :meth:`Tasks.assign`."""
    return (_take_from if wanted.project else _take_from_any)(call, worker, wanted, leave)


async def _take_from_any(call: Call, worker: Worker, wanted: Wanted, leave: bool) -> Found:
    limits, tries = list[BrokerError](), _BEST + _OTHERS
    async for page in call.store.active.candidates(worker.id):
        limits += [one.limit.refusal() for one in page if one.limit]
        open = [one for one in page if not one.limit]
        while open and tries:
            one = open.pop(0 if tries > _OTHERS else random.randrange(len(open)))  # noqa: S311
            try:
                return await _take_from(call, worker, wanted._replace(project=one.project), leave)
            except BrokerError as error:
                if error.code == "rate_limited":
                    limits.append(error)
                    call.store.active.limit(one, error.delay or 0)
                elif error.code in _ELSEWHERE:
                    tries -= 1
                    await call.store.active.found_nothing(one.project)
                else:
                    raise
        if not tries:
            break
    raise min(limits, key=lambda error: error.delay or 0, default=None) or _no_task()


async def _take_from(call: Call, worker: Worker, wanted: Wanted, leave: bool) -> Found:
    """Takes tasks of one project, in chunks. If a later chunk fails, the tasks of the earlier chunks are returned."""
    project, count, hold, _ = wanted
    assign, default_time = call.store.tasks.assign, int(call.settings.max_assign_time)
    assigned = await assign(project, worker.id, min(CHUNK, count), default_time, hold=hold, leave=leave)
    tasks = _found(project, assigned).assigned.tasks
    more = len(tasks) == CHUNK < count
    while more:
        room = BATCH_BYTES - sum(map(_bytes, tasks))
        if room <= 0:
            break
        try:
            left = min(CHUNK, count - len(tasks))
            chunk = await assign(project, worker.id, left, default_time, hold=hold, bytes=room, first=False)
        except BrokerError:
            break
        tasks += chunk.tasks
        more = len(chunk.tasks) == CHUNK and len(tasks) < count
    return Found(project, assigned)


def _found(project: int, assigned: Assigned | BrokerError) -> Found:
    """Raises the reason if there are no tasks."""
    if isinstance(assigned, BrokerError):
        raise assigned
    if assigned.left:
        raise _Left("no_task", "The waiting tasks are left to other workers first")
    if not assigned.tasks:
        raise _no_task()
    return Found(project, assigned)


def _bytes(task: Task) -> int:
    """Bytes of the recipe, as the scripts count them."""
    return len(task.fields.recipe.encode())


async def _views(call: Call, worker: Worker, found: Found) -> list[dict[str, object]]:
    project = await projects.as_json(call, found.project, found.assigned.revision)
    return [
        {
            "id": task.id,
            **task.fields.given(),
            "assignee": worker.id,
            "retries": task.retries,
            "round": task.round,
            "status": 1,
            "assign_time": task.assign_time,
            "project": project,
        }
        for task in found.assigned.tasks
    ]


class _Left(BrokerError):
    """Only tasks wait that this worker was the last to fail. It may get them at its next attempt."""


def _no_task() -> BrokerError:
    return BrokerError("no_task", "No task is waiting that this worker may get")


@routes.add(
    "GET /task/assigned/{project}",
    Operation(
        group="Tasks",
        summary="List the tasks that the worker holds",
        text="For workers, to continue after a crash. Lists the tasks by id, at most 1,000 tasks and about 8 MiB of "
        "recipes. Release some to see the others. Safe to repeat.",
        who=WORKER,
        path=_IN_PATH,
        content=(answers.Tasks,),
        refuses={"not_found": "no such project"},
        example=Example(
            path="/task/assigned/2",
            content={"tasks": [example(100002, "https://example.org/", priority=1, max_assign_time=600)]},
        ),
    ),
)
async def assigned(call: Call) -> Reply:
    worker = await auth.worker(call)
    project, most = call.id("project"), call.settings.max_count
    held: dict[int, Task] = {}
    size, cursor = 0, "0"
    while True:
        cursor, page = await call.store.tasks.held(project, worker.id, cursor, CHUNK)
        for task in page.tasks:
            if size < BATCH_BYTES and len(held) < most:
                held[task.id] = task
                size += _bytes(task)
        if cursor == "0" or size >= BATCH_BYTES or len(held) >= most:
            found = Found(project, Assigned(page.revision, sorted(held.values(), key=lambda task: task.id)))
            return Reply({"tasks": await _views(call, worker, found)})
