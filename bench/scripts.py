"""What does each script cost the store, alone, with few tasks queued and with many? ``python -m bench.scripts --help``

Sent to an embedded store over its socket, with the broker's own code that calls scripts; 32 calls in flight.
With ``--against``, this checkout and another take turns: what has a change saved?
"""

import argparse
import contextlib
import math
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import mean

import msgspec
import uvloop
from redis import Redis

from bench import BenchError, command
from bench.results import ROOT, Script, Scripts
from bench.servers import environment, store
from bench.store_load import Costs, Project, growth, manager
from broker.settings import Settings
from broker.store import open_store
from broker.store.tasks import CHUNK

RECIPES = 30, 100, 300
"""Bytes of a recipe, for the memory that its task takes."""

REMEMBERED = {"for ever": -1, "for a time": 864_000}
"""Values of remember_closed, for the memory that the hash of a closed task takes."""

_ROUND = 1_000
"""Tasks of one round: with few queued, at most so many more are."""

_SHORT_ROUND = 32
"""The same for the slowest call: so short that the store rarely has to wait for a core, even on a busy machine."""

_STEPS = 50
"""Calls of each script that is not hot, one by one."""

_STORES, _TURN, _TURN_STEPS = 6, 256, 4
"""Of each of two checkouts that are compared: fresh stores, and the tasks and steps of one turn, so few that there are
many turns."""

_ROUNDS = 2.5
"""For each of ``--seconds``, of two turns of either checkout: a busy machine makes them last longer, not fewer."""

_CHEAPEST = 0.25
"""Of all turns: those in which other programs disturbed least. Either checkout has had as many chances of them."""

_DAY = 86_400_000
"""Milliseconds."""


async def measure(settings: Settings, redis: Redis, queued: int, seconds: float) -> dict[str, Script]:
    """Every script on a project with so many tasks: the hot ones in rounds, then the others."""
    opened = open_store(settings)
    try:
        account = await manager(opened, redis)
        project, empty = await Project.create(opened, account), await Project.create(opened, account)
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
        await _others(costs, project, queued, _STEPS)
        await _drain(costs, project, queued)
    finally:
        await opened.close()
    for name, script in costs.scripts.items():
        command.say(f"    {name:<14} {_line(script)}")
    return costs.scripts


async def take_turns(settings: Settings, redis: Redis, queued: int) -> None:
    """What :func:`against` asks of each checkout: a line on stdin is a turn, and its costs are the answer."""
    opened = open_store(settings)
    try:
        account = await manager(opened, redis)
        project, empty, drained = [await Project.create(opened, account) for _ in range(3)]
        await project.fill(queued)
        for _ in sys.stdin:
            costs = Costs(redis)
            await _round(costs, project, empty, _TURN)
            await _others(costs, project, queued, _TURN_STEPS)
            await drained.fill(_TURN_STEPS * CHUNK)
            await _drain(costs, drained, _TURN_STEPS * CHUNK)
            print(msgspec.json.encode(costs.scripts).decode(), flush=True)
    finally:
        await opened.close()


async def _round(costs: Costs, project: Project, empty: Project, tasks: int) -> None:
    """Submits, assigns and releases one by one, by a hundred and by 500: as many tasks wait as before."""
    for size in (1, 100, CHUNK):
        count = max(1, tasks // size)
        await costs.measure(f"submit {size}", (project.submit(size) for _ in range(count)), count * size)
        taken = await costs.measure(f"assign {size}", (project.assign(size) for _ in range(count)), count * size)
        await costs.measure(f"release {size}", map(project.release, taken), count * size)
    await costs.measure("assign none", (empty.assign(1) for _ in range(tasks)))


async def _others(costs: Costs, project: Project, queued: int, times: int) -> None:
    """Scripts that sweep and show a project: as many tasks wait as before."""
    opened, tasks = project.store, project.store.tasks

    async def repeat(name: str, call: Callable[[], Awaitable[object]], about: int = 0, times: int = times) -> None:
        for _ in range(times):
            await costs.measure(name, [call()], about)

    await repeat("due", lambda: opened.active.due(project.id))
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


async def _drain(costs: Costs, project: Project, queued: int) -> None:
    """Empties a project."""
    maintenance = project.store.maintenance
    await costs.measure("drain_begin", [maintenance.begin_drain(project.id, "hard_reset")])
    for _ in range(max(1, min(_STEPS, queued // CHUNK))):
        await costs.measure("drain_step 500", [maintenance.drain(project.id, CHUNK)], CHUNK)


async def memory(settings: Settings, redis: Redis, recipe: int, tasks: int) -> float:
    """Bytes that a queued task takes, with a hash and a recipe of so many bytes."""
    bytes_each = await growth(settings, redis, tasks, lambda project: project.fill(tasks, recipe))
    command.say(f"  a recipe of {recipe} bytes: {bytes_each:.0f} bytes a task")
    return bytes_each


async def remembered(settings: Settings, redis: Redis, how_long: str, tasks: int) -> float:
    """Bytes that are left of a closed task: its hash."""
    bytes_each = await growth(
        settings, redis, tasks, lambda project: project.close(tasks), remember_closed=REMEMBERED[how_long]
    )
    command.say(f"  a hash that is remembered {how_long}: {bytes_each:.1f} bytes")
    return bytes_each


def _line(script: Script) -> str:
    return (
        f"{script.calls:>7,} calls: script {script.alone():>7.1f}, whole server {script.each():>7.1f} us "
        f"{'a task' if script.tasks else 'a call'}; a call at worst {script.own_worst_us:>8,.0f} us"
    )


def against(checkout: Path, queued: int, seconds: float) -> None:
    """Prints what each script costs here and there, and the ratios."""
    here: list[dict[str, Script]] = []
    there: list[dict[str, Script]] = []
    # With less than a second, for a first look: fewer stores, since a start takes longer than the turns.
    stores = min(_STORES, math.ceil(seconds * _STORES))
    for number in range(stores):
        with _Turns(ROOT, queued) as ours, _Turns(checkout, queued) as theirs:
            # In both orders, so that what changes steadily changes both alike. The first turns warm up.
            order = ((ours, here), (theirs, there), (theirs, there), (ours, here))
            for turns, _ in order:
                turns.take()
            for _ in range(max(1, round(seconds * _ROUNDS))):
                for turns, taken in order:
                    taken.append(turns.take())
        command.say(f"  {number + 1} of {stores} stores")
    print(f"CPU of the store, us a task or call, {queued:,} queued; there: {checkout}")
    print(f"{'script':<16}{'here':>8}{'there':>8}{'ratio':>8}{'  the script alone':>18}")
    for name in here[0]:
        each = _least(here, name, Script.each)
        if name not in there[0]:
            print(f"{name:<16}{each:>8.1f}{'-':>8}")
            continue
        other = _least(there, name, Script.each)
        alone = _least(here, name, Script.alone) / _least(there, name, Script.alone)
        print(f"{name:<16}{each:>8.1f}{other:>8.1f}{each / other:>8.2f}{alone:>18.2f}")


def _least(turns: list[dict[str, Script]], name: str, cost: Callable[[Script], float]) -> float:
    """The mean of the cheapest turns."""
    costs = sorted(cost(turn[name]) for turn in turns)
    return mean(costs[: max(1, round(len(costs) * _CHEAPEST))])


class _Turns(subprocess.Popen[str]):
    """``bench.scripts --turns`` of a checkout, by its own bench: that knows how to call its scripts."""

    def __init__(self, checkout: Path, queued: int) -> None:
        asked = [sys.executable, "-m", "bench.scripts", "--turns", "--queued", str(queued)]
        pipe = subprocess.PIPE
        super().__init__(
            asked, cwd=checkout, env=environment(checkout), stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        self._checkout = checkout

    def take(self) -> dict[str, Script]:
        answer = ""
        if self.stdin and self.stdout:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.write("\n")
                self.stdin.flush()
            answer = self.stdout.readline()
        if not answer:
            last = self.communicate()[1].strip().rpartition("\n")[2]
            raise BenchError(f"bench.scripts of {self._checkout}: {last}")
        return msgspec.json.decode(answer, type=dict[str, Script])


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
    parser.add_argument("--turns", action="store_true", help=argparse.SUPPRESS)
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Scripts | None:
    if arguments.against:
        against(arguments.against, arguments.queued[0], arguments.seconds)
        return None
    if arguments.turns:
        with store() as (settings, redis):
            uvloop.run(take_turns(settings, redis, arguments.queued[0]))
        return None
    sizes, used, hashes = {}, {}, {}
    # Each in a store of its own: memory that another has left behind would be counted.
    for queued in arguments.queued:
        with store() as (settings, redis):
            sizes[str(queued)] = uvloop.run(measure(settings, redis, queued, arguments.seconds))
    for recipe in RECIPES:
        with store() as (settings, redis):
            used[str(recipe)] = uvloop.run(memory(settings, redis, recipe, arguments.memory_tasks))
    for how_long in REMEMBERED:
        with store() as (settings, redis):
            hashes[how_long] = uvloop.run(remembered(settings, redis, how_long, arguments.memory_tasks))
    return Scripts(sizes=sizes, memory=used, remembered=hashes)


if __name__ == "__main__":
    raise SystemExit(main())
