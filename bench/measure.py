"""Puts a job's load on a server, from one driver process or several, and says what that cost whom."""

import subprocess
import sys
from collections import Counter

import msgspec

from bench import wrk
from bench.errors import BenchError
from bench.figures import Measured
from bench.histogram import Histogram
from bench.job import Job, Outcome
from bench.meter import Meter, Used
from bench.servers import Broker, Server, settle
from broker import processes

_PATIENCE = 20.0
"""Seconds beyond a job's own that a driver may take."""


def drive(server: Server, job: Job, *, drivers: int = 1, use_wrk: bool = False) -> Measured:
    """``drivers``: how many processes share the connections and the rate."""
    if isinstance(server, Broker):
        settle(server.redis)
    if use_wrk and wrk.usable(job):
        meter = Meter(server)
        return _measured(job, [wrk.run(job)], meter.read())
    with _Drivers(job, drivers) as running:
        meter = Meter(server)
        return _measured(job, running.go(), meter.read())


class _Drivers:
    """Driver processes that are connected, and wait for the word."""

    def __init__(self, job: Job, count: int) -> None:
        self._seconds = job.seconds
        self._children = []
        for share in _shares(job, count):
            child = subprocess.Popen(
                [sys.executable, "-m", "bench.driver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 - one thread
            )
            self._children.append(child)
            _tell(child, msgspec.json.encode(share))

    def __enter__(self) -> "_Drivers":
        try:
            for child in self._children:
                if child.stdout is None or child.stdout.readline() != b"ready\n":
                    raise BenchError("a driver could not connect")
        except BaseException:
            self.__exit__()
            raise
        return self

    def go(self) -> list[Outcome]:
        for child in self._children:
            _tell(child, b"go")
        try:
            ends = [child.communicate(timeout=self._seconds + _PATIENCE)[0] for child in self._children]
        except subprocess.TimeoutExpired:
            raise BenchError("a driver does not come to its end") from None
        if any(child.returncode for child in self._children):
            raise BenchError("a driver failed")
        return [msgspec.json.decode(end, type=Outcome) for end in ends]

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.kill()
            child.communicate()


def _tell(child: "subprocess.Popen[bytes]", line: bytes) -> None:
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
