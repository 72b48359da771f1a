"""``broker import-tracker``: workers, projects, access, tasks and votes of the original tracker, in this order.

The store has a mark or a check for each of them, so that an interrupted import continues when it is run again. The
broker may serve meanwhile: tasks can be assigned as soon as they are imported, and chains are set before that.
"""

import argparse
import asyncio
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from broker.cli import STORE, add_settings, read_settings
from broker.cli.output import Progress, print_json, table
from broker.cli.store import CONTINUES, run_on_store
from broker.errors import BrokerError, StartError
from broker.settings import Settings
from broker.store import Store
from broker.store.transfer import (
    BEFORE,
    CLOSED,
    DUPLICATE,
    IMPORTED,
    TASK_BEFORE,
    ImportedAccess,
    ImportedTask,
    batches,
)
from broker.transfer import dumps
from broker.transfer.dumps import Limits, TaskRow
from broker.transfer.staging import Reasons, Report, Staging

_SOURCE = "tracker"


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run)
    parser.description = (
        "Reads CSV dumps of the original tracker's tables: worker.csv, project.csv, worker_access.csv, task.csv and "
        "worker_verifies_task.csv, each from COPY ... TO ... WITH (FORMAT csv, HEADER). Workers keep their ids and "
        "secrets, projects their ids, tasks their votes. An interrupted import continues where it stopped when it is "
        "run again."
    )
    parser.epilog = "docs/migrating.md has the commands that create the dumps."
    parser.add_argument("--json", action="store_true", help="for programs: the report as a JSON object")
    parser.add_argument("directory", metavar="DIR", help="where the dumps are")
    add_settings(parser, *STORE)


def _run(arguments: argparse.Namespace) -> int:
    run_on_store(read_settings(arguments), lambda store, settings: import_dumps(store, settings, arguments), CONTINUES)
    return 0


async def import_dumps(store: Store, settings: Settings, arguments: argparse.Namespace) -> None:
    """Nothing is imported from dumps that are broken or incomplete."""
    folder, report, progress = Path(arguments.directory), Report(), Progress(sys.stderr)
    dumps.check(folder)
    staging = Staging(Limits(settings.max_alias, settings.max_recipe))
    try:
        staging.load(folder, report, progress.show)
        await Import(store, staging, report, progress).run()
    except sqlite3.Error as error:
        raise StartError(f"sorting the dumps in {tempfile.gettempdir()}: {error}") from error
    finally:
        progress.clear()
        staging.close()
    if arguments.json:
        print_json(report.json())
    else:
        print(_text(report))


def _text(report: Report) -> str:
    tallies = report.tallies()
    rows = [(name, t.read, t.imported, t.before, t.left.total()) for name, t in tallies.items()]
    lines = [table(("", "read", "imported", "before", "left"), rows)]
    lines.append(
        f"of the imported tasks, {report.put_back:,} were assigned and wait again, {report.failed:,} have failed"
        + (f", {report.closed:,} had all their votes and are closed" if report.closed else "")
    )
    changed = [line for name, tally in tallies.items() for line in _lines(tally.changed, name)]
    left = [line for name, tally in tallies.items() for line in _lines(tally.left, name)]
    lines += ["with a change:", *changed] if changed else []
    lines += ["left:", *left] if left else ["nothing is left"]
    lines.append("managers must register again: broker create-admin creates the first, who gives roles to the others")
    return "\n".join(lines)


def _lines(reasons: Reasons, of: str) -> Iterator[str]:
    for reason, (count, examples) in reasons.found.items():
        dots = ", ..." if examples and len(examples) < count else ""
        named = f" ({', '.join(examples)}{dots})" if examples else ""
        yield f"  {count:,} {of}: {reason}{named}"


class Import:
    def __init__(self, store: Store, staging: Staging, report: Report, progress: Progress) -> None:
        self._store = store
        self._staging = staging
        self._report = report
        self._progress = progress
        self._workers: set[int] = set()
        self._projects: set[int] = set()

    async def run(self) -> None:
        await self._import_workers()
        await self._import_projects()
        await self._chain_projects()
        await self._import_access()
        await self._import_tasks()

    async def _import_workers(self) -> None:
        tally, highest = self._report.workers, self._staging.highest("worker")
        for workers in self._staging.workers():
            outcomes = await self._store.imports.workers(workers, highest)
            for worker, outcome in zip(workers, outcomes, strict=True):
                if outcome in (IMPORTED, BEFORE):
                    self._workers.add(worker.id)
                else:
                    tally.left.add("its id belongs to another worker here", str(worker.id))
            tally.imported += outcomes.count(IMPORTED)
            tally.before += outcomes.count(BEFORE)
            self._progress.show(f"{len(self._workers):,} workers")

    async def _import_projects(self) -> None:
        tally, projects = self._report.projects, self._staging.projects
        highest = max(projects, default=0)
        for id, project in sorted(projects.items()):
            try:
                outcome = await self._store.imports.project(id, project.fields, highest)
            except BrokerError as error:
                tally.left.add(_reason(error), str(id))
                continue
            if outcome not in (IMPORTED, BEFORE):
                tally.left.add("it was imported before, and deleted here since", str(id))
                continue
            tally.imported += outcome == IMPORTED
            tally.before += outcome == BEFORE
            self._projects.add(id)

    async def _chain_projects(self) -> None:
        for id in sorted(self._projects):
            try:
                await self._store.imports.chain(id)
            except BrokerError as error:
                self._report.projects.changed.add(f"not chained: {_reason(error)}", str(id))

    async def _import_access(self) -> None:
        tally = self._report.access
        for project, count in self._staging.projects_of("access").items():
            if project not in self._projects:
                tally.left.add("its project was not imported", f"project {project}", count)
                continue
            mark = await self._store.imports.mark(project, "access")
            found = count
            for accesses in self._staging.accesses(project, mark):
                found -= len(accesses)
                known = [access for access in accesses if access.worker in self._workers]
                for access in accesses:
                    if access.worker not in self._workers:
                        tally.left.add("its worker was not imported", f"worker {access.worker}")
                before = await self._give(project, known)
                tally.imported += len(known) - before
                tally.before += before
            tally.before += found

    async def _give(self, project: int, accesses: list[ImportedAccess]) -> int:
        """Returns how many were imported before. Hints are written first and last, as when a manager grants access."""
        if not accesses:
            return 0
        granted = [access.worker for access in accesses if access.granted]
        await asyncio.gather(*(self._store.workers.hint(project, worker, True) for worker in granted))
        before = await self._store.imports.access(project, accesses)
        await asyncio.gather(*(self._store.workers.hint(project, worker, True) for worker in granted))
        return before

    async def _import_tasks(self) -> None:
        counts = self._staging.projects_of("task")
        total = sum(counts.values())
        for project, count in counts.items():
            if project in self._projects:
                await self._import_tasks_of(project, count, total)
                continue
            self._report.tasks.left.add("its project was not imported", f"project {project}", count)
            votes = self._staging.votes_of(project, 2**53)
            self._report.votes.left.add("its task was not imported", count=votes)
        self._report.votes.left.add("its task was not imported", count=self._staging.stray_votes())

    async def _import_tasks_of(self, project: int, count: int, total: int) -> None:
        tally, votes = self._report.tasks, self._report.votes
        mark = await self._store.imports.mark(project, _SOURCE)
        highest = self._staging.highest("task")
        before = count
        votes.before += self._staging.votes_of(project, mark)
        for rows in batches(self._staging.tasks(project, mark), _size):
            before -= len(rows)
            held, tasks = self._with_votes(rows)
            outcomes = await self._store.imports.tasks(project, _SOURCE, tasks, above=highest)
            for row, outcome in zip(rows, outcomes, strict=True):
                self._count(row, outcome, held[row.id])
            self._progress.show(f"{tally.imported + tally.before + tally.left.total():,} of {total:,} tasks")
        tally.before += before

    def _with_votes(self, rows: Sequence[TaskRow]) -> tuple[dict[int, int], list[ImportedTask]]:
        """How many votes are kept of each task, and the tasks with them."""
        kept: dict[int, list[str]] = {row.id: [] for row in rows}
        needed = {row.id for row in rows if row.fields.verification_count > 1}
        for vote in self._staging.votes(list(kept)):
            if vote.worker not in self._workers:
                self._report.votes.left.add("its worker was not imported", f"worker {vote.worker}")
            elif vote.task not in needed:
                self._report.votes.left.add("its task needs no votes", f"task {vote.task}")
            else:
                kept[vote.task].append(f"{vote.worker}:{vote.verification}")
        tasks = [
            ImportedTask(
                row.id,
                row.failed,
                (row.retries, 0, 1),
                ",".join(kept[row.id]),
                row.fields,
            )
            for row in rows
        ]
        return {id: len(votes) for id, votes in kept.items()}, tasks

    def _count(self, row: TaskRow, outcome: int, votes: int) -> None:
        tasks = self._report.tasks
        if outcome == TASK_BEFORE:
            tasks.before += 1
            self._report.votes.before += votes
        elif outcome == DUPLICATE:
            tasks.left.add("its project has a task with this hash64", str(row.id))
            self._report.votes.left.add("its task was not imported", count=votes)
        else:
            tasks.imported += 1
            self._report.votes.imported += votes
            self._report.closed += outcome == CLOSED
            self._report.put_back += row.assigned and not row.failed and outcome != CLOSED
            self._report.failed += row.failed == "1"


def _size(row: TaskRow) -> int:
    return len(row.fields.recipe)


def _reason(error: BrokerError) -> str:
    """The message of a refusal that concerns one project. Raises the error if it concerns all."""
    if error.code == "unavailable":
        raise error
    return error.message
