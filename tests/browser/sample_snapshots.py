"""Two days of snapshots, as the sweeper would have taken them."""

import math
import time
from typing import Any

from redis import Redis

_EVERY = 120
_STEPS = 2 * 86_400 // _EVERY
_SINCE = 180
"""Seconds from the last of them until now."""


def write_history(redis: Redis, project: int, *, closed: int, waiting: tuple[int, int], failed: int = 0) -> None:
    """``closed`` tasks more than there were; ``waiting`` in the beginning and in the end."""
    base, now = f"broker:{{project:{project}}}", int(time.time())
    submitted, _, total = (redis.hincrby(base, counter, closed) for counter in ("submitted", "assigned", "closed"))
    paces = [1 + 0.3 * math.sin(step / 11 + project) + 0.35 * math.sin(step / 150 - 1) for step in range(_STEPS)]
    # As many are left for the time since the last snapshot as its pace says.
    scale, done = total / (sum(paces) + _SINCE / _EVERY * paces[-1]), 0.0
    with redis.pipeline() as pipe:
        # In one step with the others: the sweeper takes snapshots too.
        pipe.delete(f"{base}:snapshots")
        for step, pace in enumerate(paces):
            done += pace * scale
            share = step / _STEPS
            wave = math.sin(step / 90) * (1 - share)
            counts: dict[Any, Any] = {
                "new": round(waiting[0] + (waiting[1] - waiting[0]) * share + 0.15 * waiting[0] * wave),
                "failed": round(failed * share**2),
                "closed": round(done),
                "access": 5,
                "awaiting": round(30 + 25 * math.sin(step / 40)) if failed else 0,
                "assigned": 60,
                "submitted": submitted - round(0.97 * (total - done)),
                "fails": round(failed * share**2),
                "reclaimed": round(done / 40),
            }
            counts["waiting"] = counts["new"] - counts["assigned"]
            pipe.xadd(f"{base}:snapshots", counts, id=f"{(now - _SINCE - (_STEPS - 1 - step) * _EVERY) * 1000}-0")
        pipe.execute()
