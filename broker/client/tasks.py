"""The calls on tasks: submit, get, release, all three in a turn, extend, give back, cancel."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from broker.client.calls import Caller, Nothing, Steps
from broker.client.transport import method
from broker.client.types import ClientError, NewTask, Release, Result, Task, Turn, Unreachable

_MOST = 10_000
"""Tasks of one bulk call."""

_LONGEST_PAUSE = 1.0
"""Maximum seconds between two gets of any project while rates are used up."""

_MOST_BYTES = 8 << 20
"""Bytes of one bulk call: half of what a broker accepts."""


class _Submitted(Struct):
    task_id: int | None = None


class _Outcomes(Struct):
    outcomes: list[int | None]


class _Assigned(Struct):
    task: Task | None = None
    tasks: list[Task] = []


class _Held(Struct):
    tasks: list[Task]


class _Updated(Struct):
    updated: bool


class _AllUpdated(Struct):
    updated: list[bool]


class _Extended(Struct):
    extended: list[bool]


class _Returned(Struct):
    returned: list[bool]


class _Cancelled(Struct):
    cancelled: list[bool]


class TaskCalls(Caller):
    @method
    def submit(
        self,
        project: int,
        recipe: str,
        *,
        priority: int = 0,
        max_retries: int = 0,
        max_assign_time: int = 0,
        verification_count: int = 1,
        hash64: int = 0,
        unique_string: str = "",
        group: str = "",
        delay: float = 0,
        not_before: float = 0,
    ) -> Steps[int | None]:
        """Returns the task's id; None for a duplicate. Waits for the project's rate.

        With ``hash64`` or ``unique_string`` the call is repeated when its answer is lost: None may then mean that the
        first attempt created the task. Without them a repeat could create a second task: it raises ``Unreachable``.
        """
        task = NewTask(
            recipe,
            priority,
            max_retries,
            max_assign_time,
            verification_count,
            hash64,
            unique_string,
            group,
            delay,
            not_before,
        )
        body = {"project": project, **msgspec.to_builtins(task)}
        safe = task.hashed
        reply = yield from self._call("POST", "/task/submit", _Submitted, body=body, safe=safe, allow={"duplicate"})
        return reply.task_id

    @method
    def submit_many(self, project: int, tasks: Iterable[NewTask | str]) -> Steps[list[int | None]]:
        """Returns the id of each task in order, None for duplicates. A ``str`` is a recipe.

        It makes as many calls as needed. A call whose tasks all have a hash is repeated as in :meth:`submit`. The
        ``done`` of an error holds the ids of the first tasks, which were submitted. If the error's ``sent`` is true,
        more may have been submitted.
        """
        done: list[int | None] = []
        for chunk, safe in _chunks(project, tasks):
            try:
                yield from self._submit_chunk(chunk, safe, done)
            except ClientError as error:
                error.done = done
                raise
        return done

    def _submit_chunk(self, requests: list[bytes], safe: bool, done: list[int | None]) -> Steps[None]:
        path, pause = "/task/bulk_submit", 0.0
        while requests:
            body = b'{"requests":[' + b",".join(requests) + b"]}"
            reply = yield from self._call(
                "POST", path, _Outcomes, body=body, safe=safe, allow={"unavailable"}, pause=pause
            )
            done += reply.outcomes
            requests = requests[len(reply.outcomes) :]
            if requests and not safe:
                raise Unreachable(f"POST {path}: the store became unavailable before the end", sent=True)
            pause = 1.0

    @method
    def get(self, project: int | None = None, *, wait: int = 0, hold: int = 0) -> Steps[Task | None]:
        """Assigns the best task of the project, or of any project. None when there is none, or the project is
        paused.

        ``wait``: seconds, at most 60, for which the broker may hold the call until there is a task. ``hold``:
        seconds for which the worker holds the task, at most its ``max_assign_time``; 0: as long as that. Waits for
        the project's rate. When the answer is lost, a task may be assigned: the call is not repeated but raises
        ``Unreachable``; see :meth:`assigned`.
        """
        return (yield from self._assign(project, {"hold": hold}, wait)).task

    @method
    def get_many(self, project: int | None = None, *, count: int, wait: int = 0, hold: int = 0) -> Steps[list[Task]]:
        """As :meth:`get`, for up to ``count`` tasks of one project, at most 1,000."""
        return (yield from self._assign(project, {"count": count, "hold": hold}, wait)).tasks

    def _assign(self, project: int | None, query: Mapping[str, int], wait: int) -> Steps[_Assigned]:
        path = "/task/get" if project is None else f"/task/get/{project}"
        query = {name: value for name, value in {**query, "wait": wait}.items() if value}
        allow = {"no_task", "paused"}
        # A task may come in another project, whose rate is not used up.
        longest = _LONGEST_PAUSE if project is None else math.inf
        call = self._call("GET", path, _Assigned, query=query, safe=False, allow=allow, longest=longest, wait=wait)
        return (yield from call)

    @method
    def release(
        self,
        task_id: int,
        result: Result = Result.OK,
        verification: int = 0,
        *,
        group_delay: float = 0,
        group_blocked: float = 0,
        message: str = "",
        delay: float = 0,
        again_in: float = 0,
    ) -> Steps[bool]:
        """Whether the release changed the task: it is closed, failed, or waits again.

        False: this worker does not hold the task, or more votes are needed. An OK is repeated when its answer is lost;
        False may then mean that the first attempt was carried out. A fail or a skip is not repeated, because another
        thread of this worker may have been assigned the task again: it raises ``Unreachable``. If it was not carried
        out, the broker reclaims the task after its deadline. The others are as in :class:`Release`; an OK with
        ``again_in`` is not repeated either.
        """
        body = Release(task_id, result, verification, group_delay, group_blocked, message, delay, again_in)
        safe = _all_ok([body])
        return (yield from self._call("POST", "/task/release", _Updated, body=body, safe=safe)).updated

    @method
    def release_many(self, releases: Sequence[Release]) -> Steps[list[bool]]:
        """As :meth:`release`, for at most 10,000 tasks of any projects. Repeated when all are OK."""
        body = {"requests": releases}
        safe = _all_ok(releases)
        return (yield from self._call("POST", "/task/bulk_release", _AllUpdated, body=body, safe=safe)).updated

    @method
    def turn(
        self,
        project: int | None = None,
        *,
        releases: Sequence[Release] = (),
        submits: Iterable[NewTask | str] = (),
        count: int = 1,
        wait: int = 0,
        hold: int = 0,
        patience: float | None = None,
    ) -> Steps[Turn]:
        """Releases tasks, submits tasks to the project, and gets up to ``count`` tasks, in this order, in one call.

        At most 1,000 releases and 10,000 submits; a ``str`` is a recipe. Without a ``project`` there are no submits,
        and the tasks are of any project. A part that is refused does not stop the others: look at ``refused``, also for
        the project's rates, which are not waited for. If the answer is lost and a task was asked for, or the parts are
        not safe to repeat by themselves, the call is not repeated but raises ``Unreachable``; see :meth:`assigned`.
        ``patience``: instead of the client's.
        """
        tasks = [_new_task(task) for task in submits]
        if tasks and project is None:
            raise ValueError("turn: submits need a project")
        body: dict[str, object] = {
            "releases": releases,
            "submits": [_request(project, task) for task in tasks],
            "get": {"project": project, "count": count, "wait": wait, "hold": hold or None} if count else None,
        }
        safe = not count and all(task.hashed for task in tasks) and _all_ok(releases)
        call = self._call("POST", "/task/turn", Turn, body=body, safe=safe, allow={None}, wait=wait, patience=patience)
        return (yield from call)

    @method
    def extend(self, task_ids: Sequence[int], seconds: int, *, patience: float | None = None) -> Steps[list[bool]]:
        """Moves deadlines to ``seconds`` from now, for at most 10,000 tasks. False: not held, so stop working on it.

        ``patience``: instead of the client's.
        """
        body = {"task_ids": task_ids, "seconds": seconds}
        return (
            yield from self._call("POST", "/task/extend", _Extended, body=body, safe=True, patience=patience)
        ).extended

    @method
    def give_back(self, task_ids: Sequence[int]) -> Steps[list[bool]]:
        """Gives back at most 1,000 tasks of an earlier run, which counts as a reclaim. False: not held."""
        body = {"task_ids": task_ids}
        return (yield from self._call("POST", "/task/give_back", _Returned, body=body, safe=True)).returned

    @method
    def cancel(self, task_ids: Sequence[int]) -> Steps[list[bool]]:
        """Deletes at most 1,000 tasks of projects to which this worker may submit, also those of others. False: some
        worker holds the task, or there is none that this worker may cancel.
        """
        body = {"task_ids": task_ids}
        return (yield from self._call("POST", "/task/cancel", _Cancelled, body=body, safe=True)).cancelled

    @method
    def assigned(self, project: int) -> Steps[list[Task]]:
        """The tasks of the project that this worker holds, also those of an earlier run: at most 1,000."""
        return (yield from self._call("GET", f"/task/assigned/{project}", _Held, safe=True)).tasks

    @method
    def log(self, level: str, message: str, *, scope: str = "worker", timestamp: int) -> Steps[None]:
        """Adds a line to the broker's log. ``level``: trace, info, warn or error. ``timestamp``: unix seconds."""
        body = {"scope": scope, "message": message, "timestamp": timestamp}
        yield from self._call("POST", f"/log/{level}", Nothing, body=body, safe=False)


def _all_ok(releases: Sequence[Release]) -> bool:
    """Whether the releases may arrive twice: after an OK, a task is closed and not assigned again."""
    return all(release.result is Result.OK and not release.again_in for release in releases)


def _new_task(given: NewTask | str) -> NewTask:
    return NewTask(given) if isinstance(given, str) else given


def _request(project: int | None, task: NewTask) -> dict[str, object]:
    return {"project": project, **msgspec.to_builtins(task)}


def _chunks(project: int, tasks: Iterable[NewTask | str]) -> Iterator[tuple[list[bytes], bool]]:
    """The requests of each call, and whether the call may be repeated."""
    chunk: list[bytes] = []
    safe, size = True, 0
    for given in tasks:
        task = _new_task(given)
        request = msgspec.json.encode(_request(project, task))
        if chunk and (len(chunk) == _MOST or size + len(request) > _MOST_BYTES):
            yield chunk, safe
            chunk, safe, size = [], True, 0
        chunk.append(request)
        safe, size = safe and task.hashed, size + len(request)
    if chunk:
        yield chunk, safe
