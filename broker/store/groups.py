"""Groups of a project's tasks: what waits and is held, and limits of their own (``lua/include/groups.lua``)."""

from typing import NamedTuple

from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls


class GroupRow(NamedTuple):
    """Times are unix seconds."""

    group: str
    waiting: int
    """Tasks that wait, with or without votes."""
    running: int
    """Tasks that are held."""
    delay: float
    limit: int
    own: bool
    """Whether it has a delay or a limit of its own."""
    next: float | None
    """When it may start a task again, if it rests or is blocked."""
    blocked_until: float | None
    set_by: str | None
    """Who has set its limits."""


class Groups:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys
        self.now = ""

    async def get(
        self,
        project: int,
        group: str,
        *,
        delay: float | None = None,
        limit: int | None = None,
        blocked_for: float | None = None,
        by: str = "",
    ) -> GroupRow:
        """One group, after what is given was set: seconds, -1 for the project's again. Raises ``not_found``."""
        changes: Arguments = [_milliseconds(delay), _own(limit), _milliseconds(blocked_for)]
        args: Arguments = [self.now, group, *changes, by]
        found = await self._calls.call("group", self._keys.project(project), args)
        waiting, running, its_delay, its_limit, own, start, blocked, set_by = found
        return GroupRow(
            group,
            waiting,
            running,
            its_delay / 1000,
            its_limit,
            bool(own),
            None if start < 0 else start / 1000,
            blocked / 1000 if blocked else None,
            set_by or None,
        )


def _own(value: int | None) -> str:
    """As the script takes it."""
    if value is None:
        return ""
    return "-" if value < 0 else str(value)


def _milliseconds(seconds: float | None) -> str:
    return _own(None if seconds is None else round(seconds * 1000) if seconds >= 0 else -1)
