"""The fields of a task: the only list of them in Python; ``lua/include/task.lua`` has the same."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple


class TaskFields(NamedTuple):
    """The fields of a submitted task: its recipe, and the others in the order of its record.

    A new text goes after ``group``: no script needs to know it, and existing records do not have it.
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
    """The host or site that the task is for; '' for none."""
    start: str = ""
    """When a new task may first be assigned: ``+`` and ms from now, or ``=`` and unix ms; '' for at once."""

    def text(self, counts: tuple[int, int, int] = (0, 0, 1)) -> str:
        """A new task as text for scripts, as in ``lua/include/task.lua``. ``counts``: retries, reclaims, round."""
        if self[2:] == _PLAIN and counts == (0, 0, 1):
            return f"{self.hash64}\n{self.recipe}"
        numbers: tuple[Any, ...] = self[1:_GROUP]
        count = len(numbers)
        if counts != (0, 0, 1):
            numbers, count = numbers + counts, count + 3
        while count and numbers[count - 1] == _DEFAULTS[count - 1]:
            count -= 1
        start = f"{self.start} " if self.start else ""
        group = f" @{self.group}" if self.group else ""
        return f"{start}{' '.join(map(str, numbers[:count]))}{group}\n{self.recipe}"

    def given(self) -> dict[str, Any]:
        """The fields that workers get, by name."""
        return {name: getattr(self, name) for name in _SHOWN}


_SHOWN = [name for name in TaskFields._fields if name not in {"hash64", "start"}]

_PLAIN = tuple(TaskFields._field_defaults.values())[1:]
"""The other fields of a task that has only a recipe and a hash."""

_GROUP = TaskFields._fields.index("group")
"""Between the recipe and the group are numbers."""

_DEFAULTS: tuple[Any, ...] = (*(TaskFields._field_defaults[name] for name in TaskFields._fields[1:_GROUP]), 0, 0, 1)
"""Defaults of the numbers of a record; the last three are its counts."""

LONGEST_GROUP = 255
"""Bytes."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def checked_group(group: str) -> str:
    """Returns the group. Raises :class:`ValueError` if a task cannot have it."""
    if len(group.encode()) > LONGEST_GROUP:
        raise ValueError(f"group: longer than {LONGEST_GROUP} bytes of UTF-8")
    if _CONTROL.search(group):
        raise ValueError("group: must not contain control characters")
    return group


class Record(NamedTuple):
    created: int
    """Unix seconds."""
    retries: int
    reclaims: int
    round: int
    fields: TaskFields


def read_record(record: str) -> Record:
    first_line, _, recipe = record.partition("\n")
    created, _, rest = first_line.partition(" ")
    if not rest or rest.removeprefix("-").isdigit():
        # Most tasks have only a hash.
        return Record(int(created), 0, 0, 1, TaskFields(recipe, int(rest) if rest else ""))
    numbers, _, group = first_line.partition(" @")
    created, *texts = numbers.split(" ")
    values: list[Any] = [int(text) if text else "" for text in texts]
    values += _DEFAULTS[len(values) :]
    *numbers_of_task, retries, reclaims, round = values
    return Record(int(created), retries, reclaims, round, TaskFields._make((recipe, *numbers_of_task, group, "")))


class Task(NamedTuple):
    """A task that a worker holds."""

    id: int
    retries: int
    round: int
    assign_time: int
    """Unix seconds."""
    fields: TaskFields


class TaskError(NamedTuple):
    """Why a task failed at its last attempt."""

    message: str
    worker: int | None
    """None: the votes of its workers did not agree."""
    time: int
    """Unix seconds."""

    @classmethod
    def read(cls, text: str) -> "TaskError":
        """From the text that ``lua/include/fail_task.lua`` writes."""
        worker, time, _, message = text.split(" ", 3)
        return cls(message, int(worker) or None, int(time))

    def text(self) -> str:
        """The same text, for a task that no other worker gets first."""
        return f"{self.worker or 0} {self.time} 0 {self.message}"


class Row(NamedTuple):
    """A task as managers see it."""

    id: int
    score: float
    """Unix ms: when a failed task failed, the deadline of an assigned one, when a delayed one is due."""
    length: int
    """Bytes of the whole recipe."""
    vote_count: int
    votes: list[tuple[int, int]]
    """Worker and verification; not all of them where there are many."""
    assignee: int | None
    assign_time: int | None
    """Unix seconds."""
    error: TaskError | None
    created: int
    retries: int
    reclaims: int
    round: int
    fields: TaskFields
    """Its recipe may be cut."""

    @classmethod
    def read(cls, reply: Sequence[Any]) -> "Row":
        """From what ``lua/include/manager_row.lua`` returns."""
        id, score, length, vote_count, votes, assignee, assign_time, record, error = reply
        return cls(
            int(id),
            float(score),
            length,
            vote_count,
            [(int(worker), int(vote)) for worker, vote in zip(votes[::2], votes[1::2], strict=True)],
            _number(assignee),
            _number(assign_time),
            TaskError.read(error) if error else None,
            *read_record(record),
        )


def _number(text: str | None) -> int | None:
    return int(text) if text else None
