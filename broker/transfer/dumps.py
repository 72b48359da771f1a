"""Reads the original tracker's tables as PostgreSQL dumps them: ``COPY ... TO ... WITH (FORMAT csv, HEADER)``.

An empty field counts as NULL: the csv module does not tell the two apart, and no column needs it.
"""

import csv
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path

from broker.errors import StartError

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


def rows(folder: Path, table: str) -> Iterator[Sequence[str]]:
    """The COLUMNS of each row, as text. A byte order mark is left out; bytes that are no UTF-8 become lone surrogates.

    Raises :class:`StartError` that names the line when the file is no such dump, or not whole.
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
                raise StartError(f"{path}: the first line names no column {missing[0]}: dump the table WITH HEADER")
            columns = itemgetter(*map(head.index, COLUMNS[table]))
            for row in reader:
                if len(row) != len(head):
                    raise StartError(
                        f"{path}, line {reader.line_num}: {len(row)} fields, not {len(head)}: is it whole?"
                    )
                yield columns(row)
        except csv.Error as error:
            raise StartError(f"{path}, line {reader.line_num}: {error}: is it whole?") from None


def check(folder: Path) -> None:
    """Raises :class:`StartError` for a dump that is not there or has another head."""
    for table in COLUMNS:
        next(iter(rows(folder, table)), None)
