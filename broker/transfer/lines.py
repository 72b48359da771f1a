"""Lines of the files that ``broker submit`` and ``broker import`` read, and of those that ``broker export`` writes."""

import codecs
from typing import Annotated

import msgspec
from msgspec import Meta

from broker.api.bodies import Count16, Id, Int16, Int64, Seconds
from broker.store.task_fields import Row, TaskFields

_NAMED = 20
"""How many bad lines are named; the others are only counted."""


class TaskLine(msgspec.Struct, omit_defaults=True):
    """A task of an export: the fields of ``/task/submit`` and a few more. Only the recipe is required."""

    recipe: Annotated[str, Meta(min_length=1)]
    id: int = 0
    state: Annotated[str, Meta(pattern="^(queue|verifying|assigned|failed)$")] | None = None
    priority: Int16 = 0
    retries: Count16 = 0
    max_retries: Count16 = 0
    max_assign_time: Seconds = 0
    verification_count: Count16 = 1
    hash64: Int64 = 0
    created: int = 0
    """Unix seconds."""
    votes: list[tuple[Id, Int64]] = []
    """Pairs of worker and verification."""

    def fields(self) -> TaskFields:
        """0 and "" count as absent."""
        given = {name: value for name in TaskFields._fields if (value := getattr(self, name))}
        return TaskFields(**given)


_DECODER = msgspec.json.Decoder(TaskLine)
_ENCODER = msgspec.json.Encoder()


def encoded(state: str, row: Row) -> bytes:
    """With the end of the line."""
    fields = row.fields.given() | {"hash64": int(row.fields.hash64 or 0)}
    line = TaskLine(**fields, id=row.id, state=state, retries=row.retries, created=row.created, votes=row.votes)
    return _ENCODER.encode(line) + b"\n"


def decoded(text: bytes) -> TaskLine:
    """Raises :class:`ValueError` that names the field."""
    try:
        line = _DECODER.decode(text)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8: the file must be UTF-8") from None
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if len({worker for worker, _ in line.votes}) < len(line.votes):
        raise ValueError("votes: a worker is named twice")
    return line


def without_mark(number: int, text: bytes) -> bytes:
    """The first line may begin with a byte order mark."""
    return text.removeprefix(codecs.BOM_UTF8) if number == 1 else text


def is_blank(text: bytes) -> bool:
    """Whether a line is only ASCII white space: such lines are skipped."""
    return not text.strip()


def recipe_of(text: bytes) -> str:
    """Without the end of the line. Raises :class:`ValueError` when the line is not text."""
    if b"\0" in text:
        raise ValueError("a zero byte: the file is UTF-16 or not text, and must be UTF-8")
    try:
        return text.decode().strip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte 0x{text[error.start]:02x}): the file must be UTF-8") from None


class BadLines:
    """Collects what is wrong, so that one message can say all of it."""

    def __init__(self) -> None:
        self.count = 0
        self._said: list[str] = []

    def add(self, number: int, error: Exception) -> None:
        self.count += 1
        if self.count <= _NAMED:
            self._said.append(f"line {number:,}: {error}")

    def text(self) -> str:
        """One line for each of the first bad lines."""
        more = [f"and {self.count - _NAMED:,} more"] if self.count > _NAMED else []
        return "\n".join([*self._said, *more])
