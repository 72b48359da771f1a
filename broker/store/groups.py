"""Groups of a project's tasks: how many wait and are held, and their own limits (``lua/include/groups.lua``)."""

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
    """Waiting tasks, with or without votes."""
    running: int
    """Tasks that are held."""
    delay: float
    limit: int
    own: bool
    """Whether it has a delay or a limit of its own."""
    next: float | None
    """When its next task can be assigned, if it rests or is blocked."""
    blocked_until: float | None
    set_by: str | None
    """Who has set its limits."""


class GroupLimits(NamedTuple):
    """A group's own limits, in the order of the scripts' arguments. Times are unix seconds, 0 for none."""

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
        """Sets what is not None, and returns the group. Times in seconds; -1: the project's again. Raises
        ``not_found``.
        """
        changes: Arguments = [_milliseconds(delay), _own(limit), _milliseconds(blocked_for)]
        args: Arguments = [self.now, group, *changes, by]
        row = _row(group, await self._calls.call("group", self._keys.project(project), args))
        await self._active.look_if_possible(project)
        return row

    async def page(self, project: int, state: str, after: str, limit: int) -> tuple[str, list[GroupRow]]:
        """The ``after`` of the next page ("" at the end), and the groups in ``state`` among the next ``limit`` groups.

        Raises ``not_found``, ``invalid``.
        """
        args: Arguments = [self.now, state, after, limit]
        onward, *found = await self._calls.call("groups_list", self._keys.project(project), args)
        return onward, [_row(group, row) for group, row in zip(found[::2], found[1::2], strict=True)]

    async def walk(self, project: int, cursor: str) -> tuple[str, list[GroupLimits]]:
        """The next cursor ("" at the end), and some of the groups that have their own limits or rest.

        ``cursor``: "limits 0" to begin. Raises ``not_found``.
        """
        args: Arguments = [self.now, cursor, CHUNK]
        onward, *found = await self._calls.call("groups_walk", self._keys.project(project), args)
        return onward, [_limits(*row) for row in found]

    async def add(self, project: int, groups: Sequence[GroupLimits]) -> None:
        """Imports at most CHUNK groups; of two rests or blocks, the longer one holds. Raises ``not_found``."""
        args: Arguments = [self.now]
        for group in groups:
            args += [group.group, _milliseconds(group.delay), _own(group.limit)]
            args += [round(1000 * time) for time in (group.slowed, group.blocked_until, group.rests_until)]
            args.append(group.set_by)
        await self._calls.call("groups_import", self._keys.project(project), args)
        await self._active.look_if_possible(project)

    async def slow(self, project: int, worker: int, changes: Sequence[tuple[int, float, float]]) -> None:
        """``changes``: at most CHUNK tasks that the worker holds, each with the delay of its group and the time for
        which it is blocked: seconds; 0: no change; -1: ends what workers have set.
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
