"""Single tasks, and pages of them, as managers of their project see and change them."""

from broker.errors import BrokerError
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.task_fields import Row
from broker.store.tasks import BATCH_BYTES, CHUNK

_MOST_VOTES = 100
"""Votes of a task that are shown, about: there may be 32,767 and more."""


class ProjectTasks:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys
        self.now = ""

    async def get(self, project: int, task: int) -> tuple[str, Row]:
        """Its state, as :meth:`page` names them, and the task. Raises ``not_found``."""
        state, row = await self._calls.call("task_get", self._keys.project(project), [task, _MOST_VOTES])
        return state, Row.read(row)

    async def page(self, project: int, state: str, offset: int, limit: int, *, longest: int) -> tuple[int, list[Row]]:
        """How many tasks are in ``state`` (queue, verifying, assigned, failed), and some of them, at most CHUNK.

        ``longest``: bytes of a recipe to read, 0 for all.
        """
        args: Arguments = [state, offset, limit, BATCH_BYTES, longest, _MOST_VOTES]
        total, *rows = await self._calls.call("tasks_list", self._keys.project(project), args)
        return total, [Row.read(row) for row in rows]

    async def retry(self, project: int, task: int) -> None:
        if not await self._calls.call("task_retry", self._keys.project(project), [self.now, task]):
            raise BrokerError("not_found", "No failed task has this id")

    async def forget(self, project: int, hash64: int, worker: int | None = None) -> bool:
        """Whether the project remembered the hash of a closed task until now.

        ``worker``: who asks, None for a manager, who may. Raises ``not_found``, ``denied``.
        """
        args: Arguments = ["" if worker is None else worker, self.now, hash64]
        return bool(await self._calls.call("forget", self._keys.project(project), args))

    async def reclaim(self, project: int, worker: int) -> int:
        """Takes back what a worker holds; the answer is how many tasks wait again. Raises ``not_found``."""
        cursor, back = "", 0
        while cursor != "0":
            args: Arguments = [self.now, worker, cursor or "0", CHUNK]
            cursor, count = await self._calls.call("reclaim_worker", self._keys.project(project), args)
            back += count
        return back

    async def remove(self, project: int, task: int) -> None:
        await self._calls.call("task_remove", self._keys.project(project), [self.now, task])
