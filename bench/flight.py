"""Calls of scripts as the broker sends them, some in flight all the time, and what they cost the store."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from redis import Redis

from bench.errors import BenchError
from bench.figures import Script
from bench.serving import settle

IN_FLIGHT = 32
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
        self.scripts: dict[str, Script] = {}
        # The largest is the last percentile.
        redis.config_set("latency-tracking-info-percentiles", "99 100")

    async def weigh(self, name: str, calls: Iterable[Awaitable[T]], tasks: int = 0) -> list[T]:
        """The answers of calls, and their cost on the account of ``name``; ``tasks``: how many all are about."""
        settle(self._redis)
        self._redis.config_resetstat()
        before = self._cpu()
        answers = await fly(calls)
        used = self._cpu() - before
        seen: dict[str, Any] = self._redis.info("commandstats").get("cmdstat_evalsha", {})
        slowest = self._redis.info("latencystats").get("latency_percentiles_usec_evalsha", {})
        if seen.get("calls") != len(answers):
            raise BenchError(f"{name}: {len(answers)} calls, but the store saw {seen.get('calls', 0)}")
        known = self.scripts.get(name, Script(calls=0, tasks=0, script_us=0, cpu_us=0, p99_us=0, worst_us=0))
        self.scripts[name] = Script(
            calls=known.calls + len(answers),
            tasks=known.tasks + tasks,
            script_us=known.script_us + seen["usec"],
            cpu_us=known.cpu_us + used * 1e6,
            p99_us=max(known.p99_us, slowest["p99"]),
            worst_us=max(known.worst_us, slowest["p100"]),
        )
        return answers

    def _cpu(self) -> float:
        """Seconds that the store's main thread has used: without the thread that syncs the append-only file."""
        cpu = self._redis.info("cpu")
        return float(cpu["used_cpu_user_main_thread"] + cpu["used_cpu_sys_main_thread"])
