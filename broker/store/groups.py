"""Groups of a project's tasks: what waits and is held, and limits of their own (``lua/include/groups.lua``)."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from broker.store.active import Active
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.tasks import CHUNK

GroupState = Literal["ready", "resting", "full", "blocked"]
GROUP_STATES: tuple[str, ...] = get_args(GroupState)


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


class GroupLimits(NamedTuple):
    """What a group has of its own, in the order that the scripts take. Times are unix seconds, 0 for none."""

    group: str
    delay: float | None
    limit: int | None
    slowed: float
    """The delay to which workers slowed it down, seconds; 0 for none."""
    blocked_until: float
    rests_until: float
    set_by: str


class Groups:
    def __init__(self, calls: Calls, keys: Keys, active: Active) -> None:
        self._calls = calls
        self._keys = keys
        self._active = active
        self.now = ""

    async def get(self, project: int, group: str) -> GroupRow:
        """Raises ``not_found``."""
        return await self.set_limits(project, group)

    async def set_limits(
        self,
        project: int,
        group: str,
        *,
        delay: float | None = None,
        limit: int | None = None,
        blocked_for: float | None = None,
        by: str = "",
    ) -> GroupRow:
        """The group after what is given was set: seconds, -1 for the project's again. Raises ``not_found``."""
        changes: Arguments = [_milliseconds(delay), _own(limit), _milliseconds(blocked_for)]
        args: Arguments = [self.now, group, *changes, by]
        row = _row(group, await self._calls.call("group", self._keys.project(project), args))
        await self._active.look_if_possible(project)
        return row

    async def page(self, project: int, state: str, after: str, limit: int) -> tuple[str, list[GroupRow]]:
        """Those that are ready, resting, full or blocked, of up to ``limit`` that it looks at.

        Before them, what to give as ``after`` for the next page, "" at the end. Raises ``not_found``, ``invalid``.
        """
        args: Arguments = [self.now, state, after, limit]
        onward, *found = await self._calls.call("groups_list", self._keys.project(project), args)
        return onward, [_row(group, row) for group, row in zip(found[::2], found[1::2], strict=True)]

    async def walk(self, project: int, cursor: str) -> tuple[str, list[GroupLimits]]:
        """Some of the groups that have limits of their own, or may start no task before a time.

        ``cursor``: "limits 0" to begin. Before them, the one to go on with, "" at the end. Raises ``not_found``.
        """
        args: Arguments = [self.now, cursor, CHUNK]
        onward, *found = await self._calls.call("groups_walk", self._keys.project(project), args)
        return onward, [_limits(*row) for row in found]

    async def add(self, project: int, groups: Sequence[GroupLimits]) -> None:
        """At most CHUNK that come from elsewhere: the longer rest or block of two holds. Raises ``not_found``."""
        args: Arguments = [self.now]
        for group in groups:
            args += [group.group, _milliseconds(group.delay), _own(group.limit)]
            args += [round(1000 * time) for time in (group.slowed, group.blocked_until, group.rests_until)]
            args.append(group.set_by)
        await self._calls.call("groups_import", self._keys.project(project), args)
        await self._active.look_if_possible(project)

    async def slow(self, project: int, worker: int, changes: Sequence[tuple[int, float, float]]) -> None:
        """``changes``: tasks that the worker holds, at most CHUNK, and of their groups the delay and for how long they
        are blocked: seconds, 0 to leave it as it is, -1 to end what workers have set.
        """
        args: Arguments = [worker, self.now]
        for task, delay, block in changes:
            args += [task, _milliseconds(delay or None), _milliseconds(block or None)]
        await self._calls.call("slow_groups", self._keys.project(project), args)


def _row(group: str, found: list[Any]) -> GroupRow:
    waiting, running, delay, limit, own, start, blocked, set_by = found
    return GroupRow(
        group,
        waiting,
        running,
        delay / 1000,
        limit,
        bool(own),
        None if start < 0 else start / 1000,
        blocked / 1000 if blocked else None,
        set_by or None,
    )


def _limits(group: str, delay: Any, limit: Any, *rest: Any) -> GroupLimits:
    slowed, blocked, until, set_by = rest
    own_delay, own_limit = None if delay == "" else delay / 1000, None if limit == "" else limit
    slowed, blocked, until = (ms / 1000 if ms else 0 for ms in (slowed, blocked, until))
    return GroupLimits(group, own_delay, own_limit, slowed, blocked, until, set_by)


def _own(value: int | None) -> str:
    """As the script takes it."""
    if value is None:
        return ""
    return "-" if value < 0 else str(value)


def _milliseconds(seconds: float | None) -> str:
    return _own(None if seconds is None else round(seconds * 1000) if seconds >= 0 else -1)
