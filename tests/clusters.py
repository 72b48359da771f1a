"""Redis Clusters of this machine, made of the embedded store's program."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from broker.store.redis.embedded import binary
from tests.servers import AS_ADVISED, running, until_it_answers
from tests.serving import free_port, until

SLOTS = 16384


@dataclass
class Node:
    port: int
    bus: int
    process: "subprocess.Popen[bytes]"

    def client(self) -> Any:
        return Redis(port=self.port, decode_responses=True)

    def ask(self, *command: object) -> Any:
        with self.client() as client:
            return client.execute_command(*command)

    @property
    def id(self) -> str:
        return str(self.ask("CLUSTER", "MYID"))

    def knows(self, count: int) -> bool:
        """Whether it sees so many nodes, and all slots served."""
        with self.client() as client:
            info = client.cluster("info")
        return (info["cluster_known_nodes"], info["cluster_state"]) == (str(count), "ok")

    def follows(self) -> bool:
        """Whether it has its primary's data."""
        with self.client() as client:
            return bool(client.info("replication").get("master_link_status") == "up")


@dataclass
class Nodes:
    primaries: list[Node]
    replicas: list[Node]

    @property
    def all(self) -> list[Node]:
        return [*self.primaries, *self.replicas]

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.primaries)}"

    def owner(self, slot: int, told_by: Node) -> Node:
        for first, last, primary, *_ in told_by.ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.all if node.port == primary[1])
        raise AssertionError(f"nobody has slot {slot}")


@contextmanager
def a_cluster(folder: Path, primaries: int, replicas: int, node_timeout: float = 15) -> Iterator[Nodes]:
    """``replicas``: 0, or 1 for each primary; a node silent for ``node_timeout`` seconds is dead for the others."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(_a_node(folder / str(n), node_timeout)) for n in range(primaries * (1 + replicas))
        ]
        nodes = Nodes(started[:primaries], started[primaries:])
        share = -(-SLOTS // primaries)
        for n, node in enumerate(nodes.primaries):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", n * share, min((n + 1) * share, SLOTS) - 1)
        for node in started[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", started[0].port, started[0].bus)
        until(lambda: all(node.knows(len(started)) for node in started))
        for primary, replica in zip(nodes.primaries, nodes.replicas, strict=False):
            replica.ask("CLUSTER", "REPLICATE", primary.id)
        until(lambda: all(node.follows() and node.knows(len(started)) for node in nodes.replicas))
        yield nodes


@contextmanager
def _a_node(folder: Path, timeout: float) -> Iterator[Node]:
    port, bus = free_port(), free_port()
    as_node = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(round(timeout * 1000))]
    where = ["--port", str(port), "--cluster-port", str(bus)]
    with running([binary(), *AS_ADVISED, *as_node, *where], folder) as process:
        until_it_answers(f"redis://127.0.0.1:{port}")
        yield Node(port, bus, process)
