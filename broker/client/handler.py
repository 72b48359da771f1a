"""A worker's function: what may be one, and how it is called with a task."""

import asyncio
import functools
import inspect
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread
from typing import Any, NamedTuple

from broker.client.types import Task

Function = Callable[[Task], int | None] | Callable[[Task], Awaitable[int | None]]

_NO_VOTES = (bool, str, bytes, float, list, dict, tuple, set)
_NO_VOTE_NAMES = {kind.__name__ for kind in _NO_VOTES}

A_VOTE = "return a signed 64-bit int or None; broker.client.verification makes an int of text or bytes"


class Ended(NamedTuple):
    """What a function returned or raised."""

    value: object = None
    error: BaseException | None = None


@dataclass(frozen=True)
class Handler:
    """A function and its options. ``submit``: whether it needs access to submit to its project. ``timeout``: seconds
    after which a task fails whose function has not ended; None for any time.
    """

    function: Function
    project: int
    concurrency: int
    prefetch: int
    submit: bool
    timeout: float | None

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.prefetch < 0:
            raise ValueError("concurrency: 1 or more; prefetch: 0 or more")
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError("timeout: seconds, more than 0, or None")
        _check(self.function)

    def call(self, task: Task) -> "asyncio.Future[Ended]":
        """Starts a call of the function: a task of the event loop, or the future of a thread.

        It is done when the function has ended, however it ended. Raises if the call cannot start, for lack of a
        thread or of memory.
        """
        if _is_async(self.function):
            return asyncio.create_task(_ended(self.function, task))
        return _in_thread(self.function, task)

    @staticmethod
    def goes_on(ended: Ended) -> "asyncio.Task[Ended] | None":
        """The rest of a call that has returned something to await: a decorator or a lambda may do so."""
        if not inspect.isawaitable(ended.value):
            return None
        awaitable = ended.value

        async def rest(_: Task | None) -> object:
            return await awaitable

        return asyncio.create_task(_ended(rest, None))


def _check(function: object) -> None:
    """Raises :class:`TypeError` for a function with which every task would fail."""
    if not callable(function) or isinstance(function, type):
        raise TypeError(f"@worker.task decorates a function, not {function!r}")
    name = getattr(function, "__qualname__", type(function).__name__)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} has a yield, so it returns no vote: {A_VOTE}")
    try:
        signature = inspect.signature(function)
    except ValueError:  # of some functions written in C
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise TypeError(f"{name}{signature} is called with a task, and nothing else: {error}") from None
    found = signature.return_annotation
    if found in _NO_VOTES or (isinstance(found, str) and found in _NO_VOTE_NAMES):
        raise TypeError(f"{name} returns {getattr(found, '__name__', found)}: {A_VOTE}")


def _is_async(function: object) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    called = getattr(type(function), "__call__", None)  # noqa: B004 - of an object
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


async def _ended(function: Callable[..., Any], task: Task | None) -> Ended:
    try:
        return Ended(await function(task))
    except asyncio.CancelledError:
        raise
    except KeyboardInterrupt as error:
        if _may_be_ctrl_c():
            raise
        return Ended(error=error)
    except BaseException as error:
        # The event loop would end at SystemExit.
        return Ended(error=error)


def _may_be_ctrl_c() -> bool:
    """Whether Python itself raises KeyboardInterrupt here: not if a worker or an event loop handles signals."""
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _in_thread(function: Callable[[Task], object], task: Task) -> "asyncio.Future[Ended]":
    """Unlike the threads of ``asyncio.to_thread``, this one does not keep the program from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Ended] = loop.create_future()
    context = copy_context()

    def run() -> None:
        try:
            ended = Ended(context.run(function, task))
        except BaseException as error:
            ended = Ended(error=error)
        with suppress(RuntimeError):  # the loop is closed: the worker has stopped meanwhile
            loop.call_soon_threadsafe(end, ended)

    def end(ended: Ended) -> None:
        if not future.done():
            future.set_result(ended)

    Thread(target=run, name=f"task-{task.id}", daemon=True).start()
    return future
