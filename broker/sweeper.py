"""What happens without being asked: a table of periodic jobs, run by a coroutine in every process.

Each job is safe to run twice, at once, or to die in the middle: its steps are single scripts. The claim in Redis only
saves the other processes the work. A job that fails is logged and tried again at the next round.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from broker.errors import BrokerError
from broker.store import Store
from broker.store.tasks import Due

log = logging.getLogger(__name__)

BATCH = 100
"""Tasks that one step takes; a step that took fewer was the last."""

_STEPS = 1000
"""Steps a project gets in one round, so that one busy project does not keep the others waiting."""


@dataclass(frozen=True)
class Job:
    name: str
    run: Callable[[Store], Awaitable[int]]
    """Answers how many things it did."""


async def reclaim(store: Store) -> int:
    """Tasks past their deadline go back to the queue."""
    return await _each_due(store, lambda due: due.overdue, lambda project: store.tasks.reclaim(project, BATCH))


async def forget(store: Store) -> int:
    """Remembered hashes of closed tasks expire."""
    return await _each_due(store, lambda due: due.forgotten, lambda project: store.tasks.forget(project, BATCH))


async def flush(store: Store) -> int:
    """Chained tasks that a crash, or a full store, left on an outbox are delivered."""

    async def deliver(project: int) -> int:
        await store.chain.flush(project)
        return 1

    return await _each_due(store, lambda due: due.outbox, deliver)


async def push(store: Store) -> int:
    """Projects whose configuration a crash kept from their scripts get it."""
    projects = await store.projects.unpushed(BATCH)
    for project in projects:
        await store.projects.push(project)
    return len(projects)


JOBS = (Job("push", push), Job("reclaim", reclaim), Job("flush", flush), Job("forget", forget))


async def _each_due(store: Store, wanted: Callable[[Due], bool], step: Callable[[int], Awaitable[int]]) -> int:
    """Runs ``step`` on every project that wants it, until a step does less than a whole batch."""
    total = 0
    async for project, _ in store.projects.ids():
        if not wanted(await store.tasks.due(project)):
            continue
        try:
            for _ in range(_STEPS):
                done = await step(project)
                total += done
                if done < BATCH:
                    break
        except BrokerError as error:
            log.warning("sweeping project %d: %s", project, error.message)
    return total


async def sweep(store: Store, interval: float) -> None:
    """Runs the jobs that this process can claim, once."""
    for job in JOBS:
        try:
            # A little less than the interval, or every other round would find its own claim.
            if not await store.directory.claim(job.name, int(interval * 900)):
                continue
            begun = time.monotonic()
            done = await job.run(store)
            if done:
                log.info("%s: %d in %.0f ms", job.name, done, (time.monotonic() - begun) * 1000)
        except BrokerError as error:
            log.warning("%s: %s", job.name, error.message)
        except Exception:
            log.exception("%s failed", job.name)


async def sweep_for_ever(store: Store, interval: float) -> None:
    """``interval`` in seconds."""
    while True:
        await asyncio.sleep(interval)
        await sweep(store, interval)
