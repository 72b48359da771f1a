"""Who used how much CPU while something was measured."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError
from bench.servers import Broker, Server

_IDLE = 3, 4
"""Places in the first line of /proc/stat that are no work: idle, and waiting for disks."""


class Used(NamedTuple):
    """Seconds of CPU."""

    server: float
    store: float
    machine: float
    """All programs."""
    rewrites: int
    """How often the append-only file was rewritten, or began to be."""


class Meter:
    """Begins to count when it is made."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = _now(server)

    def read(self) -> Used:
        now, before = _now(self._server), self._before
        return Used(
            now.server - before.server,
            now.store - before.store,
            now.machine - before.machine,
            now.rewrites - before.rewrites,
        )


def cpu_of(process: int) -> float:
    """Seconds of CPU of all threads of any process, to the nanosecond: Linux has a clock for each."""
    try:
        return time.clock_gettime((~process << 3) | 2)
    except OSError:
        raise BenchError(f"process {process}, which was measured, is gone") from None


def _now(server: Server) -> Used:
    rewrites = server.rewrites() if isinstance(server, Broker) else 0
    servers = sum(map(cpu_of, server.servers))
    return Used(servers, cpu_of(server.store) if server.store else 0.0, _machine(), rewrites)


def _machine() -> float:
    ticks = [int(word) for word in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    busy = sum(ticks[place] for place in range(len(ticks)) if place not in _IDLE)
    return busy / os.sysconf("SC_CLK_TCK")
