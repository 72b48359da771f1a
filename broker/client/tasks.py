"""The calls on tasks: submit, get, release, extend."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from broker.client.calls import Caller, Nothing, Steps
from broker.client.transport import method
from broker.client.types import ClientError, NewTask, Release, Result, Task, Unreachable

_MOST = 10_000
"""Tasks of one bulk call."""

_MOST_BYTES = 8 << 20
"""Of one bulk call: half of what a broker takes."""


class _Made(Struct):
    task_id: int | None = None


class _Outcomes(Struct):
    outcomes: list[int | None]


class _Taken(Struct):
    task: Task | None = None
    tasks: list[Task] = []


class _Updated(Struct):
    updated: bool


class _AllUpdated(Struct):
    updated: list[bool]


class _Extended(Struct):
    extended: list[bool]


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
    ) -> Steps[int | None]:
        """The task's id; None for a duplicate. Waits for the project's rate.

        With ``hash64`` or ``unique_string`` it is repeated when an answer was lost: None may then mean that it is this
        very task. Without, it could be made twice: ``Unreachable`` is raised.
        """
        task = NewTask(recipe, priority, max_retries, max_assign_time, verification_count, hash64, unique_string)
        body = {"project": project, **msgspec.to_builtins(task)}
        reply = yield from self._call("POST", "/task/submit", _Made, body=body, safe=task.hashed, allow={"duplicate"})
        return reply.content.task_id

    @method
    def submit_many(self, project: int, tasks: Iterable[NewTask | str]) -> Steps[list[int | None]]:
        """The id of each task in order, None for duplicates; a ``str`` is a recipe. As many calls as it takes.

        When all tasks of a call have a hash, it is repeated as in :meth:`submit`. An error's ``done`` says which of the
        first tasks were taken; a call that was ``sent`` in vain may have added more.
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
        pause = 0.0
        while requests:
            reply = yield from self._call(
                "POST",
                "/task/bulk_submit",
                _Outcomes,
                body=b'{"requests":[' + b",".join(requests) + b"]}",
                safe=safe,
                allow={"unavailable"},
                pause=pause,
            )
            outcomes = reply.content.outcomes
            done += outcomes
            requests = requests[len(outcomes) :]
            if requests and not safe:
                raise Unreachable("POST /task/bulk_submit: the store went away in the middle", sent=True)
            pause = 1.0

    @method
    def get(self, project: int | None = None, *, wait: int = 0) -> Steps[Task | None]:
        """The best task of the project, or of any project; None when there is none now, or the project is paused.

        ``wait``: seconds, at most 60, for which the broker may hold the call until there is one. Waits for the
        project's rate. Not repeated when the answer was lost (``Unreachable``): a task may be assigned, see
        :meth:`assigned`.
        """
        taken = yield from self._take(project, {"wait": wait} if wait else {}, wait)
        return taken.task

    @method
    def get_many(self, project: int | None = None, *, count: int, wait: int = 0) -> Steps[list[Task]]:
        """As :meth:`get`, up to ``count`` tasks, at most 1,000, of one project."""
        taken = yield from self._take(project, {"count": count, **({"wait": wait} if wait else {})}, wait)
        return taken.tasks

    def _take(self, project: int | None, query: Mapping[str, int], wait: int) -> Steps[_Taken]:
        path = "/task/get" if project is None else f"/task/get/{project}"
        nothing = {"no_task", "paused"}
        reply = yield from self._call("GET", path, _Taken, query=query, safe=False, allow=nothing, wait=wait)
        return reply.content

    @method
    def release(self, task_id: int, result: Result = Result.OK, verification: int = 0) -> Steps[bool]:
        """Whether that changed the task: closed, failed, or given back.

        False: this worker does not hold it, or its vote was taken and more are needed. An OK is repeated when its
        answer was lost, and False may then mean that it was done. A fail or a skip is not (``Unreachable``): another
        thread of this worker may have got the task again. If it was not done, the task comes back after its deadline.
        """
        body = {"task_id": task_id, "result": result, "verification": verification}
        safe = result is Result.OK
        reply = yield from self._call("POST", "/task/release", _Updated, body=body, safe=safe)
        return reply.content.updated

    @method
    def release_many(self, releases: Sequence[Release]) -> Steps[list[bool]]:
        """As :meth:`release`, for at most 10,000 tasks of any projects; repeated when all are OK."""
        safe = all(release.result is Result.OK for release in releases)
        reply = yield from self._call("POST", "/task/bulk_release", _AllUpdated, body={"requests": releases}, safe=safe)
        return reply.content.updated

    @method
    def extend(self, task_ids: Sequence[int], seconds: int) -> Steps[list[bool]]:
        """New deadlines, ``seconds`` from now, for at most 10,000 tasks. False: not held any more, stop working."""
        body = {"task_ids": task_ids, "seconds": seconds}
        reply = yield from self._call("POST", "/task/extend", _Extended, body=body, safe=True)
        return reply.content.extended

    @method
    def assigned(self, project: int) -> Steps[list[Task]]:
        """What this worker holds in the project, perhaps since an earlier run: at most 1,000 tasks."""
        reply = yield from self._call("GET", f"/task/assigned/{project}", _Taken, safe=True)
        return reply.content.tasks

    @method
    def log(self, level: str, message: str, *, scope: str = "worker", timestamp: int) -> Steps[None]:
        """A line in the broker's log. ``level``: trace, info, warn or error; ``timestamp``: unix seconds."""
        body = {"scope": scope, "message": message, "timestamp": timestamp}
        yield from self._call("POST", f"/log/{level}", Nothing, body=body, safe=False)


def _chunks(project: int, tasks: Iterable[NewTask | str]) -> Iterator[tuple[list[bytes], bool]]:
    """The requests of each call, and whether it may be repeated."""
    chunk: list[bytes] = []
    safe, size = True, 0
    for given in tasks:
        task = NewTask(given) if isinstance(given, str) else given
        request = msgspec.json.encode({"project": project, **msgspec.to_builtins(task)})
        if chunk and (len(chunk) == _MOST or size + len(request) > _MOST_BYTES):
            yield chunk, safe
            chunk, safe, size = [], True, 0
        chunk.append(request)
        safe, size = safe and task.hashed, size + len(request)
    if chunk:
        yield chunk, safe
