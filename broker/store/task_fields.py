"""What a task is made of: the one list of its fields in Python; ``lua/include/task.lua`` has the same."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class TaskFields(NamedTuple):
    """The fields that a submit gives a task, in the order in which scripts take and give them.

    A new field goes before the hash, which is the last one: workers do not get it.
    """

    recipe: str
    priority: int = 0
    max_retries: int = 0
    max_assign_time: int = 0
    """Seconds; 0: the server's default."""
    verification_count: int = 1
    hash64: int | str = ""
    """A signed 64-bit number, as text when it comes from the store; '' for none."""

    @classmethod
    def read(cls, values: Sequence[str | None]) -> "TaskFields":
        """From what a script gives: None for a field at its default, and perhaps without the hash."""
        return cls(*(default if text is None else type(default)(text) for text, default in zip(values, _DEFAULTS)))  # noqa: B905

    def given(self) -> dict[str, Any]:
        """By name, as workers get them."""
        return dict(zip(_GIVEN, self, strict=False))


_GIVEN = TaskFields._fields[:-1]
_DEFAULTS: tuple[Any, ...] = ("", *TaskFields._field_defaults.values())


class Task(NamedTuple):
    """A task that a worker holds."""

    id: int
    retries: int
    assign_time: int
    """Unix seconds."""
    fields: TaskFields
    """Without the hash."""


class Row(NamedTuple):
    """A task as managers see it."""

    id: int
    score: float
    """Of ``failed`` the time it failed, of ``assigned`` its deadline: unix ms."""
    length: int
    """Bytes of the whole recipe."""
    vote_count: int
    votes: list[tuple[int, int]]
    """Worker and verification; not all of them where there are many."""
    retries: int
    created: int
    """Unix seconds, as ``assign_time``."""
    assignee: int | None
    assign_time: int | None
    fields: TaskFields
    """Its recipe may be cut."""

    @classmethod
    def read(cls, reply: Sequence[Any]) -> "Row":
        """From what ``lua/include/manager_row.lua`` gives."""
        id, score, length, vote_count, votes, retries, created, assignee, assign_time, *fields = reply
        return cls(
            int(id),
            float(score),
            length,
            vote_count,
            [(int(worker), int(vote)) for worker, vote in zip(votes[::2], votes[1::2], strict=True)],
            int(retries or 0),
            int(created),
            _number(assignee),
            _number(assign_time),
            TaskFields.read(fields),
        )


def _number(text: str | None) -> int | None:
    return int(text) if text else None
