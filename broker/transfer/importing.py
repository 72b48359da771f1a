"""``broker import``: the tasks of an export, submitted to a project."""

import argparse
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import BinaryIO

from broker.cli.lines import BadLines, is_blank, without_mark
from broker.cli.output import say
from broker.cli.progress import Progress
from broker.errors import StartError
from broker.settings import Settings
from broker.store import Store
from broker.store.transfer import CLOSED, DUPLICATE, IMPORTED, TASK_BEFORE, ImportedTask
from broker.transfer.batches import batches
from broker.transfer.lines import decoded


async def run(store: Store, settings: Settings, arguments: argparse.Namespace) -> None:
    """Nothing is imported from a file with a line that is no task."""
    progress = Progress(sys.stderr)
    with _opened(arguments.file) as stream:
        source, total = _looked_through(stream, settings.max_recipe)
        counts = dict.fromkeys((IMPORTED, CLOSED, DUPLICATE, TASK_BEFORE), 0)
        for batch in batches(_tasks(stream, votes=not arguments.no_votes), _size):
            for outcome in await store.imports.tasks(arguments.project, source, batch):
                counts[outcome] += 1
            progress.show(f"{sum(counts.values()):,} of {total:,} tasks")
    progress.clear()
    await store.imports.end(arguments.project, source)
    imported, closed, duplicates, before = counts.values()
    if arguments.json:
        say({"imported": imported + closed, "closed": closed, "duplicates": duplicates, "before": before})
        return
    print(f"imported {imported + closed:,} tasks into project {arguments.project}, {duplicates:,} duplicates")
    if closed:
        print(f"{closed:,} of them had all their votes, and are closed")
    if before:
        print(f"{before:,} had come before this run was started")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """One that can be read twice."""
    with nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as stream:
        if stream.seekable():
            yield stream
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy)
            yield copy


def _looked_through(stream: BinaryIO, max_recipe: int) -> tuple[str, int]:
    """A name for just these bytes, and how many tasks they are. Raises :class:`StartError` that names bad lines."""
    digest, total, bad = hashlib.sha256(), 0, BadLines()
    stream.seek(0)
    for number, raw in enumerate(stream, 1):
        digest.update(raw)
        text = without_mark(number, raw)
        if is_blank(text):
            continue
        try:
            if len(decoded(text).recipe.encode()) > max_recipe:
                raise ValueError(f"recipe: larger than {max_recipe} bytes")
        except ValueError as error:
            bad.add(number, error)
        total += 1
    if bad.count:
        raise StartError(f"{bad.text()}\nnothing was imported")
    return f"file:{digest.hexdigest()[:32]}", total


def _tasks(stream: BinaryIO, *, votes: bool) -> Iterator[ImportedTask]:
    stream.seek(0)
    for number, raw in enumerate(stream, 1):
        if is_blank(text := without_mark(number, raw)):
            continue
        line = decoded(text)
        wanted = votes and line.verification_count > 1
        yield ImportedTask(
            number=number,
            failed="1" if line.state == "failed" else "",
            retries=line.retries,
            votes=",".join(f"{worker}:{vote}" for worker, vote in line.votes) if wanted else "",
            fields=line.fields(),
        )


def _size(task: ImportedTask) -> int:
    return len(task.fields.recipe) + len(task.votes)
