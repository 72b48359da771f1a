"""Tasks as managers see them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from broker.store.redis.caller import Arguments, Calls
from broker.store.redis.keys import Keys
from broker.store.tasks import BATCH_BYTES


class Row(NamedTuple):
    """In the order of ``lua/include/row.lua``."""

    id: int
    score: float
    """Of ``failed`` the time it failed, of ``assigned`` its deadline: unix ms."""
    recipe: str
    length: int
    """Bytes of the whole recipe."""
    priority: int
    retries: int
    max_retries: int
    max_assign_time: int
    """Seconds; 0: the server's default."""
    verification_count: int
    hash: int | None
    created: int
    """Unix seconds, as ``assign_time``."""
    assignee: int | None
    assign_time: int | None
    votes: list[tuple[int, int]]
    """Worker and verification."""


def row_of(reply: Sequence[Any]) -> Row:
    """What a script tells of a task, which has nothing for a field at its default."""
    id, score, recipe, length, priority, retries, max_retries, max_assign_time, verification_count, *rest = reply
    hash64, created, assignee, assign_time, votes = rest
    return Row(
        int(id),
        float(score),
        recipe,
        length,
        int(priority or 0),
        int(retries or 0),
        int(max_retries or 0),
        int(max_assign_time or 0),
        int(verification_count or 1),
        _number(hash64),
        int(created),
        _number(assignee),
        _number(assign_time),
        [(int(worker), int(vote)) for worker, vote in zip(votes[::2], votes[1::2], strict=True)],
    )


def _number(text: str | None) -> int | None:
    return int(text) if text else None


class TaskViews:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys

    async def get(self, project: int, task: int) -> tuple[str, Row]:
        """Its state, as :meth:`page` names them, and the task. Raises ``not_found``."""
        state, row = await self._calls.call("task_get", self._keys.project(project), [task])
        return state, row_of(row)

    async def page(self, project: int, state: str, offset: int, limit: int, *, longest: int) -> tuple[int, list[Row]]:
        """How many tasks are in ``state`` (queue, verifying, assigned, failed), and some of them, at most CHUNK.

        ``longest``: bytes of a recipe to read, 0 for all.
        """
        args: Arguments = [state, offset, limit, BATCH_BYTES, longest]
        total, *rows = await self._calls.call("tasks_list", self._keys.project(project), args)
        return total, [row_of(row) for row in rows]
