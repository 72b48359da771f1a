"""What a line of an export holds: a task, or the limits of a group."""

from typing import Annotated

import msgspec
from msgspec import Meta

from broker.api.values import LONGEST_DELAY, LONGEST_MESSAGE, Count16, Id, Int16, Int64, Seconds
from broker.store.groups import GroupLimits
from broker.store.task_fields import Row, TaskFields, checked_group

Count = Annotated[int, Meta(ge=0, le=2**53)]
Time = Annotated[float, Meta(ge=0, le=2**53)]
"""Unix seconds."""
Delay = Annotated[float, Meta(ge=0, le=LONGEST_DELAY)]


class LineError(msgspec.Struct, omit_defaults=True):
    message: Annotated[str, Meta(max_length=LONGEST_MESSAGE)] = ""
    worker: Id | None = None
    time: Count = 0
    """Unix seconds."""


class TaskLine(msgspec.Struct, omit_defaults=True):
    """A task of an export: the fields of ``/task/submit`` and a few more. Only the recipe is required."""

    recipe: Annotated[str, Meta(min_length=1)]
    id: int = 0
    state: Annotated[str, Meta(pattern="^(queue|verifying|delayed|assigned|failed)$")] | None = None
    priority: Int16 = 0
    retries: Count16 = 0
    reclaims: Count = 0
    round: Annotated[int, Meta(ge=1, le=2**53)] = 1
    max_retries: Count16 = 0
    max_assign_time: Seconds = 0
    verification_count: Count16 = 1
    group: str = ""
    hash64: Int64 = 0
    created: int = 0
    """Unix seconds."""
    not_before: Time = 0
    """Of a delayed task."""
    votes: list[tuple[Id, Int64]] = []
    """Pairs of worker and verification."""
    error: LineError | None = None
    """Why its last attempt failed."""

    def fields(self) -> TaskFields:
        """0 and "" count as absent."""
        given = {name: value for name in TaskFields._fields[:-1] if (value := getattr(self, name))}
        return TaskFields(**given, start=f"={round(self.not_before * 1000)}" if self.not_before else "")


class GroupLine(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A group of an export: the fields of :class:`GroupLimits`, in their order."""

    group: Annotated[str, Meta(min_length=1)]
    delay: Delay | None = None
    limit: Count16 | None = None
    slowed: Delay = 0
    blocked_until: Time = 0
    rests_until: Time = 0
    set_by: Annotated[str, Meta(pattern="^((manager|worker) [0-9]{1,16})?$")] = ""

    def limits(self) -> GroupLimits:
        return GroupLimits(*msgspec.structs.astuple(self))


class _Keys(msgspec.Struct):
    """Distinguishes a group's line from a task's."""

    group: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    recipe: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_DECODER = msgspec.json.Decoder(TaskLine)
_GROUP_DECODER = msgspec.json.Decoder(GroupLine)
_KEYS_DECODER = msgspec.json.Decoder(_Keys)
_ENCODER = msgspec.json.Encoder()


def encoded(state: str, row: Row) -> bytes:
    """The line, with its end."""
    fields = row.fields.given() | {"hash64": int(row.fields.hash64 or 0)}
    line = TaskLine(
        **fields,
        id=row.id,
        state=state,
        retries=row.retries,
        reclaims=row.reclaims,
        round=row.round,
        created=row.created,
        not_before=row.score / 1000 if state == "delayed" else 0,
        votes=row.votes,
        error=LineError(*row.error) if row.error else None,
    )
    return _ENCODER.encode(line) + b"\n"


def encoded_group(limits: GroupLimits) -> bytes:
    """The line, with its end."""
    return _ENCODER.encode(GroupLine(*limits)) + b"\n"


def decoded(text: bytes) -> TaskLine | GroupLine:
    """A line with a group and no recipe is a group's. Raises :class:`ValueError` that names the field."""
    try:
        line = _decoded(text)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8: the file must be UTF-8") from None
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    checked_group(line.group)
    if isinstance(line, TaskLine) and len({worker for worker, _ in line.votes}) < len(line.votes):
        raise ValueError("votes: a worker is named twice")
    return line


def _decoded(text: bytes) -> TaskLine | GroupLine:
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError:
        keys = _KEYS_DECODER.decode(text)
        if keys.group is msgspec.UNSET or keys.recipe is not msgspec.UNSET:
            raise
    return _GROUP_DECODER.decode(text)
