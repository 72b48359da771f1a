"""The pipeline for a Redis Cluster: each node has its own pipeline, and a key's slot decides which is used.

A node that answers MOVED has done nothing: the command is sent to the node that it names. While a slot is migrated key
by key, its nodes answer ASK or TRYAGAIN. Following ASK would end at TRYAGAIN, because a script's guard never exists
(lua/README.md), so these are raised like other errors. When a node fails or answers MOVED, the slot map is read again.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ClusterError, ConnectionError, ResponseError

from broker.redis_url import joined
from broker.store.redis.pipeline import Pipeline
from broker.store.redis.scripts import key_of

_MOVES = 5
"""How often one command is sent on to another node."""

_PAUSE = 0.1
"""Minimum seconds between two reads of the slot map."""

_ASKED = 5
"""Nodes that are asked for the slot map at once; the first answer counts."""

Slots = list[tuple[int, int, list[str]]]
"""First and last slot of each range, and its nodes as HOST:PORT, the primary first."""


class Cluster:
    def __init__(self, seeds: Sequence[str], open_node: Callable[[str], Pipeline]) -> None:
        """``seeds``: HOST:PORT of some nodes; the others are found through them."""
        self._seeds = list(seeds)
        self._known = self._seeds
        self._open_node = open_node
        self._pipelines: dict[str, Pipeline] = {}
        self._owners = [""] * REDIS_CLUSTER_HASH_SLOTS
        self._reading: asyncio.Task[None] | None = None
        self._next_reading = 0.0

    async def execute_command(self, *command: str | int | float) -> Any:
        """The reply to a script or a plain command, from the node of its key. Raises :class:`ClusterError` as well."""
        slot = _slot(key_of(command))
        for _ in range(_MOVES):
            node = self._owners[slot] or await self._owner(slot)
            try:
                return await self._ask(node, *command)
            except ResponseError as error:
                word, _, target = str(error).partition(" ")
                if word == "CLUSTERDOWN":
                    self._read(doubted=node)
                if word != "MOVED":
                    raise
                self._owners[slot] = _target(target, node)
                self._read()
        raise ClusterError("the nodes of the cluster do not agree on which node has a slot")

    async def new_connection(self) -> AbstractConnection:
        """An open connection to any node."""
        return await self._pipeline(random.sample(self._known, 1)[0]).new_connection()

    async def everywhere(self, *command: str | int | float) -> list[Any]:
        """The replies of all primaries."""
        if not any(self._owners):
            await asyncio.shield(self._read())
        primaries = sorted({*self._owners} - {""})
        return await asyncio.gather(*(self._ask(node, *command) for node in primaries))

    async def aclose(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        await asyncio.gather(*(pipeline.aclose() for pipeline in self._pipelines.values()))

    async def _ask(self, node: str, *command: str | int | float) -> Any:
        try:
            return await self._pipeline(node).execute_command(*command)
        except ResponseError:
            raise
        except Exception:
            self._read(doubted=node)
            raise

    def _pipeline(self, node: str) -> Pipeline:
        found = self._pipelines.get(node)
        if found is None:
            found = self._pipelines[node] = self._open_node(node)
        return found

    async def _owner(self, slot: int) -> str:
        await asyncio.shield(self._read())
        if not self._owners[slot]:
            raise ClusterError("no node of the cluster serves this slot")
        return self._owners[slot]

    def _read(self, doubted: str = "") -> "asyncio.Task[None]":
        """Reads the slot map, once for simultaneous callers; ``doubted`` is not asked if others are known."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_map(doubted))
            self._reading.add_done_callback(self._was_read)
        return self._reading

    def _was_read(self, reading: "asyncio.Task[None]") -> None:
        self._reading = None
        if not reading.cancelled():
            # Those who wait for it get its error; perhaps nobody does.
            reading.exception()

    async def _read_map(self, doubted: str) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._next_reading - clock())
        self._next_reading = clock() + _PAUSE
        nodes = [node for node in self._known if node != doubted] or self._known
        asked = random.sample(nodes, min(len(nodes), _ASKED))
        slots = await _first([asyncio.create_task(self._slots_of(node)) for node in asked])
        self._owners = [""] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, its in slots:
            self._owners[first : last + 1] = [its[0]] * (last + 1 - first)
        self._known = sorted({*self._seeds, *(node for _, _, its in slots for node in its)})
        for node in self._pipelines.keys() - self._known:
            if self._pipelines[node].idle:
                await self._pipelines.pop(node).aclose()

    async def _slots_of(self, node: str) -> Slots:
        reply = await self._pipeline(node).execute_command("CLUSTER", "SLOTS")
        return [
            (first, last, [_target(joined(host or "", port), node) for host, port, *_ in nodes])
            for first, last, *nodes in reply
        ]


async def _first(asking: "Sequence[asyncio.Task[Slots]]") -> Slots:
    """The first slot map that comes. Raises the last error if none does."""
    error: Exception = ConnectionError("no node of the cluster answers")
    try:
        for answer in asyncio.as_completed(asking):
            try:
                return await answer
            except Exception as failed:
                error = failed
        raise error
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


@lru_cache(4096)
def _slot(key: str) -> int:
    return key_slot(key.encode())


def _target(text: str, told_by: str) -> str:
    """HOST:PORT from ``[SLOT ]HOST:PORT``; without a host, it is the host of the node that answered."""
    host, _, port = text.rpartition(" ")[2].rpartition(":")
    host = host.strip("[]")
    return joined(host, port) if host not in {"", "?"} else f"{told_by.rpartition(':')[0]}:{port}"
