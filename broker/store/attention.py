"""The projects that need attention, among all that a manager may see. The counts are those of counting.py."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls

STALLED_AFTER = 60
"""Seconds without an assigned task after which a project with waiting tasks is stalled."""

_LOOKED_AT = 500
"""Projects of each kind. They take the store about 2 ms."""

Kind = Literal["stalled", "failing", "requests", "blocked"]


class Needing(NamedTuple):
    """A project that needs attention. The script explains the numbers."""

    kind: Kind
    project: int
    name: str
    roles: int
    """Bits of the roles of the manager who asks."""
    numbers: tuple[int, int, int]


class AttentionList(NamedTuple):
    rows: list[Needing]
    """The worst first."""
    total: int
    """The number of all that need attention, of those that were looked at."""
    whole: bool
    """Whether all projects were looked at."""
    among: set[int]
    """Projects that were asked about and need attention for another reason than requests."""


class Attention:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys
        self.now = ""

    async def list(self, manager: int, limit: int, among: Sequence[int] = ()) -> AttentionList:
        """At most ``limit`` projects, and those of ``among`` (at most 1000) that need attention."""
        args: Arguments = [manager, self.now, STALLED_AFTER * 1000, limit, _LOOKED_AT, *among]
        total, more, some, *rows = await self._calls.call("attention_list", self._keys.directory, args)
        found = [Needing(kind, id, name, roles, tuple(numbers)) for kind, id, name, roles, *numbers in rows]
        return AttentionList(found, total, not more, set(some))
