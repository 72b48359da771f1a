"""What does a call cost the store on a cluster, against one server? ``python -m bench.cluster --help``

Submits, gets and releases in projects on all nodes, with the broker's own code that calls the scripts. The same
program and the same settings each time; servers and clusters by turns.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import uvloop
from redis import Redis

from bench import command
from bench.results import Cluster
from bench.store_load import IN_FLIGHT, Project, gather, main_thread_cpu
from broker.settings import Settings
from broker.store import open_store
from tests.clusters import a_cluster
from tests.servers import a_server
from tests.serving import until

_PROJECTS = 12
_ROUND = 1_000
"""Tasks of a round: submitted, assigned and released."""

_ROUNDS = 3
"""Of each kind of store."""


async def measure(url: str, ports: list[int], seconds: float) -> float:
    """CPU microseconds that a call costs the nodes' main threads, with the same number of calls in flight on each."""
    store = open_store(Settings(redis_url=url))
    try:
        manager = (await store.managers.register("bench", "a long password", open_to_all=True)).id
        projects = [await Project.create(store, manager) for _ in range(_PROJECTS)]
        # Each node has learned the scripts after the first round.
        await _round(projects, IN_FLIGHT)
        used, calls, until = _cpu(ports), 0, time.monotonic() + seconds
        while time.monotonic() < until:
            calls += await _round(projects, IN_FLIGHT * len(ports))
        return (_cpu(ports) - used) * 1e6 / calls
    finally:
        await store.close()


async def _round(projects: list[Project], in_flight: int) -> int:
    """How many calls it took."""
    turns = [projects[n % len(projects)] for n in range(_ROUND)]
    await gather((project.submit(1) for project in turns), in_flight)
    # Each in its own project, since answers come in any order.
    taken = await gather((_taken(project) for project in turns), in_flight)
    await gather((project.release(ids) for project, ids in taken), in_flight)
    return 3 * _ROUND


async def _taken(project: Project) -> tuple[Project, list[int]]:
    return project, await project.assign(1)


def _cpu(ports: list[int]) -> float:
    return sum(main_thread_cpu(Redis(port=port)) for port in ports)


@contextmanager
def _server(folder: Path, *, replicated: bool = False) -> Iterator[tuple[str, list[int]]]:
    with ExitStack() as stack:
        port = stack.enter_context(a_server(folder / "primary"))
        if replicated:
            other = stack.enter_context(a_server(folder / "replica", "--replicaof", f"127.0.0.1 {port}"))
            with Redis(port=other) as replica:
                until(lambda: replica.info("replication")["master_link_status"] == "up")
        yield f"redis://127.0.0.1:{port}", [port]


@contextmanager
def _nodes(folder: Path, primaries: int, replicas: int) -> Iterator[tuple[str, list[int]]]:
    with a_cluster(folder, primaries, replicas) as nodes:
        yield nodes.url, [node.port for node in nodes.primaries]


_STORES: dict[str, Callable[[Path], AbstractContextManager[tuple[str, list[int]]]]] = {
    "one server": _server,
    "one server, with a replica": partial(_server, replicated=True),
    "a cluster of one node": partial(_nodes, primaries=1, replicas=0),
    "of three": partial(_nodes, primaries=3, replicas=0),
    "of three, with a replica each": partial(_nodes, primaries=3, replicas=1),
}


def main() -> int:
    return command.run(_ask, command.parser("bench.cluster", __doc__, seconds=4.0))


def _ask(arguments: argparse.Namespace) -> Cluster:
    made = Cluster({name: [] for name in _STORES})
    with tempfile.TemporaryDirectory(prefix="broker-bench-") as folder:
        for turn in range(_ROUNDS):
            for name, store in _STORES.items():
                with store(Path(folder) / f"{turn} {name}") as (url, ports):
                    cost = uvloop.run(measure(url, ports, arguments.seconds))
                made.costs[name].append(round(cost, 2))
                command.say(f"  {name:<30} {cost:.1f} us a call")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
