"""Single tasks and pages of tasks, as managers see and change them."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from broker.errors import BrokerError
from broker.store.active import Active
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.task_fields import Row
from broker.store.tasks import BATCH_BYTES, CHUNK

_MOST_VOTES = 100
"""Votes of a task that are shown, about: there may be 32,767 and more."""

_PAGE_VOTES = 1000
"""Votes of all tasks of a page, about; those of the last ones may be missing."""


_FAILED = 1000
"""Failed tasks whose messages are counted, and which are searched with a filter."""

_LOOKS = 250
"""Tasks that one script looks at; for a filtered page, also at ten times as many buckets."""

_PAGE_LOOKS, _PAGE_STEPS = 1000, 20
"""Tasks that a page looks at, and scripts that it calls, at most: what a script looks at may be empty."""


class TaskFilter(NamedTuple):
    """A filter for tasks; "": any."""

    state: str
    contains: str = ""
    """A text in the recipe, or in the message of the last failure."""
    group: str = ""
    worker: int | Literal[""] = ""
    """The worker that holds the task, or was the last to fail it."""


@dataclass(slots=True)
class Failure:
    """A message with which tasks have failed."""

    message: str
    count: int
    last: int
    """When the last one failed, unix seconds."""
    task_id: int
    """The task that failed last."""


class FailedPage(NamedTuple):
    total: int
    """How many failed tasks there are."""
    looked: int
    """How many of them were looked at."""
    matched: int
    """How many of these match."""
    rows: list[Row]
    """Some of the matching tasks."""


class ProjectTasks:
    def __init__(self, calls: Calls, keys: Keys, active: Active) -> None:
        self._calls = calls
        self._keys = keys
        self._active = active
        self.now = ""

    async def get(self, project: int, task: int) -> tuple[str, Row]:
        """Its state, as :meth:`page` names them, and the task. Raises ``not_found``."""
        state, row = await self._calls.call("task_get", self._keys.project(project), [task, _MOST_VOTES])
        return state, Row.read(row)

    async def page(self, project: int, state: str, offset: int, limit: int, *, longest: int) -> tuple[int, list[Row]]:
        """How many tasks are in ``state`` (queue, verifying, assigned, failed), and some of them, at most CHUNK.

        ``longest``: bytes of a recipe to read, 0 for all.
        """
        args: Arguments = [state, offset, limit, BATCH_BYTES, longest, _MOST_VOTES, _PAGE_VOTES]
        total, *rows = await self._calls.call("tasks_list", self._keys.project(project), args)
        return total, [Row.read(row) for row in rows]

    async def find(
        self, project: int, filter: TaskFilter, *, newest: bool, entry: int | None, limit: int, longest: int
    ) -> tuple[int | None, list[Row]]:
        """The ``entry`` for the next page (None at the end), and up to ``limit`` matching tasks, by id. Looks at a
        bounded number of tasks, so a page may be short. Raises ``not_found``.

        ``longest`` as in :meth:`page`.
        """
        rows, looked, read = list[Row](), 0, 0
        for _ in range(_PAGE_STEPS):
            bounds: Arguments = [
                min(limit - len(rows), _LOOKS // 2),
                min(_LOOKS, _PAGE_LOOKS - looked),
                longest,
                _MOST_VOTES,
                max(0, _PAGE_VOTES - sum(len(row.votes) for row in rows)),
            ]
            args: Arguments = [-1 if newest else 1, "" if entry is None else entry, *filter, *bounds]
            entry, looks, bytes, *found = await self._calls.call("tasks_find", self._keys.project(project), args)
            looked, read, rows = looked + looks, read + bytes, rows + [Row.read(row) for row in found]
            if entry is None or looked >= _PAGE_LOOKS or read >= BATCH_BYTES or len(rows) >= limit:
                break
        return entry, rows

    async def failed(
        self, project: int, filter: TaskFilter, *, start: int, skip: int, limit: int, longest: int
    ) -> FailedPage:
        """Failed tasks, the one that failed last first. Raises ``not_found``.

        With a filter: skips ``start`` tasks, looks at the next 1,000 (fewer if they are long), and returns matching
        tasks after the first ``skip``. Without a filter: skips ``start + skip``. ``longest`` as in :meth:`page`.
        """
        if not any(filter[1:]):
            start, skip, looks = start + skip, 0, limit
        else:
            looks = _FAILED
        page = FailedPage(0, 0, 0, [])
        for _ in range(_PAGE_STEPS):
            args: Arguments = [start + page.looked, min(_LOOKS, looks - page.looked), *filter[1:]]
            args += [max(0, skip - page.matched), limit - len(page.rows), longest]
            total, looked, matched, *rows = await self._calls.call("failed_list", self._keys.project(project), args)
            found = page.rows + [Row.read(row) for row in rows]
            page = FailedPage(total, page.looked + looked, page.matched + matched, found)
            if not looked or page.looked >= min(looks, total - start):
                break
        return page

    async def retry(self, project: int, task: int) -> None:
        if not await self._calls.call("task_retry", self._keys.project(project), [self.now, task]):
            raise BrokerError("not_found", "No failed task has this id")
        await self._active.look_if_possible(project)

    async def failures(self, project: int) -> list[Failure]:
        """The messages of the newest failed tasks, the most frequent first. Raises ``not_found``.

        If a task fails meanwhile, another may be counted twice.
        """
        rows: dict[str, Failure] = {}
        for start in range(0, _FAILED, _LOOKS):
            found = await self._calls.call("failures", self._keys.project(project), [start, _LOOKS])
            for message, count, last, task in found:
                row = rows.setdefault(message, Failure(message, 0, int(last) // 1000, int(task)))
                row.count += count
            if not found:
                break
        return sorted(rows.values(), key=lambda row: -row.count)

    async def forget(self, project: int, hash64: int, worker: int | None = None) -> bool:
        """Frees the hash of a closed task. Returns whether the project remembered it.

        ``worker``: the worker that asks; None: a manager, whose role was checked. Raises ``not_found``, ``denied``.
        """
        args: Arguments = ["" if worker is None else worker, self.now, hash64]
        return bool(await self._calls.call("forget", self._keys.project(project), args))

    async def reclaim(self, project: int, worker: int) -> int:
        """Reclaims the tasks that a worker holds, and returns how many wait again. Raises ``not_found``."""
        cursor, back = "", 0
        while cursor != "0":
            args: Arguments = [self.now, worker, cursor or "0", CHUNK]
            cursor, count = await self._calls.call("reclaim_worker", self._keys.project(project), args)
            back += count
        await self._active.look_if_possible(project)
        return back

    async def remove(self, project: int, task: int) -> None:
        await self._calls.call("task_remove", self._keys.project(project), [self.now, task])
