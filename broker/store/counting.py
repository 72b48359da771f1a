"""Counts over all projects: the directory keeps them, and a project that has changed is counted again.

Each process notes the projects that its calls have changed. One process at a time counts these, in the order in
which they were noted, for a bounded share of the store's time. Each step may safely run twice, or in two processes
at once, and a process may die after any step. A walk over all projects finds what a process that died had not noted.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from broker.errors import BrokerError
from broker.store.monitoring import STATE_FIELDS, STATES, Monitoring, Stats
from broker.store.projects import Projects
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.shared_read import rest
from broker.store.workers import Workers

log = logging.getLogger(__name__)

T = TypeVar("T")

Claim = Callable[[str, int], Awaitable[bool]]

_NOTE = 1.0
"""Seconds between two notes of what a process has changed."""

_ROUND = 2.0
"""Seconds for which the process that has claimed the counting counts; then another may."""

_DUTY = 0.1
"""Share of the store's time for counting."""

_TOGETHER = 20
"""Projects that are counted at once: a worker's call waits for no more than these."""

_WALK = 600.0
"""Seconds between two walks over all projects."""

_LATER = 10**15
"""Added to the scores of a walk: projects that have changed come first."""

_PAIRS = 200
"""Workers that one script counts: about 0.3 ms."""

_PAGE = 500


class Counting:
    def __init__(self, calls: Calls, keys: Keys, projects: Projects, workers: Workers, monitoring: Monitoring) -> None:
        self._calls = calls
        self._keys = keys
        self._projects = projects
        self._workers = workers
        self._monitoring = monitoring
        self._held: dict[int, tuple[int, dict[str, int]]] = {}
        """Projects with held tasks: how many, and the totals, at the last count of who holds them."""
        self.now = ""

    async def run(self, claim: Claim) -> None:
        """Notes and counts until it is cancelled. ``claim``: :meth:`Store.claim`."""
        next_walk = 0.0
        while True:
            await asyncio.sleep(_NOTE)
            try:
                await self.note()
                if time.monotonic() >= next_walk:
                    next_walk = time.monotonic() + _WALK / 10
                    if await claim("count-all", round(_WALK * 1000)):
                        await self.walk()
                if await claim("count", round(_ROUND * 1000)):
                    await self.round(_ROUND)
            except BrokerError as error:
                log.debug("cannot count: %s", error.code)

    async def note(self) -> None:
        """Notes the projects that this process has changed."""
        changed = [self._keys.project_of(base) for base in self._calls.changed]
        self._calls.changed.clear()
        try:
            await self._note(changed, _now())
        except BrokerError:
            self._calls.changed.update(self._keys.project(project)[0] for project in changed)
            raise

    async def _note(self, projects: Sequence[int], score: int, *condition: str) -> None:
        for some in _slices(projects, _PAGE):
            pairs = [argument for project in some for argument in (score, project)]
            await self._calls.command("ZADD", self._keys.changed, *condition, *pairs)

    async def walk(self) -> None:
        """Notes every project, after those that have changed, and gives each worker a total."""
        await self._note([project.id async for project in self._projects.ids()], _now() + _LATER, "NX")
        last = await self._workers.count()
        for first in range(1, last + 1, _PAGE):
            begun = time.monotonic()
            args: Arguments = [first, min(first + _PAGE - 1, last)]
            await self._calls.call("workers_note", self._keys.directory, args)
            await rest(begun, _DUTY)

    async def round(self, seconds: float) -> None:
        """Counts noted projects, for so many seconds at most."""
        done = set[int]()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            begun = time.monotonic()
            row = await self._calls.command("ZRANGE", self._keys.changed, 0, len(done) + _TOGETHER - 1, "WITHSCORES")
            noted = {int(project): score for project, score in zip(row[::2], row[1::2], strict=True)}
            some = [project for project in noted if project not in done][:_TOGETHER]
            if not some:
                return
            done.update(some)
            await asyncio.gather(*(self._count(project, noted[project]) for project in some))
            await rest(begun, _DUTY)

    async def _count(self, project: int, noted: str) -> None:
        """Counts a project that was noted under this score."""
        try:
            await self._count_now(project, noted)
        except BrokerError as error:
            # A node of the cluster does not answer: the next round tries again.
            log.debug("cannot count project %d: %s", project, error.code)

    async def _count_now(self, project: int, noted: str) -> None:
        stats = await self._stats(project)
        again: int | str = ""
        if stats is None:
            await self._count_held(project, {})
            args: Arguments = [project, noted, "", "", len(STATES), self.now, *_pairs(Stats(0, 0, 0, 0, 0, {}))]
        else:
            await self.closed(project)
            if self._held.get(project) != (stats.assigned, stats.counters):
                await self._count_held(project, await self._monitoring.count_held(project) if stats.assigned else {})
            if stats.assigned:
                # Counted again soon: deadlines pass without a call.
                self._held[project] = stats.assigned, stats.counters
                again = _now()
            unfinished = stats.waiting + stats.verifying + stats.delayed + stats.assigned
            args = [project, noted, again, unfinished, len(STATES), self.now, *_pairs(stats)]
        if not again:
            self._held.pop(project, None)
        await self._calls.call("counted", self._keys.directory, args)

    async def _stats(self, project: int) -> Stats | None:
        """None if the project was deleted."""
        try:
            return await self._monitoring.stats(project)
        except BrokerError as error:
            if error.code != "not_found":
                raise
            return None

    async def closed(self, project: int) -> None:
        """Adds what the project's workers have closed to their totals. Raises ``not_found``."""
        counted: int | str = ""
        while True:
            args: Arguments = [counted, _PAIRS]
            counted, *pairs = await self._calls.call("closed_take", self._keys.project(project), args)
            if not pairs:
                return
            await self._calls.call("closed_count", self._keys.directory, [project, counted, *pairs])

    async def _count_held(self, project: int, held: dict[int, int]) -> None:
        before = await self._held_before(project)
        changes = [(worker, held.get(worker, 0)) for worker in before | held if held.get(worker) != before.get(worker)]
        for some in _slices(changes, _PAIRS):
            pairs = [number for pair in some for number in pair]
            await self._calls.call("held_count", self._keys.directory, [project, *pairs])

    async def _held_before(self, project: int) -> dict[int, int]:
        """How many tasks each worker held at the last count."""
        found: dict[int, int] = {}
        cursor = "0"
        while True:
            cursor, row = await self._calls.command("HSCAN", self._keys.held(project), cursor, "COUNT", _PAGE)
            found |= {int(worker): int(held) for worker, held in zip(row[::2], row[1::2], strict=True)}
            if cursor == "0":
                return found


def _pairs(stats: Stats) -> list[int | str]:
    states = [(field, getattr(stats, name)) for field, name in zip(STATE_FIELDS, STATES, strict=True)]
    return [part for pair in (*states, *stats.counters.items()) for part in pair]


def _slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _now() -> int:
    return int(time.time() * 1000)
