"""A single task as a manager sees it, whatever state it is in."""

from broker.store.calls import Calls
from broker.store.keys import Keys
from broker.store.tasks import Row


class TaskViews:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys

    async def get(self, project: int, task: int) -> tuple[str, Row]:
        """Its state, as :meth:`Tasks.page` names them, and the task. Raises ``not_found``."""
        state, row = await self._calls.call("task_get", self._keys.project(project), [task])
        return state, Row(*row)
