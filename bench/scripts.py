"""What does each script cost the store, alone, with few tasks queued and with many? ``python -m bench.scripts --help``

Straight to an embedded store, over its socket, by the code that the broker calls them with; 32 calls in flight.
"""

import argparse
import time
from collections.abc import Awaitable, Callable

import uvloop
from redis import Redis

from bench import command
from bench.figures import Script, Scripts
from bench.flight import Scales
from bench.servers import settle, store
from bench.yard import Yard
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.redis.scripts import load
from broker.store.tasks import CHUNK

RECIPES = 30, 100, 300
"""Bytes of a recipe, for the memory that its task takes."""

_ROUND = 1_000
"""Tasks of one round: with few queued, at most so many more are."""

_SHORT_ROUND = 32
"""The same for the slowest call: so short that the store rarely has to wait for a core, even on a busy machine."""

_STEPS = 50
"""Calls of each script that is not hot, one by one."""

_DAY = 86_400_000
"""Milliseconds."""


async def weigh(settings: Settings, redis: Redis, queued: int, seconds: float) -> dict[str, Script]:
    """Every script on a project with so many tasks: the hot ones in rounds, then the others."""
    opened = open_store(settings)
    try:
        manager = await _manager(opened, redis)
        yard, empty = await Yard.make(opened, manager), await Yard.make(opened, manager)
        began = time.monotonic()
        await yard.fill(queued)
        command.say(f"  {queued:,} tasks queued, in {time.monotonic() - began:.1f} s")
        scales, until = Scales(redis), time.monotonic() + seconds
        while not scales.scripts or time.monotonic() < until:
            await _round(scales, yard, empty, _ROUND)
        short, until = Scales(redis), time.monotonic() + seconds
        while not short.scripts or time.monotonic() < until:
            await _round(short, yard, empty, _SHORT_ROUND)
        scales.take_worst(short)
        await _others(scales, yard, queued)
    finally:
        await opened.close()
    for name, script in scales.scripts.items():
        command.say(f"    {name:<14} {_line(script)}")
    return scales.scripts


async def _round(scales: Scales, yard: Yard, empty: Yard, tasks: int) -> None:
    """Submits, assigns and releases one by one, by a hundred and by 500: as many tasks wait as before."""
    for size in (1, 100, CHUNK):
        count = max(1, tasks // size)
        await scales.weigh(f"submit {size}", (yard.submit(size) for _ in range(count)), count * size)
        taken = await scales.weigh(f"assign {size}", (yard.assign(size) for _ in range(count)), count * size)
        await scales.weigh(f"release {size}", map(yard.release, taken), count * size)
    await scales.weigh("assign none", (empty.assign(1) for _ in range(tasks)))


async def _others(scales: Scales, yard: Yard, queued: int) -> None:
    """What sweeps, shows and maintains a project. The last of them empties it."""
    tasks, project = yard.store.tasks, yard.project

    async def repeat(name: str, call: Callable[[], Awaitable[object]], about: int = 0, times: int = _STEPS) -> None:
        for _ in range(times):
            await scales.weigh(name, [call()], about)

    await repeat("due", lambda: tasks.due(project))
    await repeat("stats", lambda: tasks.stats(project))
    await repeat("snapshot", lambda: yard.store.snapshots.take(project))
    await repeat("tasks_list 100", lambda: yard.store.task_views.page(project, "queue", queued // 2, 100, longest=100))
    ids = await yard.assign(CHUNK)
    await repeat("extend 500", lambda: tasks.extend(project, yard.worker, ids, 60), CHUNK)
    await repeat("held 500", lambda: tasks.held(project, yard.worker, "0", CHUNK))
    tasks.now = str(round(time.time() * 1000) + _DAY)
    await repeat("reclaim 100", lambda: tasks.reclaim(project, 100), 100, CHUNK // 100)
    tasks.now = ""
    await repeat("drain_begin", lambda: tasks.begin_drain(project, "hard_reset"), times=1)
    await repeat("drain_step 500", lambda: tasks.drain(project, CHUNK), CHUNK, max(1, min(_STEPS, queued // CHUNK)))


async def memory(settings: Settings, redis: Redis, recipe: int, tasks: int) -> float:
    """Bytes that a queued task takes, with a hash and a recipe of so many bytes."""
    opened = open_store(settings)
    try:
        yard = await Yard.make(opened, await _manager(opened, redis))
        before = _used(redis)
        await yard.fill(tasks, recipe)
        bytes_each = (_used(redis) - before) / tasks
    finally:
        await opened.close()
    command.say(f"  a recipe of {recipe} bytes: {bytes_each:.0f} bytes a task")
    return round(bytes_each, 1)


async def _manager(opened: Store, redis: Redis) -> int:
    """The first account of a store, which learns all scripts."""
    for script in load().values():
        redis.script_load(script.source)
    return (await opened.managers.register("bench", "a long password", open_to_all=True)).id


def _used(redis: Redis) -> int:
    """Bytes, without what waits to be written to the append-only file."""
    settle(redis)
    seen = redis.info("memory")
    return int(seen["used_memory"] - seen["mem_aof_buffer"])


def _line(script: Script) -> str:
    each = script.script_us / (script.tasks or script.calls)
    return (
        f"{script.calls:>7,} calls: script {each:>7.1f}, whole server {script.each():>7.1f} us "
        f"{'a task' if script.tasks else 'a call'}; a call at worst {script.own_worst_us:>8,.0f} us"
    )


def main() -> int:
    parser = command.parser("bench.scripts", __doc__, seconds=5.0)
    parser.add_argument(
        "--queued", type=int, nargs="+", default=[1_000, 1_000_000], metavar="N", help="(default: 1000 1000000)"
    )
    parser.add_argument(
        "--memory-tasks", type=int, default=200_000, metavar="N", help="whose memory is measured (default: %(default)s)"
    )
    return command.run(_ask, parser.parse_args())


def _ask(arguments: argparse.Namespace) -> Scripts:
    sizes, used = {}, {}
    # Each in a store of its own: memory that another has left behind would be counted.
    for queued in arguments.queued:
        with store() as (settings, redis):
            sizes[str(queued)] = uvloop.run(weigh(settings, redis, queued, arguments.seconds))
    for recipe in RECIPES:
        with store() as (settings, redis):
            used[str(recipe)] = uvloop.run(memory(settings, redis, recipe, arguments.memory_tasks))
    return Scripts(sizes=sizes, memory=used)


if __name__ == "__main__":
    raise SystemExit(main())
