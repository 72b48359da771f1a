"""Sorts the rows of the dumps by project and id, the order of an import, and reports what it cannot keep.

SQLite sorts them in a file of its own in the temporary directory (``SQLITE_TMPDIR``, ``TMPDIR``), which is removed with
the connection: memory does not grow with the dumps.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from broker.store.task_fields import TaskFields
from broker.store.tasks import CHUNK
from broker.store.transfer import ImportedAccess, ImportedWorker
from broker.transfer import dumps
from broker.transfer.dumps import COLUMNS, Limits, Note, ProjectRow, TaskRow, Unfit, VoteRow, rows

T = TypeVar("T")
Show = Callable[[str], None]
Record = Callable[[Sequence[str], Note, Limits], Any]

_MANY = 1000
_FIELDS = ", ".join(f'"{name}"' for name in TaskFields._fields)
_TABLES = f"""
CREATE TABLE worker (id INTEGER PRIMARY KEY, alias, created, paused, digest, closed);
CREATE TABLE access (project INTEGER, worker INTEGER, what, granted, PRIMARY KEY (project, worker)) WITHOUT ROWID;
CREATE TABLE task (id INTEGER PRIMARY KEY, project INTEGER, assigned, failed, retries, {_FIELDS});
CREATE TABLE vote (task INTEGER, worker INTEGER, verification, PRIMARY KEY (task, worker)) WITHOUT ROWID;
"""
# Ids have a type: SQLite uses no index to compare a typed column with one that has none.

_EXAMPLES = 5
"""Ids that are named for each reason."""


class Reasons:
    """How many rows have each reason, and the first few of them."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[int, list[str]]] = {}

    def add(self, reason: str, which: str = "", count: int = 1) -> None:
        if not count:
            return
        before, examples = self.found.get(reason, (0, []))
        if which and len(examples) < _EXAMPLES:
            examples.append(which)
        self.found[reason] = before + count, examples

    def total(self) -> int:
        return sum(count for count, _ in self.found.values())


class Tally:
    """The counts of one table. Each row was imported, was imported before, or is left out."""

    def __init__(self) -> None:
        self.read = 0
        self.imported = 0
        self.before = 0
        self.left = Reasons()
        self.changed = Reasons()


class Report:
    def __init__(self) -> None:
        self.workers, self.projects, self.access, self.tasks, self.votes = (Tally() for _ in range(5))
        self.put_back = 0
        """Imported tasks that were assigned."""
        self.failed = 0
        """Imported tasks that have failed."""
        self.closed = 0
        """Imported tasks that had all their votes."""

    def tallies(self) -> dict[str, Tally]:
        names = ("workers", "projects", "access", "tasks", "votes")
        return {name: getattr(self, name) for name in names}

    def json(self) -> dict[str, Any]:
        def plain(reasons: Reasons) -> list[dict[str, Any]]:
            return [{"reason": why, "count": count, "first": ids} for why, (count, ids) in reasons.found.items()]

        counts = {
            name: {
                "read": tally.read,
                "imported": tally.imported,
                "before": tally.before,
                "left": plain(tally.left),
                "changed": plain(tally.changed),
            }
            for name, tally in self.tallies().items()
        }
        return {**counts, "put_back": self.put_back, "failed": self.failed, "closed": self.closed}


class Staging:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_TABLES)
        self.projects: dict[int, ProjectRow] = {}

    def close(self) -> None:
        self._db.close()

    def load(self, folder: Path, report: Report, show: Show) -> None:
        """Reads all dumps. What cannot be kept is in the report. Raises :class:`StartError` for a broken dump."""

        def read(table: str, tally: Tally, record: Record) -> Iterator[Any]:
            return _read(rows(folder, table), table, tally, lambda row, note: record(row, note, self._limits), show)

        self._load("worker", read("worker", report.workers, dumps.worker), report.workers)
        for project in read("project", report.projects, dumps.project):
            if self.projects.setdefault(project.id, project) is not project:
                report.projects.left.add("it occurs twice", str(project.id))
        self._load("access", read("worker_access", report.access, dumps.access), report.access)
        self._load("task", _flat(read("task", report.tasks, dumps.task)), report.tasks)
        self._load("vote", read("worker_verifies_task", report.votes, dumps.vote), report.votes)
        show("sorting the tasks")
        self._db.execute("CREATE INDEX by_project ON task (project)")

    def _load(self, table: str, found: Iterator[Sequence[Any]], tally: Tally) -> None:
        self._db.execute("BEGIN")
        while some := list(islice(found, _MANY)):
            places = ",".join("?" * len(some[0]))
            # The table is one of four names of ours.
            insert = f"INSERT OR IGNORE INTO {table} VALUES ({places})"  # noqa: S608
            twice = len(some) - self._db.executemany(insert, some).rowcount
            if twice:
                tally.left.add("it occurs twice", count=twice)
        self._db.execute("COMMIT")

    def highest(self, table: str) -> int:
        """The highest id of a worker or task; 0 if there is none."""
        found: int | None = self._one(f"SELECT max(id) FROM {table}")  # noqa: S608 - a name of ours
        return found or 0

    def workers(self) -> Iterator[list[ImportedWorker]]:
        return _portions(map(ImportedWorker._make, self._db.execute("SELECT * FROM worker ORDER BY id")))

    def projects_of(self, table: str) -> dict[int, int]:
        """How many rows of ``access`` or ``task`` belong to each project."""
        return dict(self._db.execute(f"SELECT project, count(*) FROM {table} GROUP BY project"))  # noqa: S608

    def accesses(self, project: int, after: int) -> Iterator[list[ImportedAccess]]:
        """Access of workers above this id, in portions."""
        query = "SELECT worker, what, granted FROM access WHERE project = ? AND worker > ? ORDER BY worker"
        return _portions(map(ImportedAccess._make, self._db.execute(query, (project, after))))

    def tasks(self, project: int, after: int) -> Iterator[TaskRow]:
        """Tasks above this id, in order."""
        query = "SELECT * FROM task WHERE project = ? AND id > ? ORDER BY id"
        found = self._db.execute(query, (project, after))
        own = len(TaskRow._fields) - 1
        return (TaskRow._make((*row[:own], TaskFields._make(row[own:]))) for row in found)

    def votes(self, tasks: Sequence[int]) -> list[VoteRow]:
        """The votes on these tasks."""
        query = f"SELECT * FROM vote WHERE task IN ({','.join('?' * len(tasks))})"  # noqa: S608
        return list(map(VoteRow._make, self._db.execute(query, tasks)))

    def votes_of(self, project: int, until: int) -> int:
        """How many votes there are on tasks of a project up to this id."""
        query = "SELECT count(*) FROM vote JOIN task ON task.id = vote.task WHERE project = ? AND id <= ?"
        return int(self._one(query, project, until))

    def stray_votes(self) -> int:
        """How many votes are on tasks that were not read."""
        return int(self._one("SELECT count(*) FROM vote WHERE task NOT IN (SELECT id FROM task)"))

    def _one(self, query: str, *values: int) -> Any:
        return self._db.execute(query, values).fetchone()[0]


def _read(
    found: Iterable[Sequence[str]], table: str, tally: Tally, record: Callable[[Sequence[str], Note], Any], show: Show
) -> Iterator[Any]:
    id = COLUMNS[table].index("task") if table == "worker_verifies_task" else 0
    for row in found:
        tally.read += 1
        if tally.read % _MANY == 0:
            show(f"{table}.csv: {tally.read:,} rows read")
        notes: list[str] = []
        try:
            yield record(row, notes.append)
        except Unfit as unfit:
            tally.left.add(str(unfit), _shown(row[id]))
        for note in notes:
            tally.changed.add(note, _shown(row[id]))


def _flat(rows: Iterator[TaskRow]) -> Iterator[Sequence[Any]]:
    """The values in the order of the table's columns."""
    return ((*row[:-1], *row.fields) for row in rows)


def _portions(found: Iterable[T]) -> Iterator[list[T]]:
    found = iter(found)
    while some := list(islice(found, CHUNK)):
        yield some


def _shown(id: str) -> str:
    """An id that is not a number may be any text: characters that could control a terminal are escaped."""
    return ascii(id)[1:-1][:20]
