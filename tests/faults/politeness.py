"""What fetchers and a manager saw of a project's groups, and which of it violates the groups' limits.

A client knows only that a task started between its request and the answer. A violation is reported
only if it is one at every time in between: on a slow machine some are missed, but none is invented.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, zip_longest

SLACK = 0.002
"""The store's clock counts whole milliseconds."""


@dataclass
class Change:
    """Asked for and answered at these times, ``math.inf`` while it is under way; in between it may hold or not."""

    asked: float
    delay: float
    limit: int
    """0: any number."""
    answered: float = math.inf


@dataclass
class Block:
    """No task starts between these times."""

    begin: float
    end: float


@dataclass
class Start:
    """``until``: the task is certainly held from the answer until then, except for maintenance."""

    task: int
    asked: float
    answered: float
    until: float


@dataclass
class GroupLog:
    name: str
    changes: list[Change]
    starts: list[Start] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    own: bool = False
    """Whether it has limits of its own instead of the project's."""

    def in_force(self, begin: float, end: float) -> Iterator[Change]:
        """Those that may have been in force at some time between these."""
        for change, later in zip_longest(self.changes, self.changes[1:]):
            if change.asked <= end and not (later and later.answered < begin):
                yield change

    def violations(self, resets: Sequence[tuple[float, float]]) -> Iterator[str]:
        """``resets``: when calls were asked and answered after which tasks that were held are held no longer."""
        self.starts.sort(key=lambda start: start.answered)
        yield from self._too_early()
        yield from self._too_many(resets)
        for start in self.starts:
            for block in self.blocks:
                if block.begin < start.asked and start.answered < block.end - SLACK:
                    yield f"{self.name}: {start} while blocked: {block}"

    def _too_early(self) -> Iterator[str]:
        rests = [(start, self._rest(start)) for start in self.starts]
        for (one, rest), (other, its_rest) in combinations(rests, 2):
            # Whichever of the two came first, the other came before the rest that follows it was over.
            if other.answered - one.asked < rest and one.answered - other.asked < its_rest:
                yield f"{self.name}: {other} within {rest} s after {one}"

    def _rest(self, start: Start) -> float:
        """The shortest that may follow."""
        return min(change.delay for change in self.in_force(start.asked, start.answered)) - SLACK

    def _too_many(self, resets: Sequence[tuple[float, float]]) -> Iterator[str]:
        held: list[tuple[Start, float]] = []
        for start in self.starts:
            now = start.answered
            held.append((start, min([start.until, *(asked for asked, done in resets if done >= start.asked)])))
            held = [(one, end) for one, end in held if end > now]
            # The last of them started no earlier than each was asked for, and all the others were held then.
            last = max((one.asked for one, _ in held), default=now)
            limits = [change.limit for change in self.in_force(last, now)]
            if 0 not in limits and len(held) > max(limits):
                yield f"{self.name}: {len(held)} held at {now}, not {limits}: {[one for one, _ in held]}"
