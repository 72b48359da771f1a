"""Functions that block, in threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


async def in_thread(function: Callable[[A], R], argument: A) -> R:
    """What it returns. Its thread ends with the program: a function that hangs holds nobody up who wants to stop."""
    future: Future[R] = Future()
    context = copy_context()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = context.run(function, argument)
        except BaseException as error:
            # StopIteration and SystemExit mean something else to the event loop.
            mild = isinstance(error, Exception) and not isinstance(error, StopIteration)
            future.set_exception(error if mild else RuntimeError(f"a task's function raised {error!r}"))
        else:
            future.set_result(result)

    Thread(target=run, name=f"task-{getattr(function, '__name__', '')}", daemon=True).start()
    return await asyncio.wrap_future(future)
