"""``broker submit``: a task for each line of a file; what was interrupted goes on where it was."""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from broker.cli.accounts import as_worker
from broker.cli.output import say, span
from broker.cli.progress import Progress
from broker.client import Client, ClientError, NewTask, Refused

_LINES = 5_000
_BYTES = 4 << 20
"""Of one call, and so between two notes of the offset."""

_UNLIMITED = sys.float_info.max
"""The rate of a project without one."""

_PATIENCE = 10
"""Seconds."""

_ADVICE = {
    "denied": "broker worker create --project {project} --submit --worker-file {file} asks for it, and a manager "
    "grants it at {url}/ui/projects/{project}/access",
    "bad_credentials": "They come from {file}",
    "not_found": "broker status shows the projects",
}
"""What to do about refusals that are of the whole file, and of no line of it."""


class _Offset(msgspec.Struct):
    """Where an interrupted run stopped, and what it had done."""

    project: int
    bytes: int
    lines: int
    submitted: int
    duplicates: int


@dataclass
class _Part:
    tasks: list[NewTask]
    lines: int
    bytes: int


def submit(client: Client, arguments: argparse.Namespace) -> None:
    as_worker(client, arguments)
    progress = Progress(sys.stderr)
    _say_rate(client, arguments.project, progress)
    # The broker is there. If it goes away, it is asked again for so long.
    client.patience = _PATIENCE
    if arguments.file == "-":
        _submit(client, arguments, sys.stdin.buffer, None, progress)
        return
    with open(arguments.file, "rb") as stream:
        _submit(client, arguments, stream, Path(f"{arguments.file}.offset"), progress)


def _say_rate(client: Client, project: int, progress: Progress) -> None:
    """A project with a rate makes us wait, perhaps for hours."""
    try:
        rate = client.project(project).submit_rate
    except Refused:
        # A hidden project does not tell; whether we may submit, the first submit says.
        rate = 0
    if 0 < rate < _UNLIMITED:
        progress.say(f"project {project} takes {rate:g} tasks a second")

    def waits(seconds: float) -> None:
        progress.say(f"waiting {span(seconds)} for the rate of project {project}")

    client.on_wait = waits


def _submit(
    client: Client, arguments: argparse.Namespace, stream: BinaryIO, note: Path | None, progress: Progress
) -> None:
    done = _Offset(arguments.project, 0, 0, 0, 0)
    if note is not None and (found := _found(note, stream, arguments.project)):
        done = found
        progress.say(f"going on at line {done.lines + 1:,}, after {done.submitted + done.duplicates:,} tasks")
    size = os.fstat(stream.fileno()).st_size if note else 0
    try:
        for part in _parts(stream, arguments, done.lines):
            _submit_part(client, part, done, arguments)
            if note is not None:
                _keep(note, done)
            progress.show(_bar(done, size))
    except KeyboardInterrupt:
        again = ": the same command goes on there" if note is not None and done.lines else ""
        progress.say(f"interrupted after line {done.lines:,}{again}")
        raise
    finally:
        progress.clear()
    if note is not None:
        note.unlink(missing_ok=True)
    if arguments.json:
        say({"submitted": done.submitted, "duplicates": done.duplicates})
    else:
        print(f"{done.submitted:,} submitted, {done.duplicates:,} duplicates")


def _submit_part(client: Client, part: _Part, done: _Offset, arguments: argparse.Namespace) -> None:
    try:
        ids = client.submit_many(done.project, part.tasks)
    except ClientError as error:
        raise ClientError(_explained(error, client, part, done, arguments)) from error
    duplicates = ids.count(None)
    done.submitted += len(ids) - duplicates
    done.duplicates += duplicates
    done.lines += part.lines
    done.bytes += part.bytes


def _explained(error: ClientError, client: Client, part: _Part, done: _Offset, arguments: argparse.Namespace) -> str:
    if isinstance(error, Refused) and (advice := _ADVICE.get(error.code or "")):
        return f"{error}. {advice.format(file=arguments.worker_file, project=done.project, url=client.url)}"
    return f"lines {done.lines + 1:,} to {done.lines + part.lines:,}: {error}"


def _parts(stream: BinaryIO, arguments: argparse.Namespace, line: int) -> Iterator[_Part]:
    """The file from here on, in parts of one call each. ``line``: how many lines came before."""
    part = _Part([], 0, 0)
    for text in stream:
        part.lines, part.bytes, line = part.lines + 1, part.bytes + len(text), line + 1
        if task := _task(text, arguments, line):
            part.tasks.append(task)
        if part.lines >= _LINES or part.bytes >= _BYTES:
            yield part
            part = _Part([], 0, 0)
    if part.lines:
        yield part


def _task(text: bytes, arguments: argparse.Namespace, line: int) -> NewTask | None:
    """None of an empty line. Without a hash of its own, the recipe's counts."""
    try:
        recipe = text.decode().strip("\r\n")
        if not recipe.strip():
            return None
        given = msgspec.json.decode(recipe, type=dict[str, object]) if arguments.jsonl else {"recipe": recipe}
        task = msgspec.convert({**_defaults(arguments), **given}, NewTask)
    except (UnicodeDecodeError, msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ClientError(f"line {line:,}: {error}") from None
    if task.hashed or arguments.allow_duplicates:
        return task
    return msgspec.structs.replace(task, unique_string=task.recipe)


def _defaults(arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "priority": arguments.priority,
        "max_retries": arguments.max_retries,
        "max_assign_time": arguments.max_assign_time,
        "verification_count": arguments.verification_count,
    }


def _found(note: Path, stream: BinaryIO, project: int) -> _Offset | None:
    """What the last run has noted. The stream stands there, or at its beginning."""
    try:
        offset = msgspec.json.decode(note.read_bytes(), type=_Offset)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ClientError(f"{note} cannot be read: {error}. Remove it to begin from the first line") from None
    stream.seek(max(0, offset.bytes - 1))
    if offset.project != project or stream.read(1) not in {b"\n", b""} or stream.tell() < offset.bytes:
        raise ClientError(f"{note} is of another project, or of another file. Remove it to begin from the first line")
    return offset


def _keep(note: Path, done: _Offset) -> None:
    """Whole or not at all, whenever we are killed."""
    beside = note.with_name(f"{note.name}.new")
    beside.write_bytes(msgspec.json.encode(done))
    beside.replace(note)


def _bar(done: _Offset, size: int) -> str:
    counts = f"{done.submitted:,} submitted, {done.duplicates:,} duplicates"
    if not size:
        return counts
    share = min(1.0, done.bytes / size)
    return f"[{'#' * int(30 * share):<30}] {share:4.0%}  {counts}"
