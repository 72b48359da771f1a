"""Runs a job's load on a server, from one or several driver processes, and measures who used how much CPU."""

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench import BenchError
from bench.histogram import Histogram
from bench.load import BULK, Job, Outcome
from bench.results import Measured
from bench.servers import Broker, Server, environment, settle
from broker import processes

_PATIENCE = 20.0
"""Seconds beyond a job's own that a driver may take."""

_LAST = 19
"""The lowest priority that Linux gives a process."""

_IDLE = 3, 4
"""Columns of the first line of /proc/stat that are no work: idle, and waiting for disks."""


class Used(NamedTuple):
    """Seconds of CPU."""

    server: float
    store: float
    machine: float
    """All programs."""
    rewrites: int
    """How often the append-only file was rewritten, or began to be."""

    @classmethod
    def by(cls, server: Server) -> "Used":
        """Since they were started."""
        ticks = [int(word) for word in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
        busy = sum(count for column, count in enumerate(ticks) if column not in _IDLE)
        store = cpu_of(server.store) if server.store else 0.0
        return cls(sum(map(cpu_of, server.servers)), store, busy / os.sysconf("SC_CLK_TCK"), server.rewrites())

    def since(self, before: "Used") -> "Used":
        return Used(*(now - then for now, then in zip(self, before, strict=True)))  # type: ignore[arg-type]


def cpu_of(process: int) -> float:
    """Seconds of CPU of all threads of any process, to the nanosecond: Linux has a clock for each."""
    try:
        return time.clock_gettime((~process << 3) | 2)
    except OSError:
        raise BenchError(f"process {process}, which was measured, is gone") from None


def drive(server: Server, job: Job, *, drivers: int = 1) -> Measured:
    """``drivers``: how many processes share the connections and the rate."""
    if isinstance(server, Broker):
        settle(server.redis)
    with _drivers(job, drivers) as children:
        before = Used.by(server)
        outcomes = _go(children, job.seconds + _PATIENCE)
        return _measured(job, outcomes, Used.by(server).since(before))


def fill(broker: Broker, project: int, tasks: int) -> float:
    """Until at least so many tasks wait; how many went in a second, 0 if there were enough."""
    missing = tasks - int(broker.stats(project)["waiting"])
    if missing <= 0:
        return 0.0
    calls = -(-missing // BULK)
    return _filled(broker, broker.job("bulk_submit", 600, [project], connections=min(4, calls), calls=calls))


def _filled(broker: Broker, job: Job) -> float:
    measured = drive(broker, job)
    if measured.errors:
        raise BenchError(f"could not fill projects: {measured.errors}")
    return measured.tasks


@contextlib.contextmanager
def busy(job: Job) -> Iterator[None]:
    """A driver process runs this load while the block runs, for ``job.seconds`` at most.

    It stands for other machines, so it gets only CPU that no other process wants.
    """
    with _drivers(job, 1) as children:
        for child in children:
            os.setpriority(os.PRIO_PROCESS, child.pid, _LAST)
        for child in children:
            _write(child, b"go")
        yield


@contextlib.contextmanager
def computing() -> Iterator[None]:
    """A program that has nothing to do with the broker takes all the CPU that it gets."""
    command = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(command, preexec_fn=processes.die_with_parent()) as child:  # noqa: PLW1509 - one thread
        try:
            yield
        finally:
            child.kill()


@contextlib.contextmanager
def _drivers(job: Job, count: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Driver processes that are connected, and wait for the start."""
    children = []
    try:
        for share in _shares(job, count):
            child = subprocess.Popen(
                [sys.executable, "-m", "bench.driver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(),
                start_new_session=True,
                preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 - one thread
            )
            children.append(child)
            _write(child, msgspec.json.encode(share))
        if any(child.stdout is None or child.stdout.readline() != b"ready\n" for child in children):
            raise BenchError("a driver could not connect")
        yield children
    finally:
        for child in children:
            child.kill()
            child.communicate()


def _go(children: list["subprocess.Popen[bytes]"], seconds: float) -> list[Outcome]:
    for child in children:
        _write(child, b"go")
    try:
        ends = [child.communicate(timeout=seconds)[0] for child in children]
    except subprocess.TimeoutExpired:
        raise BenchError("a driver does not come to its end") from None
    if any(child.returncode for child in children):
        raise BenchError("a driver failed")
    return [msgspec.json.decode(end, type=Outcome) for end in ends]


def _write(child: "subprocess.Popen[bytes]", line: bytes) -> None:
    if child.stdin is not None:
        child.stdin.write(line + b"\n")
        child.stdin.flush()


def _shares(job: Job, count: int) -> list[Job]:
    """The same job for each driver, with its part of the connections."""
    count = min(count, job.connections)
    sizes = [job.connections // count + (i < job.connections % count) for i in range(count)]
    return [
        msgspec.structs.replace(
            job, connections=size, rate=job.rate * size / job.connections, calls=-(-job.calls * size // job.connections)
        )
        for size in sizes
    ]


def _measured(job: Job, outcomes: list[Outcome], used: Used) -> Measured:
    latency, late, errors = Histogram(), Histogram(), Counter[str]()
    for outcome in outcomes:
        latency.merge(outcome.latency)
        late.merge(outcome.late)
        errors.update(outcome.errors)
    seconds = max(outcome.seconds for outcome in outcomes)
    calls = sum(outcome.calls for outcome in outcomes)
    driver = sum(outcome.cpu for outcome in outcomes)
    return Measured(
        load=job.load,
        connections=job.connections,
        rate=job.rate,
        seconds=round(seconds, 6),
        calls=round(calls / seconds, 2),
        tasks=round(sum(outcome.tasks for outcome in outcomes) / seconds, 2),
        errors=dict(errors),
        latency=latency.summary(),
        late=late.summary(),
        server_us=round(used.server / max(1, calls) * 1e6, 2),
        store_us=round(used.store / max(1, calls) * 1e6, 2),
        server_share=round(used.server / seconds, 3),
        store_share=round(used.store / seconds, 3),
        driver_share=round(driver / seconds, 3),
        other_share=round(max(0.0, used.machine - used.server - used.store - driver) / seconds, 3),
        rewrites=used.rewrites,
    )
