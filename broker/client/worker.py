"""A worker that runs: it calls functions with tasks, and releases each task by what its function returns or raises."""

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from broker.client.clients import AsyncClient, Client
from broker.client.consumer import Consumer, Shared
from broker.client.credentials import SharedLock
from broker.client.handler import Function, Handler
from broker.client.heartbeat import Heartbeat
from broker.client.joining import JoinTokens, worker_info
from broker.client.release_queue import ReleaseQueue
from broker.client.running import run_loop, stopped_by_signals
from broker.client.types import ClientError, Refused

log = logging.getLogger("broker.client")

F = TypeVar("F", bound=Function)

_LONGEST_LEASE = 86_400
"""Seconds."""

_LAST_CALLS = 5
"""Seconds for the last releases of a worker that stops. The broker reclaims the other tasks after their deadlines."""


class Worker:
    """Gets tasks of some projects, and calls a function with each. It runs once.

    ``file``: the credentials, created when missing; programs that share the file are one worker. ``resume``: whether
    to give back tasks that an earlier run has left, and to resume tasks whose get had no answer; set it to False
    when several machines share one worker. ``grace``: seconds for running tasks when the worker stops; then they are
    given back. ``wait``: seconds of a long poll, at most 60. ``lease``: seconds for which a task is held, and for
    which it is extended again and again: if the machine fails, other workers get its tasks after that time.
    ``join``: a join token, or several with spaces between them, with which the worker gets access without a manager;
    by default those of the variable TASK_BROKER_JOIN_TOKEN. ``version``: of your program; managers see it beside the
    host.
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
        lease: int = 60,
        join: str | None = None,
        version: str = "",
    ) -> None:
        if not 1 <= lease <= _LONGEST_LEASE or lease != int(lease):
            raise ValueError(f"lease: whole seconds, from 1 to {_LONGEST_LEASE:,}")
        self._url = url
        self._alias = alias
        self._file = Path(file)
        self._resume = resume
        self._grace = grace
        self._wait = wait
        self._lease = int(lease)
        self._served = False
        self._tokens = JoinTokens(join)
        self._info = worker_info(version)
        self._handlers: list[Handler] = []
        self._client: AsyncClient | None = None
        self._blocking: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._stopping_now = asyncio.Event()
        self._lock = threading.Lock()

    def task(
        self,
        *,
        project: int,
        concurrency: int = 1,
        prefetch: int = 0,
        submit: bool = False,
        timeout: float | None = None,
    ) -> Callable[[F], F]:
        """Calls the decorated function with tasks of the project, up to ``concurrency`` at a time. It may be
        ``async``.

        The function returns a verification (see :func:`broker.client.verification`) or None, or raises ``Fail`` or
        ``Skip``. Whatever else it raises is logged, and the task fails. ``prefetch``: how many more tasks to hold in
        advance, so that no other worker gets them: useful only for tasks as short as a call of the broker.
        ``submit``: also requests access to submit to the project. ``timeout``: seconds after which a task fails
        whose function has not ended.
        """

        def add(function: F) -> F:
            handler = Handler(function, project, concurrency, prefetch, submit, timeout)
            if any(other.project == project for other in self._handlers):
                raise ValueError(f"project {project} has a function already")
            self._handlers.append(handler)
            return function

        return add

    @property
    def client(self) -> AsyncClient:
        """This worker's client, for ``async`` functions. It waits without limit for a broker that does not answer."""
        if self._client is None:
            raise RuntimeError("the worker does not run")
        return self._client

    @property
    def blocking(self) -> Client:
        """This worker's client for functions in threads."""
        with self._lock:
            if self._blocking is None:
                self._blocking = Client(self._url, self.client.worker, patience=math.inf)
                self._blocking.info = self._info
            return self._blocking

    def run(self) -> None:
        """Runs until SIGTERM or SIGINT. It then gets no more tasks, and after ``grace`` gives back those still running.

        A second signal ends the grace. Raises :class:`Refused` if waiting would not help.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            run_loop(self._run)
        else:
            raise RuntimeError("an event loop runs here already: await worker.serve() in it")

    async def serve(self) -> None:
        """As :meth:`run`, in your own event loop and without signals: until :meth:`stop`, or until it is cancelled.

        When it is cancelled, it gives back all tasks at once.
        """
        if not self._handlers:
            raise RuntimeError("a worker needs a function: decorate one with @worker.task(project=...)")
        with self._lock:
            if self._served:
                raise RuntimeError("this worker runs already, or has run: create another one, which runs once as well")
            self._served = True
            self._loop = asyncio.get_running_loop()
        async with AsyncClient(self._url, patience=math.inf) as client:
            self._client, client.persistent = client, True
            try:
                if await self._unless_stopped(self._enter(client)):
                    await self._work(client)
            finally:
                with self._lock:
                    self._client = self._loop = None
                if self._blocking is not None:
                    self._blocking.close()

    async def _enter(self, client: AsyncClient) -> None:
        client.info = self._info
        await client.identify(self._file, alias=self._alias)
        for project, token in self._tokens.of_project.items():
            try:
                await client.join(project, token)
            except Refused as refused:
                if refused.code not in {"denied", "not_found"}:
                    raise
                # It may have access already, or a manager may grant it.
                log.warning("cannot join project %d: %s", project, refused.reason)

    def stop(self) -> None:
        """Acts as one signal. Any thread may call it."""
        with self._lock:
            if self._loop is None:
                self._stop()
            else:
                self._loop.call_soon_threadsafe(self._stop)

    async def _run(self) -> None:
        with stopped_by_signals(self._stop):
            await self.serve()

    def _stop(self) -> None:
        (self._stopping_now if self._stopping.is_set() else self._stopping).set()

    async def _unless_stopped(self, call: Coroutine[Any, Any, object]) -> bool:
        """Whether the call ended before the worker was told to stop."""
        both = _start(call, self._stopping.wait())
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            done = both[0].done()
        finally:
            failures = await _cancel(both)
        if failures:
            raise failures[0]
        return done

    async def _work(self, client: AsyncClient) -> None:
        lock = SharedLock(self._file)
        heartbeat = Heartbeat(client, self._lease)
        queue = ReleaseQueue(client, heartbeat, self._lease)
        shared = Shared(client, heartbeat, queue, lock if self._resume else None, self._wait, self._lease)
        consumers = [Consumer(handler, shared) for handler in self._handlers]
        background = _start(heartbeat.run(), queue.run())
        consuming = _start(*(consumer.run() for consumer in consumers))
        grace, failure = 0.0, None
        try:
            failure = await self._until_stopped(consuming, background)
            grace = self._grace
        finally:
            try:
                await _cancel(consuming)
                await self._finish(consumers, queue, grace)
            finally:
                await _cancel(background)
                lock.release()
        if failure is not None:
            raise self._explained(failure)

    async def _until_stopped(
        self, consuming: list[asyncio.Task[object]], background: list[asyncio.Task[object]]
    ) -> BaseException | None:
        """Returns when the worker is stopped, or when no function is left: then with the error that ended the last
        one.
        """
        (stopping,) = _start(self._stopping.wait())
        left, failure = set(consuming), None
        try:
            while left:
                done, _ = await asyncio.wait({*left, *background, stopping}, return_when=asyncio.FIRST_COMPLETED)
                failures = [task.exception() for task in done if task is not stopping and not task.cancelled()]
                failure = max(failures, key=_is_for_all, default=None)
                if stopping in done or done.intersection(background) or _is_for_all(failure):
                    break
                left -= done
                if left and failure is not None:
                    log.error("a function ends, and the others continue: %s", failure)
                    failure = None
            return failure
        finally:
            await _cancel([stopping])

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, Refused) and error.code == "bad_credentials":
            error.add_note(f"this broker does not know the worker of {self._file}: without the file, one is created")
        return error

    async def _finish(self, consumers: list[Consumer], queue: ReleaseQueue, grace: float) -> None:
        """Lets running tasks end within the grace, and gives back all others."""
        for consumer in consumers:
            consumer.give_back(unbegun=True)
        running = [work.running for consumer in consumers for work in consumer.works.values()]
        if running and grace > 0:
            log.info("%d tasks still run: they are given back in %g s", len(running), grace)
            ends = _start(asyncio.wait(running), self._stopping_now.wait())
            await asyncio.wait(ends, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            await _cancel(ends)
        for consumer in consumers:
            consumer.give_back()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_CALLS):
                for consumer in consumers:
                    with suppress(ClientError):  # perhaps the error that ended the worker
                        await consumer.give_back_leftovers()
                await queue.drain()
        queue.close()


def _is_for_all(failure: BaseException | None) -> bool:
    """Whether what ended one function ends all of them."""
    return isinstance(failure, Refused) and failure.code == "bad_credentials"


def _start(*coroutines: Coroutine[Any, Any, object]) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(coroutine) for coroutine in coroutines]


async def _cancel(tasks: list[asyncio.Task[object]]) -> list[Exception]:
    """Cancels the tasks that still run. Returns the errors of the others."""
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    return [outcome for outcome in outcomes if isinstance(outcome, Exception)]
