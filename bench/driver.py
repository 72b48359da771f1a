"""A driver process: ``python -m bench.driver`` reads a job as a line of JSON, puts the load on, and answers in JSON.

It says ``ready`` when its connections are open, and begins at the next line. Each connection has at most one request
under way. It is small, so that it takes less of the machine than what it measures.
"""

import asyncio
import gc
import resource
import sys
import time
from collections import Counter, deque
from functools import partial

import msgspec
import uvloop

from bench.histogram import Histogram
from bench.job import Job, Outcome, Worker
from bench.load import LOADS, Load
from bench.ticks import ticking
from bench.wire import Wire

_TICK = 0.0002
"""Seconds between looks at what is due in an open loop."""

_PATIENCE = 5.0
"""Seconds after the end for which answers are waited for."""

_NOBODY = Worker(0, "")
_UNLIMITED = 1 << 62


class Run:
    """The connections of a job, and what they saw. Subclasses say what a connection does after an answer."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.calls = 0
        self.busy = 0
        """Connections with a request under way."""
        self.latency, self.late = Histogram(), Histogram()
        self.errors: Counter[str] = Counter()
        self.wires: list[Caller] = []
        self.began = self.until = 0
        """Nanoseconds of the clock; after ``until``, nothing new is due."""
        self.all_sent = False
        """Nothing more is sent but what follows from answers."""
        self.done = asyncio.Event()

    async def connect(self) -> None:
        loop, job = asyncio.get_running_loop(), self.job
        for i in range(job.connections):
            worker = job.workers[i % len(job.workers)] if job.workers else _NOBODY
            wire = Caller(self, LOADS[job.load](job, worker, i))
            await loop.create_connection(partial(_itself, wire), job.host, job.port)
            self.wires.append(wire)

    async def go(self) -> Outcome:
        cpu, self.began = _cpu(), time.perf_counter_ns()
        self.until = self.began + int(self.job.seconds * 1e9)
        await self.send()
        self.all_sent = True
        # In case that the last answer has come already.
        self.busy += 1
        self.rest()
        try:
            await asyncio.wait_for(self.done.wait(), (self.until - time.perf_counter_ns()) / 1e9 + _PATIENCE)
        except TimeoutError:
            self.errors["unanswered"] += self.busy + self.waiting()
        return Outcome(
            seconds=(time.perf_counter_ns() - self.began) / 1e9,
            calls=self.calls,
            tasks=sum(wire.load.tasks for wire in self.wires),
            errors=dict(self.errors),
            latency=dict(self.latency.buckets),
            late=dict(self.late.buckets),
            cpu=_cpu() - cpu,
        )

    async def send(self) -> None:
        """Sends what does not follow from answers."""
        raise NotImplementedError

    def free(self, wire: "Caller", now: int) -> None:
        """This connection has had its answer. The request that follows it at once takes over its ``busy``."""
        raise NotImplementedError

    def rest(self) -> None:
        """A connection that was busy is not any more."""
        self.busy -= 1
        if not self.busy and self.all_sent:
            self.done.set()

    def waiting(self) -> int:
        """Requests that were due and found no free connection."""
        return 0


class Closed(Run):
    """Each connection sends its next request when it has its answer: as many as the server can take."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._left = job.calls or _UNLIMITED

    async def send(self) -> None:
        for wire in self.wires:
            self.busy += 1
            self.free(wire, time.perf_counter_ns())

    def free(self, wire: "Caller", now: int) -> None:
        if now < self.until and self._left > 0:
            self._left -= 1
            wire.send(now)
            return
        self.rest()


class Open(Run):
    """Requests are due at fixed moments. One that finds no connection free waits, and its waiting is latency."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._gap = 1e9 / job.rate
        self._due = 0
        self._idle: deque[Caller] = deque()
        self._backlog: deque[int] = deque()

    async def send(self) -> None:
        self._idle.extend(self.wires)
        with ticking(_TICK, self._tick):
            await asyncio.sleep(self.job.seconds)
        self._tick()

    def _tick(self) -> None:
        now = min(time.perf_counter_ns(), self.until)
        while (due := self.began + int(self._due * self._gap)) < now:
            self._due += 1
            if self._idle:
                self.late.add(time.perf_counter_ns() - due)
                self.busy += 1
                self._idle.popleft().send(due)
            else:
                self._backlog.append(due)

    def free(self, wire: "Caller", now: int) -> None:
        if self._backlog:
            wire.send(self._backlog.popleft())
            return
        self._idle.append(wire)
        self.rest()

    def waiting(self) -> int:
        return len(self._backlog)


class Caller(Wire):
    """One connection of a run."""

    def __init__(self, run: Run, load: Load) -> None:
        self.load = load
        self._run = run
        self._due = 0
        """When the request under way was due; 0 when there is none."""

    def send(self, due: int) -> None:
        self._due = due
        self.transport.write(self.load.request())

    def answered(self, answer: bytes, body: int) -> None:
        now, run = time.perf_counter_ns(), self._run
        run.latency.add(now - self._due)
        run.calls += 1
        self._due = 0
        if error := self.load.wrong(answer, body) if answer[9:12] == b"200" else answer[9:12].decode():
            run.errors[error] += 1
        run.free(self, now)

    def connection_lost(self, error: Exception | None) -> None:
        if self._due:
            self._due = 0
            self._run.errors["connection lost"] += 1
            self._run.rest()


def _itself(wire: Caller) -> Caller:
    return wire


async def _serve(line: bytes) -> Outcome:
    job = msgspec.json.decode(line, type=Job)
    run = Open(job) if job.rate else Closed(job)
    await run.connect()
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)
    return await run.go()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    # A connection is an open file.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(msgspec.json.encode(uvloop.run(_serve(sys.stdin.buffer.readline()))).decode())


if __name__ == "__main__":
    main()
