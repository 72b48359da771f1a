"""The calls of workers that want tasks: get, at once or as soon as there is one, and what they hold."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import orjson

from broker.api import auth
from broker.api.calls import Call, Disconnected
from broker.api.endpoint import route
from broker.api.replies import Reply
from broker.errors import BrokerError, Unavailable
from broker.store.places import Wake
from broker.store.tasks import BATCH_BYTES, CHUNK, SKIP, Assigned, Task
from broker.store.worker_records import Worker

_MAX_WAIT = 60
"""Seconds."""

_PASSES = {"no_task", "paused", "rate_limited"}
"""Refusals that may be others in a moment."""

_NOTHING = {"no_task", "paused", "denied"}
"""Refusals that have one message: a client in the field sleeps on its words, and calls again at once on any other."""

_ELSEWHERE = _PASSES | {"denied", "not_found"}
"""The same, when any project will do."""


class Found(NamedTuple):
    project: int
    assigned: Assigned


Take = Callable[[Worker], Awaitable[Found]]


async def get(call: Call) -> Reply:
    worker = await _ready_worker(call)
    project, count = call.id("project"), call.number("count", 1, call.settings.max_count)
    return await _get(call, worker, project, count, lambda worker: _take(call, project, worker, count))


async def get_any(call: Call) -> Reply:
    """From the best project that has a task for this worker."""
    worker = await _ready_worker(call)
    count = call.number("count", 1, call.settings.max_count)
    return await _get(call, worker, 0, count, lambda worker: _take_anywhere(call, worker, count))


async def _get(call: Call, worker: Worker, project: int, count: int | None, take: Take) -> Reply:
    try:
        return await _now_or_later(call, worker, project, count, take)
    except BrokerError as refused:
        if refused.code in _NOTHING:
            refused.detail, refused.message = refused.message, "No task available"
        raise


async def _now_or_later(call: Call, worker: Worker, project: int, count: int | None, take: Take) -> Reply:
    wait = call.number("wait", 0, _MAX_WAIT)
    if call.client.gone:
        raise Disconnected
    try:
        return await _answer(call, worker, await take(worker), count)
    except BrokerError as refused:
        if not wait or refused.code not in _PASSES:
            raise
    begun = asyncio.get_running_loop().time()
    try:
        return await _wait(call, project, count, take, begun + wait)
    finally:
        call.scope["broker.waited"] = asyncio.get_running_loop().time() - begun


async def _wait(call: Call, project: int, count: int | None, take: Take, until: float) -> Reply:
    """As soon as there is a task. When the client sends no more it has left, most likely: the wait ends."""
    lines = call.store.waiters.lines
    granted = () if project else await call.store.workers.projects((await _ready_worker(call)).id)
    place = await call.store.waiters.enter(project, granted)
    timer = asyncio.get_running_loop().call_at(until, place.end)
    call.client.on_leave(place.end)
    wake: Wake | None = None
    try:
        while True:
            try:
                # While it waited, its secret may have been changed, or the worker paused.
                worker = await _ready_worker(call)
                found = await (take(worker) if wake is None else _take(call, wake.project, worker, count))
            except BrokerError as error:
                if isinstance(error, Unavailable):
                    lines.lost(place)
                if error.code not in (_PASSES if project else _ELSEWHERE):
                    raise
                refused = error
            else:
                lines.found(place, wake)
                return await _answer(call, worker, found, count)
            lines.refused(place, wake, refused)
            wake = await place.woken()
            if call.client.gone:
                raise Disconnected
            if wake is None:
                raise refused if refused.code == "paused" else _no_task()
    finally:
        lines.leave(place)
        timer.cancel()
        call.client.on_leave(None)


async def _give_back(call: Call, worker: Worker, found: Found) -> None:
    """Without a retry. What cannot be given back comes back at its deadline."""
    tasks = found.assigned.tasks
    with suppress(BrokerError):
        for start in range(0, len(tasks), CHUNK):
            releases = [(task.id, SKIP, 0) for task in tasks[start : start + CHUNK]]
            await call.store.tasks.release(found.project, worker.id, releases)


async def _ready_worker(call: Call) -> Worker:
    worker = await auth.worker(call, status=403)
    if worker.paused:
        raise BrokerError("worker_paused", "This worker is paused; an admin can let it go on")
    return worker


async def _take_anywhere(call: Call, worker: Worker, count: int | None) -> Found:
    limited: BrokerError | None = None
    for project in await call.store.candidates.of(worker.id):
        try:
            return await _take(call, project, worker, count)
        except BrokerError as error:
            if error.code == "rate_limited":
                limited = error if limited is None or (error.delay or 0) < (limited.delay or 0) else limited
            elif error.code not in _ELSEWHERE:
                raise
    raise limited or _no_task()


async def _take(call: Call, project: int, worker: Worker, count: int | None) -> Found:
    """Up to ``count`` tasks, in chunks. What was assigned is always answered: a later chunk that fails only ends it."""
    wanted = count or 1
    assign, default_time = call.store.tasks.assign, int(call.settings.max_assign_time)
    assigned = await assign(project, worker.id, min(CHUNK, wanted), default_time)
    tasks = assigned.tasks
    if not tasks:
        raise _no_task()
    more = len(tasks) == CHUNK < wanted
    while more:
        room = BATCH_BYTES - sum(map(_bytes, tasks))
        if room <= 0:
            break
        try:
            chunk = await assign(
                project, worker.id, min(CHUNK, wanted - len(tasks)), default_time, bytes=room, first=False
            )
        except BrokerError:
            break
        tasks += chunk.tasks
        more = len(chunk.tasks) == CHUNK and len(tasks) < wanted
    return Found(project, assigned)


def _bytes(task: Task) -> int:
    """Of its recipe, as the scripts count."""
    return len(task.recipe.encode())


async def _answer(call: Call, worker: Worker, found: Found, count: int | None) -> Reply:
    call.undo = partial(_give_back, call, worker, found)
    project = await call.store.projects.json(found.project, found.assigned.revision)
    views = _views(worker, found.assigned.tasks, project)
    return Reply({"task": views[0]} if count is None else {"tasks": views})


def _views(worker: Worker, tasks: list[Task], project: bytes) -> list[dict[str, object]]:
    """``project``: its JSON."""
    project_json = orjson.Fragment(project)
    return [
        {
            "id": task.id,
            "priority": task.priority,
            "assignee": worker.id,
            "retries": task.retries,
            "max_retries": task.max_retries,
            "status": 1,
            "recipe": task.recipe,
            "max_assign_time": task.max_assign_time,
            "assign_time": task.assign_time,
            "verification_count": task.verification_count,
            "project": project_json,
        }
        for task in tasks
    ]


def _no_task() -> BrokerError:
    return BrokerError("no_task", "Nothing waits that this worker may take")


async def assigned(call: Call) -> Reply:
    """What this worker holds: up to ``max_count`` tasks, 8 MiB of recipes; releasing some shows the others."""
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
            tasks = sorted(held.values(), key=lambda task: task.id)
            return Reply({"tasks": _views(worker, tasks, await call.store.projects.json(project, page.revision))})


ROUTES = [
    route("GET", "/task/get/{project}", get),
    route("GET", "/task/get", get_any),
    route("GET", "/task/assigned/{project}", assigned),
]
