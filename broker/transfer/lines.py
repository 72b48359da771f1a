"""A task as a line of an export: JSON, with the fields of ``/task/submit`` and a few more."""

from typing import Annotated

import msgspec
from msgspec import Meta

from broker.api.bodies import Count16, Id, Int16, Int64, Seconds
from broker.store.task_fields import Row, TaskFields


class Line(msgspec.Struct, omit_defaults=True):
    """Numbers at their default are left out. A line that is imported needs a recipe only."""

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
    """Worker and verification."""

    def fields(self) -> TaskFields:
        """0 and "" are as good as absent."""
        given = {name: value for name in TaskFields._fields if (value := getattr(self, name))}
        return TaskFields(**given)


_DECODER = msgspec.json.Decoder(Line)
_ENCODER = msgspec.json.Encoder()


def encoded(state: str, row: Row) -> bytes:
    """With its end."""
    fields = row.fields.given() | {"hash64": int(row.fields.hash64 or 0)}
    line = Line(**fields, id=row.id, state=state, retries=row.retries, created=row.created, votes=row.votes)
    return _ENCODER.encode(line) + b"\n"


def decoded(text: bytes) -> Line:
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
