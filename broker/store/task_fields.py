"""What a task is made of: the one list of its fields in Python; ``lua/include/task.lua`` has the same."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple


class TaskFields(NamedTuple):
    """The fields that a submit gives a task: its recipe, and the others in the order in which its record has them.

    A new number goes before ``group``: records that were written before have its default.
    """

    recipe: str
    hash64: int | str = ""
    """A signed 64-bit number; '' for none."""
    priority: int = 0
    max_retries: int = 0
    max_assign_time: int = 0
    """Seconds; 0: the server's default."""
    verification_count: int = 1
    group: str = ""
    """The host or site that it is for; '' for none."""

    def text(self, retries: int = 0) -> str:
        """As scripts take a new task; ``lua/include/task.lua`` says how."""
        numbers: tuple[Any, ...] = self[1:-1]
        count = len(numbers)
        if retries:
            numbers, count = (*numbers, retries), count + 1
        while count and numbers[count - 1] == _DEFAULTS[count - 1]:
            count -= 1
        group = f" @{self.group}" if self.group else ""
        return f"{' '.join(map(str, numbers[:count]))}{group}\n{self.recipe}"

    def given(self) -> dict[str, Any]:
        """By name, as workers get them: without the hash."""
        return {name: value for name, value in zip(self._fields, self, strict=True) if name != "hash64"}


_DEFAULTS: tuple[Any, ...] = (*list(TaskFields._field_defaults.values())[:-1], 0)
"""Of the numbers of a record; the last one is its retries."""

LONGEST_GROUP = 255
"""Bytes."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def checked_group(group: str) -> str:
    """Raises :class:`ValueError` when it is not one that a task can have."""
    if len(group.encode()) > LONGEST_GROUP:
        raise ValueError(f"group: longer than {LONGEST_GROUP} bytes of UTF-8")
    if _CONTROL.search(group):
        raise ValueError("group: must not contain control characters")
    return group


def read_record(record: str) -> tuple[int, int, TaskFields]:
    """When a task was created, unix seconds, how often it was retried, and its fields."""
    first_line, _, recipe = record.partition("\n")
    numbers, _, group = first_line.partition(" @")
    created, *texts = numbers.split(" ")
    values: list[Any] = [int(text) if text else "" for text in texts]
    retries = values.pop() if len(values) == len(_DEFAULTS) else 0
    values += _DEFAULTS[len(values) : -1]
    return int(created), retries, TaskFields._make((recipe, *values, group))


class Task(NamedTuple):
    """A task that a worker holds."""

    id: int
    retries: int
    assign_time: int
    """Unix seconds."""
    fields: TaskFields


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
        id, score, length, vote_count, votes, assignee, assign_time, record = reply
        created, retries, fields = read_record(record)
        return cls(
            int(id),
            float(score),
            length,
            vote_count,
            [(int(worker), int(vote)) for worker, vote in zip(votes[::2], votes[1::2], strict=True)],
            retries,
            created,
            _number(assignee),
            _number(assign_time),
            fields,
        )


def _number(text: str | None) -> int | None:
    return int(text) if text else None
