"""The event loop of a worker that runs by itself, and the signals that stop it."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from broker.client.forks import STOPPING, forks

log = logging.getLogger("broker.client")

_LAST = 1.0
"""Seconds for functions that still run at the end."""


def run_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """As ``asyncio.run``, but does not wait without end for a function that ignores its cancellation."""
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(main())
        finally:
            loop.run_until_complete(_end_all())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _end_all() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    rest.add(asyncio.create_task(asyncio.get_running_loop().shutdown_asyncgens()))
    _, hung = await asyncio.wait(rest, timeout=_LAST)
    if hung:
        log.warning("%d functions go on after they were cancelled: they end with the program", len(hung))


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Only the main thread gets signals. Children that are forked meanwhile do not handle them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, stop)
    forks.in_child.add(_leave_signals)
    try:
        yield
    finally:
        # The handlers stay until the loop is closed: a late signal must not end the program with a traceback.
        forks.in_child.discard(_leave_signals)


def _leave_signals() -> None:
    """Signals wake up the event loop through a descriptor that a child shares: its SIGTERM would stop its parent.

    A Ctrl-C reaches all processes of a terminal: it is for the worker to let its children finish.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
