"""Fills a broker with projects and workers, most of which do nothing. It uses the store's coroutines: HTTP would take
many minutes."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench import BenchError
from bench.servers import Broker
from bench.store_load import Project, gather
from broker.settings import Settings
from broker.store import Store, open_store

_FIRST, _NEXT = 2, 1
"""Priorities: of the projects that are out of rate, and of the one behind them; all others have 0."""

_RATE = 0.0001
"""Tasks a second: the first one uses it up for hours."""

_TASKS, _GROUPS = 500, 1_000
"""Tasks of each active project. The crowded one has ten times as many, in so many groups."""

_PAGE = 1_000


@dataclass(frozen=True)
class Population:
    """Projects, all of them public."""

    limited: list[int]
    """They have tasks, and are out of rate."""
    behind: int
    """It has no task, and the next lower priority."""
    active: list[int]
    """They have tasks once :func:`fill` has run."""

    @property
    def crowded(self) -> int:
        """It has tasks in groups, and all workers have access to it."""
        return self.active[-1]


async def populate(served: Broker, projects: int, workers: int, active: int, limited: int) -> Population:
    """``active`` of the projects are to have tasks; ``limited`` of these are out of rate."""
    if not limited + 2 <= active <= projects:
        raise BenchError("at least 2 more projects must be active than limited, and no more than there are")
    store, names = _open(served), (f"project {number}" for number in itertools.count(1))
    manager = served.manager

    async def create(count: int, **fields: Any) -> list[int]:
        some = itertools.islice(names, count)
        return await gather(store.projects.create(manager, {"name": name, "public": True, **fields}) for name in some)

    try:
        first = await create(limited, priority=_FIRST, assign_rate=_RATE)
        (behind,) = await create(1, priority=_NEXT)
        made = Population(first, behind, await create(active - limited - 1))
        await create(projects - active)
        ours = [(project, worker.id) for project in [*first, behind, *made.active] for worker in served.workers]
        await gather(_let_in(store, project, worker) for project, worker in ours)
        await gather(_use_up(project) for project in _worked(store, served, first))
        missing = range(workers - len(served.workers))
        created = await gather(store.workers.create(f"crawler {number}") for number in missing)
        _let_all_in(served, store, made.crowded, [worker.id for worker, _ in created])
        return made
    finally:
        await store.close()


async def fill(served: Broker, population: Population) -> None:
    """The active projects have tasks from now on."""
    store = _open(served)
    try:
        *plain, crowded = _worked(store, served, population.active)
        crowded.groups = _GROUPS
        await gather((project.fill(_TASKS) for project in plain), in_flight=4)
        await crowded.fill(10 * _TASKS)
    finally:
        await store.close()


def _open(served: Broker) -> Store:
    return open_store(Settings(redis_url=served.store_url, max_projects=0))


def _worked(store: Store, served: Broker, projects: Sequence[int]) -> list[Project]:
    """By the first of the broker's workers."""
    return [Project(store, project, served.workers[0].id, 0) for project in projects]


async def _let_in(store: Store, project: int, worker: int) -> None:
    await store.workers.request_access(project, worker, assign=True, submit=True)
    await store.workers.grant(project, worker)


async def _use_up(project: Project) -> None:
    """It has tasks, and was asked for one."""
    await project.fill(_TASKS)
    await project.release(await project.assign(1))


def _let_all_in(served: Broker, store: Store, project: int, workers: Sequence[int]) -> None:
    """As :func:`_let_in` does, a thousand workers in one go."""
    base, _ = store.keys.project(project)
    for start in range(0, len(workers), _PAGE):
        with served.redis.pipeline(transaction=False) as pipeline:
            for worker in workers[start : start + _PAGE]:
                pipeline.hset(f"{base}:access", str(worker), "assign,submit")
                pipeline.sadd(store.keys.worker_projects(worker), project)
            pipeline.execute()
