"""``broker submit``: a task for each line of a file. An interrupted run continues where it stopped."""

import argparse
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
from msgspec import Meta

from broker.cli import whole_number
from broker.cli.client import add_client_options, as_worker, connected
from broker.cli.output import Progress, print_json, span
from broker.client import Client, ClientError, NewTask, Refused
from broker.errors import system_message
from broker.transfer.lines import BadLines, Offset, OffsetFile, is_blank, recipe_of, without_mark

_LINES = 5_000
_BYTES = 4 << 20
"""Lines and bytes in one call. The offset is saved after each call."""

_UNLIMITED = sys.float_info.max
"""The rate of a project that has no limit."""

_PATIENCE = 10
"""Seconds for which calls are repeated when a broker stops answering."""

_FIELD_OPTIONS = ("priority", "max_retries", "max_assign_time", "verification_count", "delay", "group")
"""The options that are fields of a task."""

_NUMBERS = (
    ("priority", -(2**15), 2**15 - 1, 0, "tasks of a higher priority are assigned first"),
    ("max-retries", 0, 2**15 - 1, 0, "attempts: after so many fails a task stays failed; 0 is the same as 1"),
    ("max-assign-time", 0, 2**31 - 1, 0, "seconds that a worker has; 0 is the server's default"),
    ("verification-count", 0, 2**15 - 1, 1, "workers that must agree"),
    ("delay", 0, 315_360_000, 0, "seconds before which no worker gets the tasks"),
)
"""Options of a task: name, least, most, default, meaning."""

_NAMED = re.compile(r"requests\[(\d+)\]")

_FIELDS = {field.name: field.type for field in msgspec.structs.fields(NewTask)}

Line = msgspec.defstruct(
    "Line",
    [
        (name, kind | None, None)
        for name, kind in {
            "project": Annotated[int, Meta(ge=1, le=2**53)],
            **_FIELDS,
            "hash_u64": _FIELDS["hash64"],
            "unique_str": _FIELDS["unique_string"],
        }.items()
    ],
)
"""A line with ``--jsonl``: the fields of ``/task/submit``; each may be null."""


_ADVICE = {
    "denied": "broker worker create --project {project} --submit --worker-file {file} requests it, and a manager "
    "grants it at {url}/ui/projects/{project}/access",
    "bad_credentials": "They come from {file}",
    "not_found": "broker status shows the projects",
}
"""What to do about refusals that concern the whole file."""


@dataclass
class _Part:
    """The lines of a file that one call submits."""

    tasks: list[NewTask] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """The number of each task's line."""
    lines: int = 0
    text: bytearray = field(default_factory=bytearray)


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run)
    parser.description = (
        "Submits a task for each line of a file: the line is the recipe, or, with --jsonl, an object with the fields "
        "of /task/submit. Empty lines are skipped. Recipes that the project already has are counted as duplicates, "
        "and are not errors."
    )
    parser.epilog = (
        "An interrupted run leaves FILE.offset. The same command continues there, and removes that file at the end."
    )
    parser.add_argument("file", metavar="FILE", help="- is standard input")
    parser.add_argument("--project", type=whole_number(1), required=True, metavar="ID", help="where the tasks go")
    parser.add_argument("--jsonl", action="store_true", help="the lines are JSON objects")
    for name, low, high, default, what in _NUMBERS:
        parser.add_argument(f"--{name}", type=whole_number(low, high), default=default, metavar="N", help=what)
    parser.add_argument("--group", default="", metavar="NAME", help="the host or site that the tasks are for")
    parser.add_argument(
        "--allow-duplicates", action="store_true", help="submit recipes again that the project already has"
    )
    add_client_options(parser, "worker_file")


def _run(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client:
        as_worker(client, arguments)
        rate = _rate(client, arguments.project)
        # The broker answers. If it stops answering, calls are repeated for so long.
        client.patience = _PATIENCE
        if arguments.file == "-":
            _Run(client, arguments, sys.stdin.buffer, None).run(rate)
        else:
            with open(arguments.file, "rb") as stream:
                _Run(client, arguments, stream, Path(arguments.file)).run(rate)
    return 0


def _rate(client: Client, project: int) -> float:
    """Tasks per second that the project accepts, 0 for no limit."""
    try:
        rate = client.project(project).submit_rate
    except Refused:
        # The project is hidden. The first submit shows whether we may submit.
        return 0
    return rate if rate < _UNLIMITED else 0


class _Run:
    """One run of the command; ``file`` is None for standard input."""

    def __init__(self, client: Client, arguments: argparse.Namespace, stream: BinaryIO, file: Path | None) -> None:
        self._client = client
        self._arguments = arguments
        self._stream = stream
        self._file = file
        found = os.fstat(stream.fileno()) if file else None
        self._regular = found is not None and stat.S_ISREG(found.st_mode)
        self._size = found.st_size if found and self._regular else 0
        self._offset_file = OffsetFile(file.with_name(f"{file.name}.offset") if file and self._regular else None)
        self._progress = Progress(sys.stderr)
        self._submitted = self._duplicates = 0
        options = {name: getattr(arguments, name) for name in ("jsonl", *_FIELD_OPTIONS, "allow_duplicates")}
        self._done = Offset(client.url, arguments.project, options)

    def run(self, rate: float) -> None:
        self._done = self._offset_file.find(self._done, self._stream)
        if self._done.lines:
            self._progress.say(f"continuing at line {self._done.lines + 1:,}")
        total = self._check() if self._regular else 0
        self._announce(rate, total)
        try:
            for part in self._parts():
                self._submit(part)
                self._progress.show(self._bar())
        except KeyboardInterrupt:
            again = ": the same command continues there" if self._offset_file.kept and self._done.lines else ""
            self._progress.say(f"interrupted after line {self._done.lines:,}{again}")
            raise
        finally:
            self._progress.clear()
            if not self._done.lines:
                self._offset_file.remove()
        self._offset_file.remove()
        if self._arguments.json:
            print_json({"submitted": self._submitted, "duplicates": self._duplicates})
        else:
            print(f"{self._submitted:,} submitted, {self._duplicates:,} duplicates")

    def _check(self) -> int:
        """How many tasks follow. Raises :class:`ClientError` that names the lines that are wrong."""
        bad, total = BadLines(), 0
        for number, raw in enumerate(self._stream, self._done.lines + 1):
            if not is_blank(text := without_mark(number, raw)):
                total += 1
                try:
                    self._task(text)
                except ValueError as error:
                    bad.add(number, error)
        if bad.count:
            raise ClientError(f"{bad.text()}\nnothing was submitted")
        self._stream.seek(self._done.bytes)
        return total

    def _announce(self, rate: float, total: int) -> None:
        project = self._arguments.project
        self._offset_file.keep(self._done)
        if self._file and not self._offset_file.kept:
            failure = self._offset_file.failure
            why = f" ({system_message(failure)})" if failure else ", because it is not a regular file"
            self._progress.say(f"no offset of {self._file} is kept{why}: an interrupted run begins at the first line")
        if rate:
            takes = f", so {total:,} take about {span(total / rate)}" if total > rate else ""
            self._progress.say(f"project {project} accepts {rate:g} tasks per second{takes}")
        self._client.on_wait = lambda seconds: self._progress.say(
            f"waiting {span(seconds)} for the rate of project {project}"
        )

    def _parts(self) -> Iterator[_Part]:
        """The rest of the file, one part per call. Raises :class:`ClientError` at a part with bad lines."""
        part, bad = _Part(), BadLines()
        for number, raw in enumerate(self._stream, self._done.lines + 1):
            part.lines += 1
            part.text += raw
            if not is_blank(text := without_mark(number, raw)):
                try:
                    part.tasks.append(self._task(text))
                    part.numbers.append(number)
                except ValueError as error:
                    bad.add(number, error)
            if part.lines >= _LINES or len(part.text) >= _BYTES:
                self._refuse(bad)
                yield part
                part = _Part()
        if part.lines:
            self._refuse(bad)
            yield part

    def _refuse(self, bad: BadLines) -> None:
        if bad.count:
            before = f"only lines 1 to {self._done.lines:,} were submitted" if self._done.lines else None
            raise ClientError(f"{bad.text()}\n{before or 'nothing was submitted'}")

    def _submit(self, part: _Part) -> None:
        try:
            ids = self._client.submit_many(self._arguments.project, part.tasks)
        except ClientError as error:
            raise ClientError(self._explained(error, part)) from error
        duplicates = ids.count(None)
        self._submitted += len(ids) - duplicates
        self._duplicates += duplicates
        self._done.lines += part.lines
        self._done.bytes += len(part.text)
        self._offset_file.passed(part.text)
        self._offset_file.keep(self._done)

    def _explained(self, error: ClientError, part: _Part) -> str:
        file, project = self._arguments.worker_file, self._arguments.project
        if isinstance(error, Refused) and (advice := _ADVICE.get(error.code or "")):
            return f"{error}. {advice.format(file=file, project=project, url=self._client.url)}"
        if named := _NAMED.search(str(error)):
            return f"line {part.numbers[len(error.done) + int(named[1])]:,}: {error}"
        return f"lines {self._done.lines + 1:,} to {self._done.lines + part.lines:,}: {error}"

    def _task(self, text: bytes) -> NewTask:
        """Raises :class:`ValueError`. The recipe is the unique string when the line gives no hash."""
        options = {name: getattr(self._arguments, name) for name in _FIELD_OPTIONS}
        task = NewTask(**{**options, **self._fields(recipe_of(text))})
        if task.hashed or self._arguments.allow_duplicates:
            return task
        return msgspec.structs.replace(task, unique_string=task.recipe)

    def _fields(self, recipe: str) -> dict[str, Any]:
        if not self._arguments.jsonl:
            return {"recipe": recipe}
        try:
            line = msgspec.json.decode(recipe, type=Line)
        except RecursionError:
            raise ValueError("JSON is nested too deeply") from None
        given = {name: value for name, value in msgspec.structs.asdict(line).items() if value is not None}
        if not given.get("recipe"):
            raise ValueError("Object missing required field `recipe`")
        if (project := given.pop("project", self._arguments.project)) != self._arguments.project:
            raise ValueError(f"it names project {project}, and --project names {self._arguments.project}")
        if given.get("not_before"):
            if given.get("delay"):
                raise ValueError("not_before: send this or delay, not both")
            given["delay"] = 0  # and not that of --delay
        # The API has two names for each of these.
        for name, other in (("hash64", "hash_u64"), ("unique_string", "unique_str")):
            if (value := given.pop(other, None)) is not None:
                given.setdefault(name, value)
        if given.get("hash64") and given.get("unique_string"):
            raise ValueError("unique_string: send this or hash64, not both")
        return given

    def _bar(self) -> str:
        counts = f"{self._submitted:,} submitted, {self._duplicates:,} duplicates"
        if not self._size:
            return counts
        share = min(1.0, self._done.bytes / self._size)
        return f"[{'#' * int(30 * share):<30}] {share:4.0%}  {counts}"
