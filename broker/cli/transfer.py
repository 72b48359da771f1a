"""``broker export`` and ``broker import``: a project's tasks and groups as JSON lines, written and read again."""

import argparse
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import BinaryIO

from broker.cli import STORE, add_settings, read_settings, whole_number
from broker.cli.output import Progress, print_json
from broker.cli.store import CONTINUES, run_on_store
from broker.errors import StartError
from broker.settings import Settings
from broker.store import Store
from broker.store.groups import GroupLimits
from broker.store.task_fields import TaskError
from broker.store.transfer import CLOSED, DUPLICATE, IMPORTED, TASK_BEFORE, ImportedTask, batches
from broker.transfer.files import GroupLine, LineError, TaskLine, decoded, encoded, encoded_group
from broker.transfer.lines import BadLines, is_blank, without_mark


def add_export(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_export)
    parser.description = (
        "Writes the live tasks of a project to standard output, one JSON object per line, while workers go on: each "
        "task that is live during the whole export appears exactly once. Then follows a line for each group that has "
        "limits of its own, is blocked or rests."
    )
    parser.epilog = "for example: broker export --project 7 > tasks.jsonl"
    parser.add_argument("--project", type=whole_number(1), required=True, metavar="ID", help="the project")
    add_settings(parser, *STORE)


def _export(arguments: argparse.Namespace) -> int:
    run_on_store(read_settings(arguments), lambda store, _: export_tasks(store, arguments))
    return 0


async def export_tasks(store: Store, arguments: argparse.Namespace) -> None:
    """Reads all entries up to the one that was the last at the beginning."""
    progress = Progress(sys.stderr)
    count, entry, last = 0, 1, None
    while last is None or entry <= last:
        walked = await store.imports.walk(arguments.project, entry)
        last, entry = walked.last if last is None else last, walked.next
        sys.stdout.buffer.write(b"".join(encoded(state, row) for state, row in walked.tasks))
        count += len(walked.tasks)
        progress.show(f"{count:,} tasks, {100 * entry // max(entry, last)} %")
    groups = await _export_groups(store, arguments.project)
    more = f", {groups:,} groups" if groups else ""
    progress.say(f"exported {count:,} tasks{more} of project {arguments.project}")


async def _export_groups(store: Store, project: int) -> int:
    """After the tasks, because groups whose tasks are assigned meanwhile rest."""
    count, cursor = 0, "limits 0"
    while cursor:
        cursor, groups = await store.groups.walk(project, cursor)
        sys.stdout.buffer.write(b"".join(map(encoded_group, groups)))
        count += len(groups)
    return count


def add_import(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_import)
    parser.description = (
        "Submits the tasks of an export, with their retries, rounds, errors and votes. Failed and delayed tasks stay "
        "failed and delayed; assigned tasks are waiting. Hashes that the project already has are counted as "
        "duplicates, and are not errors. Groups keep their limits, blocks and rests. An interrupted import continues "
        "where it stopped when it is run again."
    )
    parser.epilog = "for example: broker import --project 8 tasks.jsonl"
    parser.add_argument("--project", type=whole_number(1), required=True, metavar="ID", help="where the tasks go")
    parser.add_argument(
        "--no-votes",
        action="store_true",
        help="leave out votes, and the workers of errors: use this if worker ids differ",
    )
    parser.add_argument("--json", action="store_true", help="for programs: the report as a JSON object")
    parser.add_argument("file", metavar="FILE", help="- is standard input")
    add_settings(parser, *STORE)


def _import(arguments: argparse.Namespace) -> int:
    run_on_store(read_settings(arguments), lambda store, settings: import_tasks(store, settings, arguments), CONTINUES)
    return 0


async def import_tasks(store: Store, settings: Settings, arguments: argparse.Namespace) -> None:
    """Nothing is imported from a file that has a wrong line."""
    progress = Progress(sys.stderr)
    with _opened(arguments.file) as stream:
        source, total, groups = _read(stream, settings.max_recipe)
        # The groups first: tasks of one that is blocked or rests must not be assigned.
        for some in batches(_groups(stream), lambda _: 0) if groups else ():
            await store.groups.add(arguments.project, some)
        counts = dict.fromkeys((IMPORTED, CLOSED, DUPLICATE, TASK_BEFORE), 0)
        for batch in batches(_tasks(stream, votes=not arguments.no_votes), _size):
            for outcome in await store.imports.tasks(arguments.project, source, batch):
                counts[outcome] += 1
            progress.show(f"{sum(counts.values()):,} of {total:,} tasks")
    progress.clear()
    await store.imports.end(arguments.project, source)
    imported, closed, duplicates, before = counts.values()
    if arguments.json:
        print_json(
            {
                "imported": imported + closed,
                "closed": closed,
                "duplicates": duplicates,
                "before": before,
                "groups": groups,
            }
        )
        return
    print(f"imported {imported + closed:,} tasks into project {arguments.project}, {duplicates:,} duplicates")
    if closed:
        print(f"{closed:,} of them had all their votes, and are closed")
    if before:
        print(f"{before:,} were imported before this run")
    if groups:
        print(f"{groups:,} groups keep their limits, blocks and rests")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """A stream that can be read twice."""
    with nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as stream:
        if stream.seekable():
            yield stream
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy)
            yield copy


def _read(stream: BinaryIO, max_recipe: int) -> tuple[str, int, int]:
    """A name for exactly these bytes, and how many tasks and groups they have.

    Raises :class:`StartError` that names bad lines.
    """
    digest, tasks, groups, bad = hashlib.sha256(), 0, 0, BadLines()
    stream.seek(0)
    for number, raw in enumerate(stream, 1):
        digest.update(raw)
        text = without_mark(number, raw)
        if is_blank(text):
            continue
        try:
            line = decoded(text)
            if isinstance(line, GroupLine):
                groups += 1
                continue
            if len(line.recipe.encode()) > max_recipe:
                raise ValueError(f"recipe: larger than {max_recipe} bytes")
        except ValueError as error:
            bad.add(number, error)
        tasks += 1
    if bad.count:
        raise StartError(f"{bad.text()}\nnothing was imported")
    return f"file:{digest.hexdigest()[:32]}", tasks, groups


def _lines(stream: BinaryIO) -> Iterator[tuple[int, TaskLine | GroupLine]]:
    """The lines that are not blank, with their numbers."""
    stream.seek(0)
    for number, raw in enumerate(stream, 1):
        if not is_blank(text := without_mark(number, raw)):
            yield number, decoded(text)


def _groups(stream: BinaryIO) -> Iterator[GroupLimits]:
    return (line.limits() for _, line in _lines(stream) if isinstance(line, GroupLine))


def _tasks(stream: BinaryIO, *, votes: bool) -> Iterator[ImportedTask]:
    for number, line in _lines(stream):
        if isinstance(line, GroupLine):
            continue
        wanted = votes and line.verification_count > 1
        yield ImportedTask(
            number=number,
            failed="1" if line.state == "failed" else "",
            counts=(line.retries, line.reclaims, line.round),
            votes=",".join(f"{worker}:{vote}" for worker, vote in line.votes) if wanted else "",
            fields=line.fields(),
            error=_error(line.error, votes=votes) if line.error else None,
        )


def _error(error: LineError, *, votes: bool) -> TaskError:
    return TaskError(error.message, error.worker if votes else None, error.time)


def _size(task: ImportedTask) -> int:
    return len(task.fields.recipe) + len(task.votes)
