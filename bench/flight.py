"""Calls of scripts as the broker sends them, some in flight all the time, and what they cost the store."""

import asyncio
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from redis import Redis

from bench.errors import BenchError
from bench.figures import Script
from bench.servers import settle

IN_FLIGHT = 32
_NONE = Script(calls=0, tasks=0, script_us=0, cpu_us=0, p99_us=0, worst_us=0, own_worst_us=0)
T = TypeVar("T")


async def fly(calls: Iterable[Awaitable[T]], lanes: int = IN_FLIGHT) -> list[T]:
    """Their answers, in no order. A call is made when an earlier one was answered."""
    coming = iter(calls)

    async def lane() -> list[T]:
        return [await call for call in coming]

    return [answer for answers in await asyncio.gather(*(lane() for _ in range(lanes))) for answer in answers]


class Scales:
    """Adds up what each script has cost. Only one script may run while it is weighed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        process = redis.info("server")["process_id"]
        self._schedstat = Path(f"/proc/{process}/schedstat")
        self.scripts: dict[str, Script] = {}
        # A rewrite of the append-only file slows whatever it meets: the latency in bench.http shows what that costs.
        redis.config_set("auto-aof-rewrite-percentage", 0)
        # The largest is the last percentile.
        redis.config_set("latency-tracking-info-percentiles", "99 100")

    async def weigh(self, name: str, calls: Iterable[Awaitable[T]], tasks: int = 0) -> list[T]:
        """The answers of calls, and their cost on the account of ``name``; ``tasks``: how many all are about."""
        settle(self._redis)
        self._redis.config_resetstat()
        before, waited = self._cpu(), self._waited()
        answers = await fly(calls)
        used, waited = self._cpu() - before, self._waited() - waited
        seen: dict[str, Any] = self._redis.info("commandstats").get("cmdstat_evalsha", {})
        slowest = self._redis.info("latencystats").get("latency_percentiles_usec_evalsha", {})
        if seen.get("calls") != len(answers):
            raise BenchError(f"{name}: {len(answers)} calls, but the store saw {seen.get('calls', 0)}")
        known = self.scripts.get(name, _NONE)
        self.scripts[name] = Script(
            calls=known.calls + len(answers),
            tasks=known.tasks + tasks,
            script_us=known.script_us + seen["usec"],
            cpu_us=known.cpu_us + used * 1e6,
            p99_us=max(known.p99_us, slowest["p99"]),
            worst_us=max(known.worst_us, slowest["p100"]),
            # It may have waited in another call than this one: over short rounds, the largest difference is close.
            own_worst_us=max(known.own_worst_us, slowest["p100"] - waited),
        )
        return answers

    def take_worst(self, other: "Scales") -> None:
        """Adds the slowest calls of other scales, and none of their cost."""
        for name, script in other.scripts.items():
            known = self.scripts[name]
            known.worst_us = max(known.worst_us, script.worst_us)
            known.own_worst_us = max(known.own_worst_us, script.own_worst_us)

    def _cpu(self) -> float:
        """Seconds that the store's main thread has used: without the thread that syncs the append-only file."""
        cpu = self._redis.info("cpu")
        return float(cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"])

    def _waited(self) -> float:
        """Microseconds for which the store's main thread has been ready to run while others had the cores."""
        return int(self._schedstat.read_text().split()[1]) / 1000
