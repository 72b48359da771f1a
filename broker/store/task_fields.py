"""What a task is made of: the one list of its fields in Python; ``lua/include/task.lua`` has the same."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class TaskFields(NamedTuple):
    """The fields that a submit gives a task: its recipe, and the others in the order in which its record has them.

    A new field goes to the end: records that were written before have its default.
    """

    recipe: str
    hash64: int | str = ""
    """A signed 64-bit number; '' for none."""
    priority: int = 0
    max_retries: int = 0
    max_assign_time: int = 0
    """Seconds; 0: the server's default."""
    verification_count: int = 1

    def text(self, retries: int = 0) -> str:
        """As scripts take a new task; ``lua/include/task.lua`` says how."""
        values: tuple[Any, ...] = self[1:]
        if retries:
            return f"{' '.join(map(str, (*values, retries)))}\n{self.recipe}"
        count = len(values)
        while count and values[count - 1] == _DEFAULTS[count - 1]:
            count -= 1
        return f"{' '.join(map(str, values[:count]))}\n{self.recipe}"

    def given(self) -> dict[str, Any]:
        """By name, as workers get them: without the hash."""
        return {name: value for name, value in zip(self._fields, self, strict=True) if name != "hash64"}


_DEFAULTS: tuple[Any, ...] = tuple(TaskFields._field_defaults.values())


def read_record(record: str) -> tuple[int, int, TaskFields]:
    """When a task was created, unix seconds, how often it was retried, and its fields."""
    first_line, _, recipe = record.partition("\n")
    created, *texts = first_line.split(" ")
    values: list[Any] = [int(text) if text else "" for text in texts]
    retries = values.pop() if len(values) == len(TaskFields._fields) else 0
    return int(created), retries, TaskFields(recipe, *values)


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
