"""What does each script cost the store, alone, with few tasks queued and with many? ``python -m bench.scripts --help``

Straight to an embedded store, over its socket, by the code that the broker calls them with; 32 calls in flight.
"""

import argparse
import time

import uvloop
from redis import Redis

from bench import command
from bench.figures import Script, Scripts
from bench.flight import Scales
from bench.serving import settle, store
from bench.yard import Yard
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.scripts import load
from broker.store.tasks import CHUNK

RECIPES = 30, 100, 300
"""Bytes of a recipe, for the memory that its task takes."""

_ROUND = 1_000
"""Tasks of one round: with few queued, at most so many more are."""

_STEPS = 50
"""Calls of each script that is not hot."""

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
            await _round(scales, yard, empty)
        await _others(scales, yard, queued)
    finally:
        await opened.close()
    for name, script in scales.scripts.items():
        command.say(f"    {name:<14} {_line(script)}")
    return scales.scripts


async def _round(scales: Scales, yard: Yard, empty: Yard) -> None:
    """Submits, assigns and releases one by one, by a hundred and by 500: as many tasks wait as before."""
    for size in (1, 100, CHUNK):
        count = _ROUND // size
        await scales.weigh(f"submit {size}", (yard.submit(size) for _ in range(count)), _ROUND)
        taken = await scales.weigh(f"assign {size}", (yard.assign(size) for _ in range(count)), _ROUND)
        await scales.weigh(f"release {size}", map(yard.release, taken), _ROUND)
    await scales.weigh("assign none", (empty.assign(1) for _ in range(_ROUND)))


async def _others(scales: Scales, yard: Yard, queued: int) -> None:
    """What sweeps, shows and maintains a project. The last of them empties it."""
    tasks, project = yard.store.tasks, yard.project
    await scales.weigh("due", (tasks.due(project) for _ in range(_STEPS)))
    await scales.weigh("stats", (tasks.stats(project) for _ in range(_STEPS)))
    await scales.weigh("snapshot", (yard.store.snapshots.take(project) for _ in range(_STEPS)))
    await scales.weigh(
        "tasks_list 100", (tasks.page(project, "queue", queued // 2, 100, longest=100) for _ in range(_STEPS))
    )
    ids = await yard.assign(CHUNK)
    await scales.weigh(
        "extend 500", (tasks.extend(project, yard.worker, ids, 60) for _ in range(_STEPS)), CHUNK * _STEPS
    )
    await scales.weigh("held 500", (tasks.held(project, yard.worker, "0", CHUNK) for _ in range(_STEPS)))
    tasks.now = str(round(time.time() * 1000) + _DAY)
    await scales.weigh("reclaim 100", (tasks.reclaim(project, 100) for _ in range(CHUNK // 100)), CHUNK)
    tasks.now = ""
    await scales.weigh("drain_begin", [tasks.begin_drain(project, "hard_reset")])
    steps = max(1, min(_STEPS, queued // CHUNK))
    await scales.weigh("drain_step 500", (tasks.drain(project, CHUNK) for _ in range(steps)), CHUNK * steps)


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
    """The first account of a store that is empty again, and knows all scripts."""
    redis.flushall()
    for script in load().values():
        redis.script_load(script.source)
    return await opened.managers.register("bench", "a long password", open_to_all=True)


def _used(redis: Redis) -> int:
    """Bytes, without what waits to be written to the append-only file."""
    settle(redis)
    seen = redis.info("memory")
    return int(seen["used_memory"] - seen["mem_aof_buffer"])


def _line(script: Script) -> str:
    each = script.script_us / (script.tasks or script.calls)
    return (
        f"{script.calls:>7,} calls: script {each:>7.1f}, whole server {script.each():>7.1f} us "
        f"{'a task' if script.tasks else 'a call'}; a call at worst {script.worst_us:>8,.0f} us"
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
    with store() as (settings, redis):
        sizes = {
            str(queued): uvloop.run(weigh(settings, redis, queued, arguments.seconds)) for queued in arguments.queued
        }
        used = {str(recipe): uvloop.run(memory(settings, redis, recipe, arguments.memory_tasks)) for recipe in RECIPES}
    return Scripts(sizes=sizes, memory=used)


if __name__ == "__main__":
    raise SystemExit(main())
