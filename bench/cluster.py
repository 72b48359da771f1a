"""What does a call cost the store on a cluster, against one server? ``python -m bench.cluster --help``

Submits, gets and releases over projects on all nodes, by the code that the broker calls the scripts with. The same
program and the same settings each time; servers and clusters by turns.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import uvloop
from redis import Redis

from bench import command
from bench.figures import Cluster
from bench.flight import IN_FLIGHT, fly
from bench.yard import Yard
from broker.settings import Settings
from broker.store import open_store
from tests.clusters import a_cluster
from tests.servers import a_server
from tests.serving import until

_PROJECTS = 12
_ROUND = 1_000
"""Tasks that are submitted, taken and released in turn."""

_ROUNDS = 3
"""Of each kind of store."""


async def _work(url: str, ports: list[int], seconds: float) -> float:
    """CPU microseconds of the nodes' main threads a call, each with as many calls in flight."""
    store = open_store(Settings(redis_url=url))
    try:
        manager = (await store.managers.register("bench", "a long password", open_to_all=True)).id
        yards = [await Yard.make(store, manager) for _ in range(_PROJECTS)]
        # Each node has learned the scripts after the first round.
        await _round(yards, IN_FLIGHT)
        used, calls, until = _cpu(ports), 0, time.monotonic() + seconds
        while time.monotonic() < until:
            calls += await _round(yards, IN_FLIGHT * len(ports))
        return (_cpu(ports) - used) * 1e6 / calls
    finally:
        await store.close()


async def _round(yards: list[Yard], lanes: int) -> int:
    """How many calls it took."""
    turns = [yards[n % len(yards)] for n in range(_ROUND)]
    await fly((yard.submit(1) for yard in turns), lanes)
    # Each in its own project: the answers come in no order.
    taken = await fly((_taken(yard) for yard in turns), lanes)
    await fly((yard.release(ids) for yard, ids in taken), lanes)
    return 3 * _ROUND


async def _taken(yard: Yard) -> tuple[Yard, list[int]]:
    return yard, await yard.assign(1)


def _cpu(ports: list[int]) -> float:
    total = 0.0
    for port in ports:
        with Redis(port=port) as node:
            cpu = node.info("cpu")
        total += float(cpu["used_cpu_user_main_thread"]) + float(cpu["used_cpu_sys_main_thread"])
    return total


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, list[int]]]:
    with a_server(folder) as port:
        yield f"redis://127.0.0.1:{port}", [port]


@contextmanager
def _replicated(folder: Path) -> Iterator[tuple[str, list[int]]]:
    with (
        a_server(folder / "primary") as port,
        a_server(folder / "replica", "--replicaof", f"127.0.0.1 {port}") as other,
    ):
        with Redis(port=other) as replica:
            until(lambda: replica.info("replication")["master_link_status"] == "up")
        yield f"redis://127.0.0.1:{port}", [port]


@contextmanager
def _nodes(folder: Path, primaries: int, replicas: int) -> Iterator[tuple[str, list[int]]]:
    with a_cluster(folder, primaries, replicas) as nodes:
        yield nodes.url, [node.port for node in nodes.primaries]


_STORES: dict[str, Callable[[Path], AbstractContextManager[tuple[str, list[int]]]]] = {
    "one server": _server,
    "one server, with a replica": _replicated,
    "a cluster of one node": partial(_nodes, primaries=1, replicas=0),
    "of three": partial(_nodes, primaries=3, replicas=0),
    "of three, with a replica each": partial(_nodes, primaries=3, replicas=1),
}


def main() -> int:
    return command.run(_ask, command.parser("bench.cluster", __doc__, seconds=4.0).parse_args())


def _ask(arguments: argparse.Namespace) -> Cluster:
    made = Cluster({name: [] for name in _STORES})
    with tempfile.TemporaryDirectory(prefix="broker-bench-") as folder:
        for turn in range(_ROUNDS):
            for name, store in _STORES.items():
                with store(Path(folder) / f"{turn} {name}") as (url, ports):
                    cost = uvloop.run(_work(url, ports, arguments.seconds))
                made.costs[name].append(round(cost, 2))
                command.say(f"  {name:<30} {cost:.1f} us a call")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
