"""The periodic jobs: a table of them, and the coroutine in every process that runs them.

The directory knows when each project is to be looked at (``broker/store/active.py``). Each process takes some of the
projects that are due, so the processes share the work. In addition, a slow round goes through all projects: it finds
what a crash has lost. A job may safely run twice, run in two processes at once, or die in the middle: its steps are
single scripts. A job that fails is logged, and runs again when its project is looked at again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from broker.errors import BrokerError, Unavailable
from broker.store import Store
from broker.store.active import Due
from broker.store.tasks import CHUNK

log = logging.getLogger(__name__)

BATCH = 100
"""Tasks that one step takes; a step that took fewer was the last."""

ROUND = 20
"""Projects that the slow round looks at in each interval."""

_STEPS = 1000
"""Steps that a job gets in one project and look, so that a busy project does not keep the others waiting."""

_TAKEN = 10
"""Projects that a process takes at once: the others are left to other processes."""

_LOOKS = 4
"""How often in each interval a process asks for projects that are due."""


@dataclass(frozen=True)
class Job:
    """``step`` does some of what is ``due`` in a project, and returns whether there may be more."""

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
    """Chained tasks that a crash or a full store left in the outbox are delivered."""
    await store.chain.flush_if_possible(project)
    return False


async def _drain(store: Store, project: int) -> bool:
    """Maintenance that a crash interrupted is continued."""
    return (await store.maintenance.drain(project, CHUNK))[1]


async def _promote(store: Store, project: int) -> bool:
    """Groups whose rest has ended are ready, and delayed tasks that are due wait."""
    return (await store.tasks.promote(project, BATCH))[0]


async def _snapshot(store: Store, project: int) -> bool:
    """The counts of the project are stored, if it is time: the script decides."""
    await store.monitoring.take_snapshot(project)
    return False


async def _take_notices(store: Store, project: int) -> bool:
    """Events of the project are noted, and passed to the notifier."""
    await store.notices.take(project)
    return False


JOBS = (
    Job("reclaim", lambda due: due.overdue, _reclaim),
    Job("flush", lambda due: due.outbox, _flush),
    Job("expire_hashes", lambda due: due.expired, _expire_hashes),
    Job("drain", lambda due: due.drains, _drain),
    Job("promote", lambda due: due.promote, _promote),
    Job("snapshot", lambda due: due.snapshot, _snapshot),
    Job("notify", lambda due: due.notices, _take_notices),
)


async def sweep(store: Store) -> None:
    """Does all that is due anywhere: what the directory has left to do, then in every project.

    Raises :class:`Unavailable` at the end if the store did not answer for some projects: a node of the cluster is away.
    """
    await _tidy(store)
    await _look_at(store, [project.id async for project in store.projects.ids()])


async def _tidy(store: Store) -> None:
    """What the directory has left to do."""
    if await store.note_clock():
        await _rebase(store)
    for project in await store.projects.pending("unpushed", BATCH):
        await _log_errors("push", project, store.projects.push(project))
    for project in await store.projects.pending("deleted", BATCH):
        await _log_errors("delete", project, store.maintenance.finish_delete(project))
    try:
        await store.worker_deletion.go_on()
    except BrokerError as error:
        log.warning("deleted workers: %s", error.message)


async def _look_at(store: Store, projects: list[int]) -> None:
    """Does what is due in these projects. Raises :class:`Unavailable` at the end, as :func:`sweep`."""
    away: list[int] = []
    for project in projects:
        try:
            due = await store.active.look(project)
            jobs = [job for job in JOBS if job.due(due)]
            for job in jobs:
                await _log_errors(job.name, project, _repeat(job, store, project))
            if jobs:
                # What was due is done, or is to be done again.
                await store.active.look(project)
        except Unavailable:
            away.append(project)
    if away:
        raise Unavailable(f"The store cannot answer now for {len(away)} projects, the first is {away[0]}")


async def _rebase(store: Store) -> None:
    """The clock of the store was set back. What is not rebased now is rebased in the next round."""
    log.warning("the clock of the store was set back: deadlines start again")
    rebased = True
    await store.active.look_at_all()
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
    """Repeats :func:`look` in each process, and the slow round in the process that claims it."""
    async with asyncio.TaskGroup() as tasks:
        for work in (look, _round_if_claimed):
            tasks.create_task(_repeat_for_ever(work, store, interval))


async def _repeat_for_ever(work: Callable[[Store, float], Awaitable[float]], store: Store, interval: float) -> None:
    """``work`` returns after how many seconds to call it again."""
    said = ""
    while True:
        wait = interval
        try:
            wait, said = await work(store, interval), ""
        except BrokerError as error:
            # Once, not each second.
            log.log(logging.DEBUG if error.message == said else logging.WARNING, "sweep: %s", error.message)
            said = error.message
        await asyncio.sleep(wait)


async def look(store: Store, interval: float) -> float:
    """Looks at projects that are due, and returns after how many seconds to do that again."""
    projects, wait = await store.active.take(_TAKEN)
    await _look_at(store, projects)
    if len(projects) == _TAKEN:
        return 0
    longest = interval / _LOOKS
    return longest if wait is None else min(max(wait, longest / 10), longest)


async def _round_if_claimed(store: Store, interval: float) -> float:
    # A little less than the interval, or every other round would find its own claim.
    if await store.claim("sweep", int(interval * 900)):
        await go_round(store)
    return interval


async def go_round(store: Store) -> None:
    """What the directory has left to do, and the next part of the slow round."""
    await _tidy(store)
    await _look_at(store, await store.active.next_of_round(ROUND))
