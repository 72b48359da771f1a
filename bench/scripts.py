"""What does each script cost the store, alone, with few tasks queued and with many? ``python -m bench.scripts --help``

Straight to an embedded store, over its socket, by the code that the broker calls them with; 32 calls in flight.
With ``--against``, the scripts of this checkout and of another by turns: what has a change saved?
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import uvloop
from redis import Redis

from bench import BenchError, command, results
from bench.results import ROOT, Script, Scripts
from bench.servers import environment, settle, store
from bench.store_load import Costs, Project
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

_TURNS = 3
"""Of each checkout, when two are compared."""

_DAY = 86_400_000
"""Milliseconds."""


async def measure(settings: Settings, redis: Redis, queued: int, seconds: float) -> dict[str, Script]:
    """Every script on a project with so many tasks: the hot ones in rounds, then the others."""
    opened = open_store(settings)
    try:
        manager = await _manager(opened, redis)
        project, empty = await Project.create(opened, manager), await Project.create(opened, manager)
        began = time.monotonic()
        await project.fill(queued)
        command.say(f"  {queued:,} tasks queued, in {time.monotonic() - began:.1f} s")
        costs, until = Costs(redis), time.monotonic() + seconds
        while not costs.scripts or time.monotonic() < until:
            await _round(costs, project, empty, _ROUND)
        short, until = Costs(redis), time.monotonic() + seconds
        while not short.scripts or time.monotonic() < until:
            await _round(short, project, empty, _SHORT_ROUND)
        for name, script in short.scripts.items():
            costs.scripts[name].take_worst(script)
        await _others(costs, project, queued)
    finally:
        await opened.close()
    for name, script in costs.scripts.items():
        command.say(f"    {name:<14} {_line(script)}")
    return costs.scripts


async def _round(costs: Costs, project: Project, empty: Project, tasks: int) -> None:
    """Submits, assigns and releases one by one, by a hundred and by 500: as many tasks wait as before."""
    for size in (1, 100, CHUNK):
        count = max(1, tasks // size)
        await costs.measure(f"submit {size}", (project.submit(size) for _ in range(count)), count * size)
        taken = await costs.measure(f"assign {size}", (project.assign(size) for _ in range(count)), count * size)
        await costs.measure(f"release {size}", map(project.release, taken), count * size)
    await costs.measure("assign none", (empty.assign(1) for _ in range(tasks)))


async def _others(costs: Costs, project: Project, queued: int) -> None:
    """What sweeps, shows and maintains a project. The last of them empties it."""
    opened, tasks = project.store, project.store.tasks

    async def repeat(name: str, call: Callable[[], Awaitable[object]], about: int = 0, times: int = _STEPS) -> None:
        for _ in range(times):
            await costs.measure(name, [call()], about)

    await repeat("due", lambda: tasks.due(project.id))
    await repeat("stats", lambda: opened.monitoring.stats(project.id))
    await repeat("snapshot", lambda: opened.monitoring.take_snapshot(project.id))
    await repeat(
        "tasks_list 100", lambda: opened.project_tasks.page(project.id, "queue", queued // 2, 100, longest=100)
    )
    ids = await project.assign(CHUNK)
    await repeat("extend 500", lambda: tasks.extend(project.id, project.worker, ids, 60), CHUNK)
    await repeat("held 500", lambda: tasks.held(project.id, project.worker, "0", CHUNK))
    tasks.now = str(round(time.time() * 1000) + _DAY)
    await repeat("reclaim 100", lambda: tasks.reclaim(project.id, 100), 100, CHUNK // 100)
    tasks.now = ""
    await repeat("drain_begin", lambda: opened.maintenance.begin_drain(project.id, "hard_reset"), times=1)
    steps = max(1, min(_STEPS, queued // CHUNK))
    await repeat("drain_step 500", lambda: opened.maintenance.drain(project.id, CHUNK), CHUNK, steps)


async def memory(settings: Settings, redis: Redis, recipe: int, tasks: int) -> float:
    """Bytes that a queued task takes, with a hash and a recipe of so many bytes."""
    opened = open_store(settings)
    try:
        project = await Project.create(opened, await _manager(opened, redis))
        before = _used(redis)
        await project.fill(tasks, recipe)
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
    return (
        f"{script.calls:>7,} calls: script {script.alone():>7.1f}, whole server {script.each():>7.1f} us "
        f"{'a task' if script.tasks else 'a call'}; a call at worst {script.own_worst_us:>8,.0f} us"
    )


def against(checkout: Path, queued: int, seconds: float) -> None:
    """Prints what each script costs here and there, and the ratio, the median over turns."""
    turns = []
    for turn in range(1, _TURNS + 1):
        here, there = _measured_in(ROOT, queued, seconds), _measured_in(checkout, queued, seconds)
        turns.append((here, there))
        command.say(f"  turn {turn} of {_TURNS}")
    print(f"CPU of the store, us a task or call, {queued:,} queued; there: {checkout}")
    print(f"{'script':<16}{'here':>8}{'there':>8}{'ratio':>8}{'  the script alone':>18}")
    for name in turns[0][0]:
        if name not in turns[0][1]:
            print(f"{name:<16}{median(here[name].each() for here, _ in turns):>8.1f}{'-':>8}")
            continue
        costs = [(here[name], there[name]) for here, there in turns]
        here_us, there_us = (median(pair[side].each() for pair in costs) for side in (0, 1))
        ratio = median(here.each() / there.each() for here, there in costs)
        alone = median(here.alone() / there.alone() for here, there in costs)
        print(f"{name:<16}{here_us:>8.1f}{there_us:>8.1f}{ratio:>8.2f}{alone:>18.2f}")


def _measured_in(checkout: Path, queued: int, seconds: float) -> dict[str, Script]:
    """By the bench of that checkout, which knows how to call its scripts."""
    with tempfile.TemporaryDirectory(prefix="broker-bench-") as folder:
        options = ["--seconds", str(seconds), "--queued", str(queued), "--memory-tasks", "1", "--results", folder]
        asked = [sys.executable, "-m", "bench.scripts", *options]
        done = subprocess.run(
            asked, cwd=checkout, env=environment(checkout), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"bench.scripts of {checkout}: {done.stderr.strip().rpartition(chr(10))[2]}")
        made = results.load(results.newest(Path(folder))).scripts
    return made.sizes[str(queued)] if made else {}


def main() -> int:
    parser = command.parser("bench.scripts", __doc__, seconds=5.0)
    parser.add_argument(
        "--queued", type=int, nargs="+", default=[1_000, 1_000_000], metavar="N", help="(default: 1000 1000000)"
    )
    parser.add_argument(
        "--memory-tasks", type=int, default=200_000, metavar="N", help="whose memory is measured (default: %(default)s)"
    )
    parser.add_argument(
        "--against",
        type=command.checkout,
        metavar="FOLDER",
        help="only compare with the scripts of this checkout, with the first number of --queued; keep no results",
    )
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Scripts | None:
    if arguments.against:
        against(arguments.against, arguments.queued[0], arguments.seconds)
        return None
    sizes, used = {}, {}
    # Each in a store of its own: memory that another has left behind would be counted.
    for queued in arguments.queued:
        with store() as (settings, redis):
            sizes[str(queued)] = uvloop.run(measure(settings, redis, queued, arguments.seconds))
    for recipe in RECIPES:
        with store() as (settings, redis):
            used[str(recipe)] = uvloop.run(memory(settings, redis, recipe, arguments.memory_tasks))
    return Scripts(sizes=sizes, memory=used)


if __name__ == "__main__":
    raise SystemExit(main())
