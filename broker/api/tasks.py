"""The calls of workers on tasks that they add or hold: submit, release, extend."""

import struct
from collections.abc import Callable
from typing import TypeVar

import msgspec
from siphashc import siphash

from broker.api import auth
from broker.api.envelope import Call, Reply, route
from broker.errors import BrokerError, Invalid, Unavailable
from broker.schemas import (
    MAX_BULK,
    BulkRelease,
    BulkSubmit,
    ExtendTasks,
    ReleaseTask,
    SubmitTask,
    non_empty,
    one_of,
    required,
)
from broker.store.tasks import CHUNK, NewTask, by_project, project_of
from broker.store.worker_records import Worker

_SUBMIT = msgspec.json.Decoder(SubmitTask | None)
_BULK_SUBMIT = msgspec.json.Decoder(BulkSubmit | None)
_RELEASE = msgspec.json.Decoder(ReleaseTask | None)
_BULK_RELEASE = msgspec.json.Decoder(BulkRelease | None)
_EXTEND = msgspec.json.Decoder(ExtendTasks | None)

# The original tracker's SipHash-2-4 key: the integers 1 and 2.
_HASH_KEY = struct.pack("<QQ", 1, 2)
T = TypeVar("T")
C = TypeVar("C")

_MAX_GET = 1000
_UPDATED = {"closed": True, "failed": True, "returned": True, "voted": False, "not_held": False}
_WHY_NOT = {
    "voted": "The task stays open: it waits for more workers to release it with the same verification",
    "not_held": "This worker does not hold the task",
}


def unique_hash(text: str) -> int:
    """SipHash-2-4 of a unique_string as a signed 64-bit number: ``b"test"`` is 6838688128588807185."""
    digest: int = siphash(_HASH_KEY, text.encode())
    return digest - 2**64 if digest >= 2**63 else digest


def _new_task(body: SubmitTask) -> NewTask:
    """What a worker submits, checked."""
    recipe = non_empty(body.recipe, "recipe")
    hash64, unique = body.hash64 or None, body.unique_string or None
    if body.hash_u64 or body.unique_str:
        hash64 = one_of("hash64", hash64, "hash_u64", body.hash_u64 or None)
        unique = one_of("unique_string", unique, "unique_str", body.unique_str or None)
    if unique:
        if hash64:
            raise Invalid("unique_string: give this or hash64, not both")
        hash64 = unique_hash(unique)
    return NewTask(
        recipe,
        body.priority or 0,
        body.max_retries or 0,
        body.max_assign_time or 0,
        body.verification_count or 1,
        hash64 or "",
    )


async def submit(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(_SUBMIT, SubmitTask())
    project, task = required(body.project, "project"), _new_task(body)
    task_id = (await call.store.tasks.submit(project, worker.id, [task]))[0]
    if task_id is None:
        raise BrokerError("duplicate", "The project has a task with this hash, or remembers one")
    return Reply({"task_id": task_id})


async def bulk_submit(call: Call) -> Reply:
    worker = await auth.worker(call)
    requests = _batch((await call.decode(_BULK_SUBMIT, BulkSubmit())).requests)
    project = required(requests[0].project, "requests[0].project")

    def checked(request: SubmitTask) -> NewTask:
        if request.project != project:
            raise Invalid("project: differs from requests[0].project; one call, one project")
        return _new_task(request)

    tasks = _each(requests, checked)
    outcomes: list[int | None] = []
    for start in range(0, len(tasks), CHUNK):
        try:
            chunk = tasks[start : start + CHUNK]
            outcomes += await call.store.tasks.submit(project, worker.id, chunk, first=start == 0)
        except BrokerError as error:
            if start == 0:
                raise
            message = f"Only the first {start} tasks were taken: {error.message}"
            raise Unavailable(message, _submitted(outcomes)) from error
    return Reply(_submitted(outcomes))


def _submitted(outcomes: list[int | None]) -> dict[str, object]:
    duplicates = outcomes.count(None)
    return {"submitted": len(outcomes) - duplicates, "duplicates": duplicates, "outcomes": outcomes}


async def release(call: Call) -> Reply:
    worker = await auth.worker(call, status=403)
    release = _checked_release(await call.decode(_RELEASE, ReleaseTask()))
    project = project_of(release[0])
    outcome = (await _released(call, worker, project, [release]))[0] if project else "not_held"
    return Reply({"updated": _UPDATED[outcome]}, _WHY_NOT.get(outcome))


async def bulk_release(call: Call) -> Reply:
    """Raises ``unavailable`` with ``updated`` so far when a later chunk fails."""
    worker = await auth.worker(call)
    requests = _batch((await call.decode(_BULK_RELEASE, BulkRelease())).requests)
    releases = _each(requests, _checked_release)
    updated = [False] * len(releases)
    answered = 0
    for project, places in by_project([release[0] for release in releases]).items():
        for start in range(0, len(places), CHUNK) if project else ():
            chunk = places[start : start + CHUNK]
            try:
                outcomes = await _released(call, worker, project, [releases[place] for place in chunk])
            except BrokerError as error:
                if not answered:
                    raise
                message = f"Only {answered} of {len(releases)} releases were carried out: {error.message}"
                raise Unavailable(message, {"updated": updated}) from error
            for place, outcome in zip(chunk, outcomes, strict=True):
                updated[place] = _UPDATED[outcome]
            answered += len(chunk)
    return Reply({"updated": updated})


def _checked_release(body: ReleaseTask) -> tuple[int, int, int]:
    return required(body.task_id, "task_id"), required(body.result, "result"), body.verification or 0


async def _released(call: Call, worker: Worker, project: int, releases: list[tuple[int, int, int]]) -> list[str]:
    """The outcome of each. A chained project has the closed tasks before this returns, unless it cannot take them."""
    store = call.store
    released = await store.tasks.release(project, worker.id, releases)
    if released.chained:
        await store.chain.flush_if_possible(project)
    return released.outcomes


async def extend(call: Call) -> Reply:
    worker = await auth.worker(call)
    body = await call.decode(_EXTEND, ExtendTasks())
    if body.task_id is not None and body.task_ids is not None:
        raise Invalid("task_ids: give this or task_id, not both")
    seconds = required(body.seconds, "seconds")
    tasks = _batch(body.task_ids, "task_ids") if body.task_id is None else [body.task_id]
    extended = [False] * len(tasks)
    for project, places in by_project(tasks).items():
        for start in range(0, len(places), CHUNK) if project else ():
            chunk = places[start : start + CHUNK]
            done = await call.store.tasks.extend(project, worker.id, [tasks[place] for place in chunk], seconds)
            for place, moved in zip(chunk, done, strict=True):
                extended[place] = moved
    return Reply({"extended": extended})


def _batch(items: list[T] | None, field: str = "requests") -> list[T]:
    batch = required(items, field)
    if not 1 <= len(batch) <= MAX_BULK:
        raise Invalid(f"{field}: 1 to {MAX_BULK} of them")
    return batch


def _each(requests: list[T], checked: Callable[[T], C]) -> list[C]:
    """Every request, checked; a refusal names the field as one of its request."""
    done: list[C] = []
    for request in requests:
        try:
            done.append(checked(request))
        except BrokerError as error:
            error.message = f"requests[{len(done)}].{error.message}"
            raise
    return done


ROUTES = [
    route("POST", "/task/submit", submit),
    route("POST", "/task/release", release),
    route("POST", "/task/bulk_submit", bulk_submit),
    route("POST", "/task/bulk_release", bulk_release),
    route("POST", "/task/extend", extend),
]
