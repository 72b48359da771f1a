"""A driver process: ``python -m bench.driver`` reads a job as a line of JSON, runs its load, and prints the result.

It prints ``ready`` when its connections are open, and begins at the next line of its input. Each connection has at most
one request under way. It is small, so that it takes less of the machine than what it measures.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import resource
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import cast

import msgspec
import uvloop

from bench.histogram import Histogram
from bench.load import LOADS, PATIENCE, Job, Load, Outcome

_TICK = 0.0002
"""Seconds between checks for due requests in an open loop."""

_UNLIMITED = 1 << 62
_LENGTH = b"content-length:"


class Run(ABC):
    """The connections of a job, and what they saw. Subclasses say what a connection does after an answer."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.calls = 0
        self.busy = 0
        """Connections with a request under way."""
        self.latency, self.late = Histogram(), Histogram()
        self.errors: Counter[str] = Counter()
        self.connections: list[Connection] = []
        self.began = self.until = 0
        """Nanoseconds of the clock; after ``until``, nothing new is due."""
        self.all_sent = False
        """From now on only requests that follow from answers are sent."""
        self.done = asyncio.Event()

    async def connect(self) -> None:
        loop, job = asyncio.get_running_loop(), self.job
        for i in range(job.connections):
            made = Connection(self, LOADS[job.load](job, job.workers[i % len(job.workers)], i))
            await loop.create_connection(lambda made=made: made, "127.0.0.1", job.port)  # type: ignore[misc]
            self.connections.append(made)

    async def go(self) -> Outcome:
        cpu, self.began = time.process_time(), time.perf_counter_ns()
        self.until = self.began + int(self.job.seconds * 1e9)
        await self.send()
        self.all_sent = True
        # In case that the last answer has come already.
        self.busy += 1
        self.rest()
        try:
            await asyncio.wait_for(self.done.wait(), (self.until - time.perf_counter_ns()) / 1e9 + PATIENCE)
        except TimeoutError:
            self.errors["unanswered"] += self.busy + self.waiting()
        return Outcome(
            seconds=(time.perf_counter_ns() - self.began) / 1e9,
            calls=self.calls,
            tasks=sum(connection.load.tasks for connection in self.connections),
            errors=dict(self.errors),
            latency=dict(self.latency.buckets),
            late=dict(self.late.buckets),
            cpu=time.process_time() - cpu,
        )

    @abstractmethod
    async def send(self) -> None:
        """Sends the requests that do not follow from answers."""

    @abstractmethod
    def free(self, connection: "Connection", now: int) -> None:
        """This connection has had its answer. The request that follows it at once takes over its ``busy``."""

    def rest(self) -> None:
        """A busy connection is free again."""
        self.busy -= 1
        if not self.busy and self.all_sent:
            self.done.set()

    def waiting(self) -> int:
        """Requests that were due and found no free connection."""
        return 0


class ClosedLoop(Run):
    """Each connection sends its next request when it has its answer: as many as the server can take."""

    async def send(self) -> None:
        self._left = self.job.calls or _UNLIMITED
        for connection in self.connections:
            self.busy += 1
            self.free(connection, time.perf_counter_ns())

    def free(self, connection: "Connection", now: int) -> None:
        if now < self.until and self._left > 0:
            self._left -= 1
            connection.send(now)
        else:
            self.rest()


class OpenLoop(Run):
    """Requests are due at fixed moments. One that finds no connection free waits, and its waiting is latency."""

    async def send(self) -> None:
        self._gap = 1e9 / self.job.rate
        self._due = 0
        self._idle = deque(self.connections)
        self._backlog: deque[int] = deque()
        with _timer(_TICK, self._tick):
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

    def free(self, connection: "Connection", now: int) -> None:
        if self._backlog:
            connection.send(self._backlog.popleft())
            return
        self._idle.append(connection)
        self.rest()

    def waiting(self) -> int:
        return len(self._backlog)


class Connection(asyncio.Protocol):
    """Minimal HTTP: sends a request, and returns the answer's status and body."""

    def __init__(self, run: Run, load: Load) -> None:
        self.load = load
        self._run = run
        self._part = bytearray()
        self._due = 0
        """When the request under way was due; 0 when there is none."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of it.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, due: int) -> None:
        self._due = due
        if self._transport.is_closing():
            self.connection_lost(None)
        else:
            self._transport.write(self.load.request())

    def data_received(self, data: bytes | bytearray) -> None:
        if self._part:
            self._part += data
            data = self._part
        end = data.find(b"\r\n\r\n")
        at = data.find(_LENGTH, 0, end)
        if at < 0:
            at = data[: max(0, end)].lower().find(_LENGTH)
        # An answer without a length has no body (204), or comes in chunks.
        length = int(data[at + len(_LENGTH) : data.index(b"\r", at)]) if end >= 0 and at >= 0 else 0
        if end < 0 or len(data) < end + 4 + length or (at < 0 and _more_chunks(data, end)):
            self._part = data if isinstance(data, bytearray) else bytearray(data)
            return
        self._part = bytearray()
        self._answered(bytes(data), end + 4)

    def _answered(self, answer: bytes, body: int) -> None:
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


def _more_chunks(data: bytes | bytearray, end: int) -> bool:
    """Whether the last chunk of a body is still to come, whose head ends there."""
    return b"chunked" in data[:end].lower() and not data.endswith(b"\r\n0\r\n\r\n")


@contextlib.contextmanager
def _timer(seconds: float, tick: Callable[[], None]) -> Iterator[None]:
    """Calls ``tick`` each so many seconds while the block runs, by a timer of the Linux kernel: event loops know no
    time shorter than a millisecond."""
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    # struct itimerspec: the interval and the first time, each as seconds and nanoseconds.
    spec = (ctypes.c_long * 4)(0, int(seconds * 1e9), 0, int(seconds * 1e9))
    if timer < 0 or libc.timerfd_settime(timer, 0, ctypes.byref(spec), None) < 0:
        raise OSError(ctypes.get_errno(), "no timer")

    def due() -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(timer, 8)
        tick()

    loop = asyncio.get_running_loop()
    loop.add_reader(timer, due)
    try:
        yield
    finally:
        loop.remove_reader(timer)
        os.close(timer)


async def _serve(line: bytes) -> Outcome:
    job = msgspec.json.decode(line, type=Job)
    run = OpenLoop(job) if job.rate else ClosedLoop(job)
    await run.connect()
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)
    return await run.go()


def main() -> None:
    # A connection is an open file.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(msgspec.json.encode(uvloop.run(_serve(sys.stdin.buffer.readline()))).decode())


if __name__ == "__main__":
    main()
