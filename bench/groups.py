"""What do groups cost the store, and does that stay flat, however many there are? ``python -m bench.groups --help``

Each group has a waiting task; 99 % of the groups rest, 1 % may start. Takes turns with a project of as many tasks
without a group. Straight to an embedded store, as in ``bench.scripts``.
"""

import argparse
import time
from collections.abc import Awaitable, Callable

import uvloop
from redis import Redis

from bench import BenchError, command
from bench.results import Groups, Script
from bench.servers import store
from bench.store_load import Costs, Project, gather, growth, manager
from broker.settings import Settings
from broker.store import open_store
from broker.store.tasks import CHUNK

TASKS_A_GROUP = 0, 100, 5, 1
"""For the memory that a task takes; 0: tasks without a group."""

_RECIPE = 100
"""Bytes, for the same."""

_ROUND = 500
"""Tasks of one round."""

_FREE = 0.01
"""Of the groups."""


class _Polite(Project):
    """A group starts a task each millisecond, by a clock that each get sets forward: ``group_delay`` is so long that
    99 % of the groups rest."""

    now = 0
    """Unix ms."""

    async def begin(self) -> None:
        """Each group has started a task, at a time of its own, and has another that waits; none may start it yet."""
        began, delay = round(time.time() * 1000), round(self.groups * (1 - _FREE))
        await self.store.projects.update(None, self.id, {"group_delay": delay / 1000})
        await self.fill(2 * self.groups)
        together = max(1, min(CHUNK, round(self.groups * _FREE)))

        async def some(already: int) -> None:
            # The last of them start before the first may start again.
            self._set_clock(began + round(already * (1 - 2 * _FREE)))
            await self.release(await super(_Polite, self).assign(together))

        await gather(map(some, range(0, self.groups, together)), in_flight=4)
        self._set_clock(began + delay - 1)

    async def free_some(self) -> None:
        """The time of the first 1 % has come."""
        self._set_clock(self.now + round(self.groups * _FREE))
        while (await self.store.tasks.promote(self.id, CHUNK))[0]:
            pass

    async def assign(self, count: int) -> list[int]:
        self._set_clock(self.now + count)
        return await super().assign(count)

    def _set_clock(self, now: int) -> None:
        self.now = now
        self.store.set_clock(now)


Costly = dict[str, Script]


async def measure(
    settings: Settings, redis: Redis, groups: int, seconds: float
) -> tuple[Costly, Costly, dict[str, float]]:
    """What each call costs with so many groups, and with as many tasks without a group; and the memory of a group."""
    opened = open_store(settings)
    try:
        account = await manager(opened, redis)
        polite = await _Polite.create(opened, account, groups=groups)
        plain, empty = await Project.create(opened, account), await Project.create(opened, account)
        began = time.monotonic()
        await polite.begin()
        await plain.fill(groups)
        command.say(f"  {groups:,} groups, in {time.monotonic() - began:.1f} s")
        with_groups, without = Costs(redis), Costs(redis)
        await _repeat(seconds / 4, lambda: _none(with_groups, polite), lambda: _none(without, empty))
        await polite.free_some()
        entries = _entries(redis, polite)
        await _repeat(seconds, lambda: _round(with_groups, polite), lambda: _round(without, plain))
    finally:
        await opened.close()
    for name, script in with_groups.scripts.items():
        each, plainly = script.each(), without.scripts[name].each()
        command.say(f"    {name:<12} {each:>6.1f} us, without groups {plainly:>6.1f}: {each / plainly:.2f}")
    return with_groups.scripts, without.scripts, entries


async def _repeat(seconds: float, *turns: Callable[[], Awaitable[None]]) -> None:
    """Runs each in turn, at least once, until the seconds are over."""
    until = time.monotonic() + seconds
    while True:
        for turn in turns:
            await turn()
        if time.monotonic() >= until:
            return


async def _none(costs: Costs, project: Project) -> None:
    """Gets that find nothing."""
    found = await costs.measure("assign none", (Project.assign(project, 1) for _ in range(_ROUND)))
    if any(found):
        raise BenchError("a get found a task where none may start")


async def _round(costs: Costs, project: Project) -> None:
    """Submits, assigns and releases, one by one and by a hundred: as many tasks wait as before."""
    for size in (1, 100):
        count = _ROUND // size
        await costs.measure(f"submit {size}", (project.submit(size) for _ in range(count)), _ROUND)
        taken = await costs.measure(f"assign {size}", (project.assign(size) for _ in range(count)), _ROUND)
        if sum(map(len, taken)) != _ROUND:
            raise BenchError("a get did not find what may start")
        await costs.measure(f"release {size}", map(project.release, taken), _ROUND)


def _entries(redis: Redis, project: Project) -> dict[str, float]:
    """Bytes, by the store: of a group with a waiting task that rests, with a name of 19 bytes."""
    base, _ = project.store.keys.project(project.id)

    def member(name: str) -> float:
        key = f"{base}:{name}"
        return round(int(redis.memory_usage(key, samples=0) or 0) / max(1, redis.zcard(key)), 1)

    wait = next(redis.scan_iter(f"{base}:wait:*", count=CHUNK))
    return {"ticket": member("ready"), "due entry": member("due"), "wait key": float(redis.memory_usage(wait) or 0)}


async def memory(settings: Settings, redis: Redis, each: int, tasks: int) -> float:
    """Bytes that a queued task takes, with a hash and a recipe of 100 bytes, and so many tasks in a group."""
    groups = -(-tasks // each) if each else 0
    bytes_each = await growth(settings, redis, tasks, lambda project: project.fill(tasks, _RECIPE), groups=groups)
    command.say(f"  {f'in groups of {each}' if each else 'without a group'}: {bytes_each:.0f} bytes a task")
    return bytes_each


def main() -> int:
    parser = command.parser("bench.groups", __doc__, seconds=5.0)
    parser.add_argument(
        "--groups",
        type=int,
        nargs="+",
        default=[1_000, 100_000, 1_000_000],
        metavar="N",
        help="1,000 or more (default: 1000 100000 1000000)",
    )
    parser.add_argument(
        "--memory-tasks", type=int, default=1_000_000, metavar="N", help="whose memory is measured (default: 1000000)"
    )
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Groups:
    sizes, plain, used = {}, {}, {}
    entries: dict[str, float] = {}
    # Each in a store of its own: memory that another has left behind would be counted.
    for groups in arguments.groups:
        with store() as (settings, redis):
            measured = uvloop.run(measure(settings, redis, groups, arguments.seconds))
        sizes[str(groups)], plain[str(groups)], entries = measured
    for each in TASKS_A_GROUP:
        with store() as (settings, redis):
            used[str(each)] = uvloop.run(memory(settings, redis, each, arguments.memory_tasks))
    return Groups(sizes=sizes, plain=plain, memory=used, entries=entries)


if __name__ == "__main__":
    raise SystemExit(main())
