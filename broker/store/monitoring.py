"""Counts: tasks by state and totals of a project, over time and by worker, and of all projects together."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice
from typing import Annotated, NamedTuple, get_type_hints

from msgspec import Meta, Struct

from broker.errors import BrokerError
from broker.store.projects import Listed, Projects
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls, info_fields
from broker.store.shared_read import SharedRead, SharedReads

_TOGETHER = 50
"""Projects that are counted at once: a worker's call waits for no more than these."""

_OVERVIEW_DUTY = 0.1
"""Share of the store's time for overviews, while a read takes no more than 0.1 s."""

_LONGEST_REST = 1.0
"""Seconds between two reads of an overview at most."""

_PAGES = 5
"""Pages of projects that are searched for projects that are not hidden."""

_HELD_DUTY = 0.05
"""Share of the store's time for counts of one project: a count reads each assigned task, and anybody may ask."""

_HELD_PATIENCE = 0.1
"""Seconds to wait for a count that is not older than the question."""

_PRIORITIES = 10
"""Priorities, the highest first, in which the oldest waiting task is searched."""

_RECENT_TTL = 20
"""Seconds for which a project's recent snapshots are kept: pages that update themselves ask every few seconds."""

_RECENT_LONGEST = 500
"""Recent snapshots that are read at most, if they are taken every few seconds."""

_MOST_KEPT = 2000
"""Projects whose counts and recent snapshots are kept."""

_PAGE = 500


class Counters(Struct):
    """Totals since the project was created. A total of 0 is absent."""

    submitted: Annotated[int, Meta(description="Tasks submitted by workers")] = 0
    chained: Annotated[int, Meta(description="Tasks that came from another project through its chain")] = 0
    imported: Annotated[int, Meta(description="Tasks imported by broker import or import-tracker")] = 0
    duplicates: Annotated[int, Meta(description="Tasks refused as duplicates")] = 0
    assigned: Annotated[int, Meta(description="Tasks assigned to workers")] = 0
    voted: Annotated[int, Meta(description="Releases that counted as votes")] = 0
    closed: Annotated[int, Meta(description="Tasks closed")] = 0
    failed: Annotated[int, Meta(description="Tasks failed for good")] = 0
    retried: Annotated[int, Meta(description="Releases as fail after which the task was waiting again")] = 0
    skipped: Annotated[int, Meta(description="Releases as skip")] = 0
    reclaimed: Annotated[int, Meta(description="Tasks reclaimed, after their deadline or by a call")] = 0
    removed: Annotated[
        int, Meta(description="Tasks removed by managers or cancelled by workers, except by a hard reset")
    ] = 0
    dropped: Annotated[int, Meta(description="Closed tasks that the chain could not deliver")] = 0
    repeated: Annotated[
        int, Meta(description="Chained tasks that were ignored because they had been delivered before")
    ] = 0
    orphaned: Annotated[int, Meta(description="Tasks that were dropped because the store had lost their record")] = 0


TOTALS: dict[str, str] = {
    name: hint.__metadata__[0].description for name, hint in get_type_hints(Counters, include_extras=True).items()
}
"""The description of each total, in the order in which they are shown."""


STATES = (
    *("waiting", "verifying", "delayed", "assigned", "failed"),
    *("groups_ready", "groups_resting", "groups_full", "groups_blocked", "errors", "requests"),
)
"""Fields of :class:`Stats` that are summed up over all projects, beside the totals."""

STATE_FIELDS = [f"now_{state}" for state in STATES]
"""Their names in the directory: totals have some of the same names."""


class Stats(NamedTuple):
    waiting: int
    verifying: int
    delayed: int
    assigned: int
    failed: int
    counters: dict[str, int]
    """Totals since the project began, by their names in ``TOTALS``."""
    groups_ready: int = 0
    """Groups with a task that can be assigned now; a minimum, if groups have tasks with and without votes."""
    groups_resting: int = 0
    groups_full: int = 0
    groups_blocked: int = 0
    """These also count as resting or full."""
    errors: int = 0
    """Live tasks that failed at their last attempt."""
    requests: int = 0
    """Workers that request access."""


class Oldest(NamedTuple):
    waiting: int | None
    """Age in seconds of the oldest task among the first waiting tasks of each priority; None if none waits."""
    delayed: int | None
    """Seconds since the time of the first delayed task; None if none is due."""


class Snapshot(NamedTuple):
    """The counts of a project at a moment."""

    time: int
    """Unix seconds."""
    new: int
    """Unfinished tasks without a vote."""
    failed: int
    closed: int
    """All tasks closed so far."""
    access: int
    """Workers that were granted access."""
    awaiting: int
    """Unfinished tasks with votes."""
    waiting: int | None = None
    """Those of ``new`` that wait. This field and the following are None in snapshots of earlier versions."""
    assigned: int | None = None
    submitted: int | None = None
    """All tasks submitted so far, also by chains."""
    fails: int | None = None
    """All tasks that failed for good so far."""
    reclaimed: int | None = None
    """All tasks reclaimed so far."""


class Monitoring:
    def __init__(self, calls: Calls, keys: Keys, interval: float, history: float) -> None:
        """A snapshot each ``interval`` seconds, kept for ``history`` seconds."""
        self._calls = calls
        self._keys = keys
        self.interval = interval
        self._history = round(history * 1000)
        self._held = SharedReads(self.count_held, most=_MOST_KEPT, duty=_HELD_DUTY, patience=_HELD_PATIENCE)
        self._recent = SharedReads(self._read_recent, most=_MOST_KEPT, duty=1, ttl=_RECENT_TTL)
        self._newest = 0
        """The end of the recent snapshots that are kept, unix seconds."""
        self.now = ""

    async def stats(self, project: int) -> Stats:
        found = await self._calls.call("stats", self._keys.project(project), [self.now, *TOTALS])
        (waiting, verifying, delayed, assigned, failed), others, totals = found[:5], found[5:11], found[11:]
        counters = {name: int(total) for name, total in zip(TOTALS, totals, strict=True) if total}
        return Stats(waiting, verifying, delayed, assigned, failed, counters, *others)

    async def oldest(self, project: int) -> Oldest:
        args: Arguments = [self.now, _PRIORITIES]
        ages = await self._calls.call("oldest", self._keys.project(project), args)
        return Oldest(*(None if age < 0 else age for age in ages))

    async def held(self, project: int) -> dict[int, int]:
        """How many tasks each worker holds. If a count takes more than 5 ms, the answer may be 20 times as old."""
        return await self._held.get(project)

    async def count_held(self, project: int) -> dict[int, int]:
        """As :meth:`held`, counted now; the cost grows with the assigned tasks."""
        members: set[str] = set()
        cursor = "0"
        while True:
            cursor, *page = await self._calls.call("assignees", self._keys.project(project), [cursor, _PAGE])
            members.update(page)
            if cursor == "0":
                return Counter(int(member.partition(":")[2]) for member in members)

    async def take_snapshot(self, project: int) -> bool:
        """Returns false if the last one is too recent."""
        args: Arguments = [self.now, round(self.interval * 1000), self._history]
        made = -1
        while made < 0:
            made = await self._calls.call("snapshot", self._keys.project(project), args)
        return bool(made)

    async def snapshots(self, project: int, newest: int | None, oldest: int | None) -> AsyncIterator[Snapshot]:
        """Newest first: snapshots not after ``newest`` and not before ``oldest`` (unix seconds).

        A snapshot with the counts of the one before is not stored: it is generated here, one per interval.
        """
        step, last = max(1, round(self.interval)), None
        async for now, stored in self._stored(project, newest):
            first = max(oldest or 0, now - self._history // 1000)
            if last is None:
                last = min(now, now if newest is None else newest)
            for time_ in range(stored.time + (last - stored.time) // step * step, stored.time, -step):
                if time_ >= first:
                    yield stored._replace(time=time_)
            if stored.time < first:
                return
            yield stored
            # None is generated shortly before a stored one.
            last = stored.time - (step + 1) // 2

    async def _stored(self, project: int, newest: int | None) -> AsyncIterator[tuple[int, Snapshot]]:
        """Newest first, each with the current time of the store, unix seconds."""
        before = "+" if newest is None else str(newest * 1000 + 999)
        while True:
            args: Arguments = [before, "-", _PAGE, self.now]
            now, *page = await self._calls.call("snapshots", self._keys.project(project), args)
            for id, pairs in page:
                counts = dict(zip(pairs[::2], pairs[1::2], strict=True))
                named = {name: int(counts[name]) for name in Snapshot._fields[1:] if name in counts}
                yield now // 1000, Snapshot(_ms(id) // 1000, **named)
            if len(page) < _PAGE:
                return
            before = f"({page[-1][0]}"

    async def recent(self, project: int, seconds: int) -> list[Snapshot]:
        """The snapshots of the last ``seconds``, oldest first. All processes see the same ones for some seconds."""
        now = int(time.time())
        newest = now - now % _RECENT_TTL
        if newest != self._newest:
            # Nobody asks for the earlier ones again.
            self._newest = newest
            self._recent.clear()
        return await self._recent.get((project, newest, newest - seconds))

    async def _read_recent(self, which: tuple[int, int, int]) -> list[Snapshot]:
        found: list[Snapshot] = []
        async for snapshot in self.snapshots(*which):
            found.append(snapshot)
            if len(found) == _RECENT_LONGEST:
                break
        return found[::-1]


class Memory(NamedTuple):
    used: int
    """Bytes."""
    limit: int
    """Bytes at which new tasks are refused; 0: no limit."""


class ProjectCount(NamedTuple):
    project: Listed
    stats: Stats
    oldest: Oldest


class Overview(NamedTuple):
    """What the store holds in all projects, for external monitoring."""

    memory: Memory | None
    """Of the server that is fullest."""
    projects: int
    """How many projects exist."""
    counts: list[ProjectCount]
    """The projects with the most unfinished tasks, as they are now."""
    shown: Stats
    """Sums over all projects that are not hidden, some seconds old; ``hidden``: over all others."""
    hidden: Stats


def fullest(infos: list[str]) -> Memory | None:
    """The memory of the fullest server, from their replies to INFO."""
    servers = [Memory(int(fields["used_memory"]), int(fields["maxmemory"])) for fields in map(info_fields, infos)]
    return max(
        servers, key=lambda server: (server.used / server.limit if server.limit else 0, server.used), default=None
    )


class OverviewRead:
    """Shares reads of the overview. No answer is older than its question: otherwise the answers of several processes
    would go back in time, which looks like a reset of the totals.
    """

    def __init__(self, calls: Calls, keys: Keys, projects: Projects, monitoring: Monitoring, most: int) -> None:
        """``most``: projects that are counted one by one; as many more, if hidden ones are among these."""
        self._calls = calls
        self._keys = keys
        self._projects = projects
        self._monitoring = monitoring
        self._most = most
        self._shared = SharedRead(self._read, duty=_OVERVIEW_DUTY, longest_rest=_LONGEST_REST)

    async def memory(self) -> Memory | None:
        """The memory of the fullest server; None if no server reports it."""
        return fullest(await self._calls.info("memory"))

    async def get(self) -> Overview:
        """Raises :class:`BrokerError` when the store does not answer."""
        return await self._shared.get()

    async def sum(self, *, hidden: bool) -> Stats:
        """Sums over all projects that are not hidden, or over all hidden ones; some seconds old."""
        key = self._keys.sum_hidden if hidden else self._keys.sum
        numbers = [int(number or 0) for number in await self._calls.command("HMGET", key, *STATE_FIELDS, *TOTALS)]
        counters = {name: number for name, number in zip(TOTALS, numbers[len(STATES) :], strict=True) if number}
        waiting, verifying, delayed, assigned, failed, *others = numbers[: len(STATES)]
        return Stats(waiting, verifying, delayed, assigned, failed, counters, *others)

    async def _read(self) -> Overview:
        memory = await self.memory()
        total, projects = await self._projects.some_ids("projects", 0, self._most + 1)
        if total > self._most:
            projects = await self._busiest() if self._most else []
        counts: list[ProjectCount] = []
        shown = iter(projects)
        while some := list(islice(shown, _TOGETHER)):
            found = await asyncio.gather(*map(self._count, some))
            counts += (count for count in found if count is not None)
        return Overview(memory, total, counts, await self.sum(hidden=False), await self.sum(hidden=True))

    async def _busiest(self) -> list[Listed]:
        """The busiest projects; if hidden ones are among them, as many that are not hidden as well."""
        best, others = list[Listed](), list[Listed]()
        for page in range(_PAGES):
            _, some = await self._projects.some_ids("busy", page * self._most, self._most)
            best = best or some
            others += (project for project in some if not project.hidden)
            if len(others) >= self._most or len(some) < self._most:
                break
        return list(dict.fromkeys([*best, *others[: self._most]]))

    async def _count(self, project: Listed) -> ProjectCount | None:
        """None if the project was deleted meanwhile."""
        try:
            stats = await self._monitoring.stats(project.id)
        except BrokerError as error:
            if error.code != "not_found":
                raise
            return None
        has_some = stats.waiting or stats.verifying or stats.delayed
        return ProjectCount(
            project, stats, await self._monitoring.oldest(project.id) if has_some else Oldest(None, None)
        )


def _ms(stream_id: str) -> int:
    return int(stream_id.partition("-")[0])
