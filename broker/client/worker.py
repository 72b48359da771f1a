"""A worker that runs: functions are called with tasks, and what they return or raise is released."""

import asyncio
import logging
import math
import signal
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from broker.client.clients import AsyncClient, Client
from broker.client.consumer import Consumer, Function, Handler, check_arguments
from broker.client.credentials import SharedLock
from broker.client.heartbeat import Heartbeat
from broker.client.release_queue import ReleaseQueue
from broker.client.types import ClientError, Refused

log = logging.getLogger("broker.client")

F = TypeVar("F", bound=Function)

_LAST_CALLS = 5
"""Seconds for the last releases of a worker that stops. What does not arrive is reclaimed after its deadline."""


class Worker:
    """Takes tasks of some projects, and calls a function with each. It runs once.

    ``file``: the credentials, made when missing; programs that share it are one worker. ``resume``: whether tasks that
    an earlier run has left are taken up; set it to False when machines share one id. ``grace``: seconds for the tasks
    in work when it is told to stop; then they are given back. ``wait``: seconds of a long poll, at most 60.
    """

    def __init__(
        self,
        url: str,
        *,
        alias: str = "",
        file: str | Path = "worker.json",
        resume: bool = True,
        grace: float = 8,
        wait: int = 30,
    ) -> None:
        self._url = url
        self._alias = alias
        self._file = Path(file)
        self._resume = resume
        self._grace = grace
        self._wait = wait
        self._handlers: list[Handler] = []
        self._client: AsyncClient | None = None
        self._blocking: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._lock = threading.Lock()

    def task(self, *, project: int, concurrency: int = 1, prefetch: int = 0, submit: bool = False) -> Callable[[F], F]:
        """The decorated function gets the tasks of this project, up to ``concurrency`` at a time; it may be ``async``.

        It returns a verification (see :func:`broker.client.verification`) or None, or raises ``Fail`` or ``Skip``. Any
        other exception is logged, and the task failed. ``prefetch``: tasks that wait here for their turn, where nobody
        else can take them: of use only for tasks that take no longer than the way to the broker. ``submit``: asks for
        the right to submit to the project as well.
        """

        def add(function: F) -> F:
            handler = Handler(function, project, concurrency, prefetch, submit)
            check_arguments(handler, (other.project for other in self._handlers))
            self._handlers.append(handler)
            return function

        return add

    @property
    def client(self) -> AsyncClient:
        """For ``async`` functions: a client that makes this worker's calls. It never tires of a broker that is away."""
        if self._client is None:
            raise RuntimeError("the worker does not run")
        return self._client

    @property
    def blocking(self) -> Client:
        """The same for functions in threads."""
        with self._lock:
            if self._blocking is None:
                self._blocking = Client(self._url, self.client.worker, patience=math.inf)
            return self._blocking

    def run(self) -> None:
        """Until SIGTERM or SIGINT: then no more tasks are taken, and after ``grace`` those in work are given back.

        A second signal ends the grace. Raises :class:`Refused` when waiting would not help.
        """
        asyncio.run(self._run())

    async def serve(self) -> None:
        """As :meth:`run`, in an event loop of one's own and without signals: until :meth:`stop`, or cancelled."""
        if not self._handlers:
            raise RuntimeError("a worker needs a function: decorate one with @worker.task(project=...)")
        with self._lock:
            self._loop = asyncio.get_running_loop()
        async with AsyncClient(self._url, patience=math.inf) as client:
            self._client = client
            try:
                if await self._unless_stopped(client.identify(self._file, alias=self._alias)):
                    await self._work(client)
            finally:
                with self._lock:
                    self._client = self._loop = None
                if self._blocking is not None:
                    self._blocking.close()

    def stop(self) -> None:
        """From any thread: as one signal."""
        with self._lock:
            if self._loop is None:
                self._stop()
            else:
                self._loop.call_soon_threadsafe(self._stop)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stop)
        await self.serve()

    def _stop(self) -> None:
        (self._hurrying if self._stopping.is_set() else self._stopping).set()

    async def _unless_stopped(self, call: Coroutine[Any, Any, object]) -> bool:
        """Whether it was done before the worker was told to stop."""
        both = _start(call, self._stopping.wait())
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            done = both[0].done()
        finally:
            failures = await _end(both)
        if failures:
            raise failures[0]
        return done

    async def _work(self, client: AsyncClient) -> None:
        lock = SharedLock(self._file)
        heartbeat = Heartbeat(client)
        release_queue = ReleaseQueue(client, heartbeat)
        resume = lock if self._resume else None
        consumers = [
            Consumer(handler, client, heartbeat, release_queue, lock=resume, wait=self._wait)
            for handler in self._handlers
        ]
        background = _start(heartbeat.run(), release_queue.run(), self._stopping.wait())
        taking = _start(*(consumer.run() for consumer in consumers))
        try:
            await asyncio.wait([*taking, *background], return_when=asyncio.FIRST_COMPLETED)
        finally:
            failures = await _end(taking)
            await self._finish(consumers, release_queue)
            failures += await _end(background)
            lock.release()
        if failures:
            raise self._explained(failures[0])

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, Refused) and error.code == "bad_credentials":
            error.add_note(f"{self._file} names a worker that this broker does not know: without it, a new one is made")
        return error

    async def _finish(self, consumers: list[Consumer], release_queue: ReleaseQueue) -> None:
        """What is in work may end within the grace; all else is given back."""
        for consumer in consumers:
            consumer.give_back(unbegun=True)
        if works := [work.running for consumer in consumers for work in consumer.works.values()]:
            log.info("%d tasks are in work, and given back in %g s", len(works), self._grace)
            waiting = _start(asyncio.wait(works), self._hurrying.wait())
            await asyncio.wait(waiting, timeout=self._grace, return_when=asyncio.FIRST_COMPLETED)
            await _end(waiting)
        for consumer in consumers:
            consumer.give_back()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_CALLS):
                for consumer in consumers:
                    with suppress(ClientError):  # perhaps the one that ended the worker
                        await consumer.give_back_leftovers()
                await release_queue.until_empty()
        if release_queue:
            log.warning("%d releases did not arrive: those tasks come back after their deadlines", len(release_queue))


def _start(*coroutines: Coroutine[Any, Any, object]) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(coroutine) for coroutine in coroutines]


async def _end(tasks: list[asyncio.Task[object]]) -> list[Exception]:
    """Cancels what still runs; what the others failed with."""
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    return [outcome for outcome in outcomes if isinstance(outcome, Exception)]
