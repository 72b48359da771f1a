"""Imports, and the walk over all tasks for an export. An import may be repeated: what was imported before stays.

Workers and projects of the original tracker keep their ids; tasks get new ids, because a task's id contains its
project.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from broker.store.active import Active
from broker.store.projects import DEFAULTS, Projects, new_keys, pairs_of, repo_key
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.task_fields import Row, TaskError, TaskFields
from broker.store.tasks import BATCH_BYTES, CHUNK

T = TypeVar("T")

IMPORTED, BEFORE = 1, 0
"""Outcomes of :meth:`Imports.workers` and :meth:`Imports.project`."""

CLOSED, DUPLICATE, TASK_BEFORE = 2, 0, -1
"""Outcomes of :meth:`Imports.tasks`, beside IMPORTED. CLOSED: imported and closed, because it had enough votes."""

_CHARACTERS = 1 << 20
"""Characters in a batch of tasks at most; a single task may have more."""

_ENTRIES = 2000
"""Entries that one step of a walk looks at: 2 ms when they are empty."""


class ImportedWorker(NamedTuple):
    """In the order of the script's arguments."""

    id: int
    alias: str
    created: int
    paused: int
    digest: str
    closed: int


class ImportedAccess(NamedTuple):
    """In the order of the script's arguments."""

    worker: int
    what: str
    """assign, submit or both with a comma."""
    granted: str
    """'1'; '' for a request."""


class ImportedTask(NamedTuple):
    """In the order of the script's arguments."""

    number: int
    """In its source, ascending."""
    failed: str
    """'1', or ''."""
    counts: tuple[int, int, int]
    """Retries, reclaims, round."""
    votes: str
    """``worker:verification``, with commas."""
    fields: TaskFields
    error: TaskError | None = None


class Walked(NamedTuple):
    next: int
    """The entry to go on with."""
    last: int
    """The last entry there is now."""
    tasks: list[tuple[str, Row]]
    """Each with its state, as :meth:`ProjectTasks.page` names them."""


class Imports:
    def __init__(self, calls: Calls, keys: Keys, projects: Projects, active: Active) -> None:
        self._calls = calls
        self._keys = keys
        self._active = active
        self._projects = projects
        self.now = ""

    async def workers(self, workers: Sequence[ImportedWorker], highest: int) -> list[int]:
        """The outcome for each: IMPORTED, BEFORE, or -1: another worker has its id; at most 500. ``highest``: id of
        all.
        """
        args: Arguments = [highest]
        for worker in workers:
            args += worker
        outcomes: list[int] = await self._calls.call("worker_import", self._keys.directory, args)
        return outcomes

    async def project(self, id: int, fields: Mapping[str, Any], highest: int) -> int:
        """IMPORTED, BEFORE, or -1: it was imported before and deleted since. Raises ``duplicate`` of an id or name,
        ``not_found`` when a project with this id was deleted less than a day ago.

        ``fields`` as in :attr:`Project.values`, with ``secret`` and ``webhook_secret``; the chain is only noted.
        """
        await self.mark(id, "access")
        every = {**DEFAULTS, "secret": "{}", **new_keys(), **fields}
        name, target = every.pop("name"), every.pop("chain")
        args: Arguments = [id, highest, target, repo_key(every), name, *pairs_of(every)]
        outcome: int = await self._calls.call("project_import", self._keys.directory, args)
        if outcome >= BEFORE:
            await self._projects.push(id)
        return outcome

    async def chain(self, project: int) -> None:
        """Sets the chain noted at the import. Raises ``not_found`` without the target, ``invalid`` for a circle."""
        if await self._calls.call("project_chain", self._keys.directory, [project]):
            await self._projects.push(project)

    async def access(self, project: int, accesses: Sequence[ImportedAccess]) -> int:
        """Ascending by worker, at most 500. Returns how many were imported before. Raises ``not_found``."""
        args: Arguments = list(chain.from_iterable(accesses))
        before: int = await self._calls.call("access_import", self._keys.project(project), args)
        return before

    async def tasks(self, project: int, source: str, tasks: Sequence[ImportedTask], above: int = 0) -> list[int]:
        """The outcome for each: IMPORTED, CLOSED, DUPLICATE or TASK_BEFORE; at most CHUNK. Their ids are over
        ``above``.
        """
        args: Arguments = [source, self.now, above]
        for task in tasks:
            error = task.error.text() if task.error else ""
            args += (task.number, task.failed, task.votes, error, task.fields.text(task.counts))
        outcomes: list[int] = await self._calls.call("task_import", self._keys.project(project), args)
        await self._active.look_if_possible(project)
        return outcomes

    async def mark(self, project: int, source: str) -> int:
        """The last number of a source (or ``access``) that was imported; 0 for none. Raises ``not_found``."""
        mark: int = await self._calls.call("import_mark", self._keys.project(project), [source])
        return mark

    async def end(self, project: int, source: str) -> None:
        """Deletes the mark: the source may be imported once more."""
        await self._calls.command("HDEL", self._keys.imported(project), source)

    async def walk(self, project: int, entry: int) -> Walked:
        """Tasks from this entry on; a walk from 1 returns each task that exists throughout exactly once."""
        args: Arguments = [entry, _ENTRIES, CHUNK, BATCH_BYTES]
        onward, last, *rows = await self._calls.call("tasks_walk", self._keys.project(project), args)
        return Walked(onward, last, [(state, Row.read(row)) for state, row in rows])


def batches(tasks: Iterable[T], characters: Callable[[T], int]) -> Iterator[list[T]]:
    """Tasks in the batches that :meth:`Imports.tasks` takes."""
    batch: list[T] = []
    total = 0
    for task in tasks:
        size = characters(task)
        if batch and (len(batch) == CHUNK or total + size > _CHARACTERS):
            yield batch
            batch, total = [], 0
        batch.append(task)
        total += size
    if batch:
        yield batch
