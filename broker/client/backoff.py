"""How long to wait before something is tried again."""

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Pauses that double from ``first`` to ``most`` seconds, each up to half as long again: a fleet must not march."""

    first: float = 0.1
    most: float = 5.0
    _next: float = field(default=0, init=False)

    def pause(self, least: float = 0) -> float:
        """Seconds; at least ``least``, which somebody told us."""
        base = max(self._next or self.first, least)
        self._next = min(2 * (self._next or self.first), self.most)
        return jittered(base, 0.5)

    def reset(self) -> None:
        self._next = 0


def jittered(seconds: float, share: float) -> float:
    """Up to ``share`` of it longer, never shorter."""
    return seconds * random.uniform(1, 1 + share)  # noqa: S311 - no secret
