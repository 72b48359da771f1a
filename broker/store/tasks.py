"""Tasks of a project: submit, assign, release, extend, and what the sweeper does for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from broker.errors import BrokerError
from broker.store.active import Active
from broker.store.redis.keys import PROJECT_LIMIT, Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.task_fields import Task, TaskFields, read_record

CHUNK = 500
"""Tasks that one script takes at most: 10,000 at once kept Redis busy for 66 ms."""

PART = 200
"""Tasks of a worker's batch that one script takes: other calls are served in between. 500 would not be cheaper per
task."""

BATCH_BYTES = 8 << 20
"""Bytes of recipes in one get at most; a single larger one is still assigned."""

OK, FAIL, SKIP = 0, 1, 2
"""Results of a release. SKIP gives a task back without a retry."""

_MORE_DUE, _MOST_DUE = 4, 100
"""How many due delayed tasks a get makes wait: so many more than it asks for, and so many at most."""

_ROUNDS = 20
"""Maximum steps of an explanation to promote what is due, and to look through tasks with votes."""

_OVERDUE = 10
"""Overdue tasks that a get reclaims if it finds nothing."""


class Assigned(NamedTuple):
    revision: int
    """Of the project's configuration, as the script saw it."""
    tasks: list[Task]
    left: bool = False
    """Whether there are no tasks because all that wait are left to other workers first."""


class Released(NamedTuple):
    outcomes: list[str]
    """For each task: closed, voted, failed, returned, not_held."""
    chained: int
    """How many were added to the outbox."""


class Awaited(NamedTuple):
    fresh: int
    """Waiting tasks without votes; ``voted``: with votes."""
    voted: int
    public: bool
    assign_rate: float
    """0 for unlimited."""
    paused: bool
    next_due: float | None
    """Seconds until the next resting group or delayed task is due; None: none is known."""


@dataclass(frozen=True)
class Reason:
    """Why a worker gets no task of a project; ``available``: it gets one."""

    code: str
    until: int | None
    """Unix seconds, rounded up."""
    count: int | None


class Promoted(NamedTuple):
    more: bool
    next_due: float | None
    """As in :class:`Awaited`."""
    own: int
    """Tasks that were made available and that no other process was notified of."""


class Get(NamedTuple):
    """What :meth:`Tasks.assign` takes."""

    most: int
    default_time: int
    hold: int = 0


class Turn(NamedTuple):
    """The outcome or refusal of each part; None: it was not asked for."""

    released: Released | BrokerError | None
    ids: list[int | None] | BrokerError | None
    assigned: Assigned | BrokerError | None


class Tasks:
    def __init__(self, calls: Calls, keys: Keys, active: Active) -> None:
        self._calls = calls
        self._keys = keys
        self._active = active
        self.now = ""
        """Unix ms as text, set by tests only; empty, Redis's own clock counts."""

    async def submit(
        self, project: int, worker: int, tasks: Sequence[TaskFields], *, whole: int | None = None
    ) -> list[int | None]:
        """An id for each task, or None for a duplicate; at most CHUNK tasks.

        ``whole``: how many tasks a longer call has, for its first chunk; 0 for its later chunks.
        """
        args = self._submit_args(worker, tasks, len(tasks) if whole is None else whole)
        ids, epoch = _submitted(await self._calls.call("submit", self._keys.project(project), args), len(tasks))
        await self._active.note(project, epoch)
        return ids

    def _submit_args(self, worker: int, tasks: Sequence[TaskFields], whole: int) -> Arguments:
        return [worker, self.now, whole or "", *(task.text() for task in tasks)]

    async def assign(
        self,
        project: int,
        worker: int,
        count: int,
        default_time: int,
        *,
        hold: int = 0,
        bytes: int = BATCH_BYTES,
        first: bool = True,
        leave: bool = False,
    ) -> Assigned:
        """Assigns up to ``count`` tasks, at most CHUNK, for ``default_time`` seconds if they have no
        ``max_assign_time``.

        ``hold``: maximum seconds; 0: as long as the tasks allow. ``first``: false for later chunks of a call, which
        the rate does not stop. ``leave``: tasks that this worker was the last to fail are left to others for a time,
        even if no other task waits.
        """
        args: Arguments = [worker, self.now, count, bytes, default_time, _flag(first)]
        if hold or leave:
            args += [hold or "", _flag(leave)]
        return await self._assigned(project, args, await self._assign(project, args))

    async def _assign(self, project: int, args: Arguments) -> list[Any]:
        reply: list[Any] = await self._calls.call("assign", self._keys.project(project), args)
        return reply

    async def _assigned(self, project: int, args: Arguments, reply: list[Any]) -> Assigned:
        """The outcome of a reply to these arguments. As long as the reply asks for it, does something else and asks
        again.
        """
        revision, assign_time, onward, *rows = reply
        while onward and onward != "left" and not rows:
            count = int(args[2])
            # The rate was not charged for what the script looked at.
            args[5] = onward
            if onward == "promote":
                await self.promote(project, min(count + _MORE_DUE, _MOST_DUE), count)
                args[5] = "-"
            elif onward == "reclaim":
                await self.reclaim(project, _OVERDUE)
                args[5] = "-"
            revision, assign_time, onward, *rows = await self._assign(project, args)
        if rows:
            self._calls.changed.add(self._keys.project(project)[0])
        each = zip(rows[::2], rows[1::2], strict=True)
        return Assigned(int(revision), [_task(id, record, assign_time) for id, record in each], onward == "left")

    async def release(self, project: int, worker: int, releases: Sequence[tuple[int, int | str, int]]) -> Released:
        """``releases``: (task id, result, verification) of one project's tasks, at most CHUNK; :func:`result_of`."""
        args: Arguments = [worker, self.now, *chain.from_iterable(releases)]
        chained, epoch, *outcomes = await self._calls.call("release", self._keys.project(project), args)
        await self._active.note(project, epoch)
        return Released(outcomes, chained)

    async def turn(
        self,
        project: int,
        worker: int,
        releases: Sequence[tuple[int, int | str, int]],
        tasks: Sequence[TaskFields],
        get: Get | None,
    ) -> Turn:
        """As :meth:`release`, :meth:`submit` and :meth:`assign`, in this order and in one call; each part may be empty
        or None.
        """
        release_args: Arguments = [worker, self.now, *chain.from_iterable(releases)] if releases else []
        submit_args = self._submit_args(worker, tasks, len(tasks)) if tasks else []
        get_args: Arguments = [worker, self.now, get.most, BATCH_BYTES, get.default_time, "1"] if get else []
        if get and get.hold:
            get_args += [get.hold, ""]
        args: Arguments = [len(release_args), len(submit_args), len(get_args), *release_args, *submit_args, *get_args]
        reply = await self._calls.call("turn", self._keys.project(project), args)
        released, ids, assigned = (self._calls.refusal_in(part) or part or None for part in reply)

        epochs = [0]
        if isinstance(released, list):
            chained, epoch, *outcomes = released
            released = Released(outcomes, chained)
            epochs.append(epoch)
        if isinstance(ids, list):
            ids, epoch = _submitted(ids, len(tasks))
            epochs.append(epoch)
        await self._active.note(project, max(epochs))
        if isinstance(assigned, list):
            try:
                assigned = await self._assigned(project, get_args, assigned)
            except BrokerError as refused:
                assigned = refused
        return Turn(released, ids, assigned)

    async def extend(self, project: int, worker: int, tasks: Sequence[int], seconds: int) -> list[bool]:
        """Whether each task is still held, and now for ``seconds`` more; at most CHUNK tasks of one project."""
        args: Arguments = [worker, self.now, seconds, *tasks]
        return [bool(done) for done in await self._calls.call("extend", self._keys.project(project), args)]

    async def give_back(self, project: int, worker: int, tasks: Sequence[int]) -> list[bool]:
        """Whether each was still held, and is reclaimed now; at most CHUNK tasks of one project."""
        args: Arguments = [worker, self.now, *tasks]
        returned = [bool(done) for done in await self._calls.call("give_back", self._keys.project(project), args)]
        await self._active.look_if_possible(project)
        return returned

    async def cancel(self, project: int, worker: int, tasks: Sequence[int]) -> list[bool]:
        """Deletes tasks that are not assigned, if the worker may submit to the project; at most CHUNK. Whether each
        was.
        """
        args: Arguments = [worker, self.now, *tasks]
        return [bool(done) for done in await self._calls.call("cancel", self._keys.project(project), args)]

    async def held(self, project: int, worker: int, cursor: str, count: int) -> tuple[str, Assigned]:
        """The next cursor ('0' at the end), and those of about ``count`` assigned tasks that the worker holds."""
        keys = self._keys.project(project)
        cursor, revision, *rows = await self._calls.call("held_tasks", keys, [worker, cursor, count])
        return cursor, Assigned(int(revision), [_task(*row) for row in rows])

    async def reclaim(self, project: int, limit: int) -> int:
        count: int = await self._calls.call("reclaim", self._keys.project(project), [self.now, limit])
        return count

    async def awaited(self, project: int, seconds: float) -> Awaited:
        """What waits in a project. For so many seconds, its channel then announces new tasks. Raises ``not_found``."""
        args: Arguments = [self.now, round(seconds * 1000)]
        found = await self._calls.call("await", self._keys.project(project), args)
        fresh, voted, public, rate, paused, next_due = found
        return Awaited(fresh, voted, bool(public), float(rate), bool(paused), _seconds(next_due))

    async def promote(self, project: int, limit: int, waiting: int = 0) -> Promoted:
        """Makes groups ready whose rest has ended, and delayed tasks wait that are due. Other processes are not
        notified of as many tasks as there are ``waiting`` workers in this one.
        """
        args: Arguments = [self.now, limit, waiting]
        more, next_due, own = await self._calls.call("promote", self._keys.project(project), args)
        return Promoted(bool(more), _seconds(next_due), own)

    async def why(self, project: int, worker: int) -> list[Reason]:
        """Why a get of this worker would find nothing now. Reclaims and promotes what is due first, as a get does.

        Raises ``not_found``.
        """
        keys, onward = self._keys.project(project), ""
        await self.reclaim(project, CHUNK)
        for _ in range(_ROUNDS):
            if not (await self.promote(project, CHUNK)).more:
                break
        for _ in range(_ROUNDS):
            onward, *rows = await self._calls.call("why", keys, [worker, self.now, onward])
            if not onward:
                break
        return [
            Reason(code, None if ends < 0 else -(-ends // 1000), None if count < 0 else count)
            for code, ends, count in rows
        ]

    async def expire_hashes(self, project: int, limit: int) -> tuple[int, bool]:
        """Removes hashes of closed tasks that no longer count as duplicates, of about ``limit`` that it looks at.

        Returns how many, and whether there are more to look at.
        """
        count, more = await self._calls.call("expire_hashes", self._keys.project(project), [self.now, limit])
        return count, bool(more)

    async def rebase(self, project: int) -> None:
        """After the clock was set back: what began at a time in the future begins now, and lasts as long as before."""
        cursor: str | None = "held 0"
        while cursor is not None:
            args: Arguments = [self.now, cursor, CHUNK]
            cursor = await self._calls.call("rebase", self._keys.project(project), args)


def result_of(result: int, delay: float = 0, message: str = "") -> int | str:
    """A result as ``release`` takes it: with the seconds after which an ok comes again, or by which a fail or skip is
    delayed, and with the message of a fail.
    """
    if not delay and not message:
        return result
    return f"{result} {round(delay * 1000) or ''} {message}"


def project_of(task: int) -> int:
    """The project that a task id names; 0 when no task can have this id."""
    return task % PROJECT_LIMIT if PROJECT_LIMIT < task <= 2**53 else 0


def by_project(tasks: Sequence[int]) -> dict[int, list[int]]:
    """The indexes in ``tasks`` of each project's ids; project 0 has those of numbers that cannot be ids."""
    places: dict[int, list[int]] = {}
    for place, task in enumerate(tasks):
        places.setdefault(project_of(task), []).append(place)
    return places


def _submitted(reply: list[Any], tasks: int) -> tuple[list[int | None], int]:
    """The id of each task, and the epoch to note, if there is one."""
    epoch = reply.pop() if len(reply) > tasks else 0
    return [int(id) if id else None for id in reply], epoch


def _flag(value: bool) -> str:
    return "1" if value else ""


def _seconds(milliseconds: int) -> float | None:
    return None if milliseconds < 0 else milliseconds / 1000


def _task(id: str, record: str, assign_time: str | None) -> Task:
    read = read_record(record)
    return Task(int(id), read.retries, read.round, int(assign_time or 0), read.fields)
