"""The original tracker's tables as PostgreSQL dumps them: ``COPY ... TO ... WITH (FORMAT csv, HEADER)``.

:func:`rows` reads a file, and a function for each table checks a row and returns what the broker keeps of it. An empty
field counts as NULL: the csv module does not tell the two apart, and no column needs it.
"""

import csv
import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from broker.api.values import MAX_SECRET
from broker.errors import StartError
from broker.store.redis.keys import PROJECT_LIMIT
from broker.store.task_fields import TaskFields
from broker.store.transfer import ImportedWorker

COLUMNS = {
    "worker": ("id", "alias", "created", "secret", "closed_task_count", "paused"),
    "project": (
        *("id", "priority", "chain", "public", "hidden", "paused", "name", "clone_url", "git_repo", "version", "motd"),
        *("secret", "webhook_secret", "assign_rate", "submit_rate"),
    ),
    "worker_access": ("worker", "project", "role_assign", "role_submit", "request"),
    "task": (
        *("id", "hash64", "project", "assignee", "max_assign_time", "verification_count", "priority", "retries"),
        *("max_retries", "status", "recipe"),
    ),
    "worker_verifies_task": ("verification_hash", "task", "worker"),
}
"""By table, each in a file of that name. Further columns, and their order, do not matter."""

_FIELD = 1 << 30
"""Characters: the most that a value has in PostgreSQL."""

INT32 = 2**31 - 1
"""The largest worker id, and the largest time, of the original tracker."""

_NAME, _TEXT, _WEBHOOK_SECRET = 16_384, 65_536, 1024  # characters, as the API takes them
_BYTEA = re.compile(r"\\x((?:[0-9a-f]{2})+)")

Note = Callable[[str], None]
"""Called with each change that was made to an imported row."""


def rows(folder: Path, table: str) -> Iterator[Sequence[str]]:
    """The COLUMNS of each row, as text. A byte order mark is left out; bytes that are not UTF-8 become lone surrogates.

    Raises :class:`StartError`, which names the line, if the file is not such a dump, or not complete.
    """
    path = folder / f"{table}.csv"
    try:
        stream = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from None
    csv.field_size_limit(_FIELD)
    with stream:
        reader = csv.reader(stream, strict=True)
        try:
            head = next(reader, [])
            missing = [column for column in COLUMNS[table] if column not in head]
            if missing:
                raise StartError(
                    f"{path}: the first line does not name the column {missing[0]}: dump the table WITH HEADER"
                )
            columns = itemgetter(*map(head.index, COLUMNS[table]))
            for row in reader:
                if len(row) != len(head):
                    raise StartError(
                        f"{path}, line {reader.line_num}: {len(row)} fields, not {len(head)}: is the file complete?"
                    )
                yield columns(row)
        except csv.Error as error:
            raise StartError(f"{path}, line {reader.line_num}: {error}: is the file complete?") from None


def check(folder: Path) -> None:
    """Raises :class:`StartError` for a dump that is missing or lacks a column."""
    for table in COLUMNS:
        next(iter(rows(folder, table)), None)


class Limits(NamedTuple):
    """As the settings have them."""

    alias: int
    """Characters."""
    recipe: int
    """Bytes."""


class Unfit(Exception):
    """Why a row cannot be imported."""


class ProjectRow(NamedTuple):
    id: int
    fields: dict[str, Any]
    """As :meth:`Imports.project` takes them."""


class AccessRow(NamedTuple):
    project: int
    worker: int
    what: str
    granted: str


class TaskRow(NamedTuple):
    id: int
    project: int
    assigned: int
    failed: str
    retries: int
    fields: TaskFields


class VoteRow(NamedTuple):
    task: int
    worker: int
    verification: int


def worker(row: Sequence[str], _note: Note, limits: Limits) -> ImportedWorker:
    id, alias, created, secret, closed, paused = row
    raw = _BYTEA.fullmatch(secret)
    if raw is None:
        raise Unfit("its secret is not bytea in hexadecimal")
    return ImportedWorker(
        id=_whole("id", id, 1, INT32),
        alias=_text("alias", alias, limits.alias) or "default_alias",
        created=_whole("created", created, 0, 2**53, 0),
        paused=_flag("paused", paused),
        digest=hashlib.sha256(bytes.fromhex(raw[1])).hexdigest(),
        closed=_whole("closed_task_count", closed, 0, 2**53, 0),
    )


def project(row: Sequence[str], note: Note, _limits: Limits) -> ProjectRow:
    id, priority, chain, public, hidden, paused, name, *texts, secret, webhook_secret, assign_rate, submit_rate = row
    fields: dict[str, Any] = {
        "name": _text("name", name, _NAME),
        "priority": _whole("priority", priority, -(2**53), 2**53, 0),
        "chain": _whole("chain", chain, 0, 2**53, 0),
        "public": bool(_flag("public", public)),
        "hidden": bool(_flag("hidden", hidden)),
        "paused": bool(_flag("paused", paused)),
        "assign_rate": _rate("assign_rate", assign_rate, note),
        "submit_rate": _rate("submit_rate", submit_rate, note),
        "secret": _text("secret", secret, MAX_SECRET) or "{}",
    }
    for field, text in zip(("clone_url", "git_repo", "version", "motd"), texts, strict=True):
        fields[field] = _text(field, text, _TEXT)
    if webhook_secret:
        fields["webhook_secret"] = _text("webhook_secret", webhook_secret, _WEBHOOK_SECRET)
    if not fields["name"]:
        raise Unfit("it has no name")
    if fields["priority"] < 0:
        note("its priority was below 0 and is 0 now")
        fields["priority"] = 0
    if fields["public"] and fields["hidden"]:
        note("it was public and hidden, and is only hidden now")
        fields["public"] = False
    return ProjectRow(_whole("id", id, 1, PROJECT_LIMIT - 1), fields)


def access(row: Sequence[str], _note: Note, _limits: Limits) -> AccessRow:
    worker, project, role_assign, role_submit, request = row
    roles = {"assign": _flag("role_assign", role_assign), "submit": _flag("role_submit", role_submit)}
    what = ",".join(role for role, has in roles.items() if has)
    if not what:
        raise Unfit("it grants nothing and asks for nothing")
    granted = "" if _flag("request", request) else "1"
    return AccessRow(_whole("project", project, 1, 2**53), _whole("worker", worker, 1, 2**53), what, granted)


def task(row: Sequence[str], _note: Note, limits: Limits) -> TaskRow:
    id, hash64, project, assignee, seconds, votes, priority, retries, max_retries, status, recipe = row
    if not recipe:
        raise Unfit("its recipe is empty")
    if status not in {"", "1", "2"}:
        raise Unfit("its status is neither 1 nor 2")
    # The original tracker treats values below the minimum as the minimum.
    return TaskRow(
        id=_whole("id", id, 1, 2**53),
        project=_whole("project", project, 1, 2**53),
        assigned=int(assignee != ""),
        failed="1" if status == "2" else "",
        retries=max(0, _whole("retries", retries, -(2**15), 2**15 - 1, 0)),
        fields=TaskFields(
            recipe=_text("recipe", recipe, limits.recipe, "bytes"),
            priority=_whole("priority", priority, -(2**15), 2**15 - 1, 0),
            max_retries=max(0, _whole("max_retries", max_retries, -(2**15), 2**15 - 1, 0)),
            max_assign_time=max(0, _whole("max_assign_time", seconds, -INT32 - 1, INT32, 0)),
            verification_count=max(1, _whole("verification_count", votes, -INT32 - 1, 2**15 - 1, 0)),
            hash64=_whole("hash64", hash64, -(2**63), 2**63 - 1, 0) or "",
        ),
    )


def vote(row: Sequence[str], _note: Note, _limits: Limits) -> VoteRow:
    verification, task, worker = row
    return VoteRow(
        task=_whole("task", task, 1, 2**53),
        worker=_whole("worker", worker, 1, 2**53),
        verification=_whole("verification_hash", verification, -(2**63), 2**63 - 1, 0),
    )


def _whole(field: str, text: str, least: int, most: int, default: int | None = None) -> int:
    if not text and default is not None:
        return default
    try:
        number = int(text)
    except ValueError:
        raise Unfit(f"its {field} is not a whole number") from None
    if not least <= number <= most:
        raise Unfit(f"its {field} is not within {least} and {most}")
    return number


def _flag(field: str, text: str) -> int:
    if text not in {"", "t", "f"}:
        raise Unfit(f"its {field} is neither t nor f")
    return int(text == "t")


def _text(field: str, text: str, most: int, unit: str = "characters") -> str:
    length = len(text)
    if not text.isascii():
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            raise Unfit(f"its {field} is not UTF-8: dump it with PGCLIENTENCODING=UTF8") from None
        length = len(encoded) if unit == "bytes" else length
    if length > most:
        raise Unfit(f"its {field} is longer than {most} {unit}")
    return text


def _rate(field: str, text: str, note: Note) -> float:
    """Tasks a second, 0 for no limit."""
    try:
        rate = float(text or 0)
    except ValueError:
        raise Unfit(f"its {field} is not a number") from None
    if math.isnan(rate) or rate < 0:
        note(f"its {field} was not a rate, and is unlimited now")
        return 0
    return 0 if math.isinf(rate) else rate
