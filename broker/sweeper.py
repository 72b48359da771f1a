"""The periodic jobs: a table of them, and the coroutine in every process that runs them.

A round asks each project once what is due there. A job may safely run twice, run in two processes at once, or die in
the middle: its steps are single scripts. The claim in Redis only saves the other processes the work. A job that fails
is logged, and runs again in the next round.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from broker.errors import BrokerError, Unavailable
from broker.store import Store
from broker.store.tasks import CHUNK, Due

log = logging.getLogger(__name__)

BATCH = 100
"""Tasks that one step takes; a step that took fewer was the last."""

_STEPS = 1000
"""Steps that a job gets in one project and round, so that a busy project does not keep the others waiting."""


@dataclass(frozen=True)
class Job:
    """``step`` does some of what is ``due`` in a project, and answers whether there may be more."""

    name: str
    due: Callable[[Due], bool]
    step: Callable[[Store, int], Awaitable[bool]]


async def _reclaim(store: Store, project: int) -> bool:
    """Tasks whose deadline has passed wait again."""
    return await store.tasks.reclaim(project, BATCH) == BATCH


async def _expire_hashes(store: Store, project: int) -> bool:
    """Remembered hashes of closed tasks expire: the same task may be submitted again."""
    _, more = await store.tasks.expire_hashes(project, BATCH)
    return more


async def _flush(store: Store, project: int) -> bool:
    """Chained tasks that a crash or a full store left on the outbox are delivered."""
    await store.chain.flush_if_possible(project)
    return False


async def _drain(store: Store, project: int) -> bool:
    """Maintenance that a crash interrupted is continued."""
    return (await store.maintenance.drain(project, CHUNK))[1]


async def _promote(store: Store, project: int) -> bool:
    """Groups that have rested may start a task again, and delayed tasks whose time has come wait."""
    return (await store.tasks.promote(project, BATCH))[0]


async def _snapshot(store: Store, project: int) -> bool:
    """The counts of the project are stored, if it is time: the script decides."""
    await store.monitoring.take_snapshot(project)
    return False


EACH_ROUND = (
    Job("reclaim", lambda due: due.overdue, _reclaim),
    Job("flush", lambda due: due.outbox, _flush),
    Job("expire_hashes", lambda due: due.expired, _expire_hashes),
    Job("drain", lambda due: due.drains, _drain),
    Job("promote", lambda due: due.promote, _promote),
)
JOBS = (*EACH_ROUND, Job("snapshot", lambda due: True, _snapshot))


async def sweep(store: Store, jobs: Sequence[Job] = JOBS) -> None:
    """One round: what the directory has left to do, then every project.

    Raises :class:`Unavailable` in the end when the store had no answer for some: their node of a cluster is away.
    """
    if await store.note_clock():
        await _rebase(store)
    for project in await store.projects.pending("unpushed", BATCH):
        await _log_errors("push", project, store.projects.push(project))
    for project in await store.projects.pending("deleted", BATCH):
        await _log_errors("delete", project, store.maintenance.finish_delete(project))
    away: list[int] = []
    async for project, _, _ in store.projects.ids():
        try:
            due = await store.tasks.due(project)
        except Unavailable:
            away.append(project)
            continue
        for job in jobs:
            if job.due(due):
                await _log_errors(job.name, project, _repeat(job, store, project))
    if away:
        raise Unavailable(f"The store cannot answer now for {len(away)} projects, the first is {away[0]}")


async def _rebase(store: Store) -> None:
    """The clock of the store was set back. What is not rebased now is rebased in the next round."""
    log.warning("the clock of the store was set back: deadlines begin anew")
    rebased = True
    async for project, _, _ in store.projects.ids():
        try:
            await store.tasks.rebase(project)
        except BrokerError as error:
            log.warning("rebase of project %d: %s", project, error.message)
            rebased = False
    if rebased:
        await store.note_clock(rebased=True)


async def _repeat(job: Job, store: Store, project: int) -> None:
    begun, steps, more = time.monotonic(), 0, True
    while more and steps < _STEPS:
        more = await job.step(store, project)
        steps += 1
    log.debug("%s in project %d: %d steps in %.0f ms", job.name, project, steps, (time.monotonic() - begun) * 1000)


async def _log_errors(name: str, project: int, work: Awaitable[None]) -> None:
    try:
        await work
    except BrokerError as error:
        log.warning("%s in project %d: %s", name, project, error.message)


async def sweep_for_ever(store: Store, interval: float) -> None:
    """A round each ``interval`` seconds, in the process that can claim it."""
    noted, said = float("-inf"), ""
    while True:
        await asyncio.sleep(interval)
        begun = time.monotonic()
        jobs = JOBS if begun - noted >= store.monitoring.interval else EACH_ROUND
        try:
            if await sweep_if_claimed(store, interval, jobs) and jobs is JOBS:
                noted = begun
            said = ""
        except BrokerError as error:
            # Once, not each second.
            log.log(logging.DEBUG if error.message == said else logging.WARNING, "sweep: %s", error.message)
            said = error.message


async def sweep_if_claimed(store: Store, interval: float, jobs: Sequence[Job] = JOBS) -> bool:
    """Whether this process did the round."""
    # A little less than the interval, or every other round would find its own claim.
    claimed = await store.claim("sweep", int(interval * 900))
    if claimed:
        await sweep(store, jobs)
    return claimed
