"""Coroutines that run as long as the process: an unexpected exception does not end them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds after which a coroutine that failed is called again."""

_LOG_AGAIN = 60.0
"""Seconds after which the log repeats an error that has not changed."""


def supervised(name: str, work: Callable[[], Awaitable[None]], pause: float = _PAUSE) -> "asyncio.Task[None]":
    """Calls ``work`` until it returns. Each time it raises, the log says so, and it is called again after ``pause``."""
    return asyncio.create_task(_supervise(name, work, pause), name=name)


async def _supervise(name: str, work: Callable[[], Awaitable[None]], pause: float) -> None:
    logged, logged_at = "", 0.0
    while True:
        try:
            await work()
            return
        except Exception as error:
            text = repr(error)
            if text != logged or time.monotonic() - logged_at >= _LOG_AGAIN:
                log.exception("%s failed, and is started again in %g s", name, pause)
                logged, logged_at = text, time.monotonic()
        await asyncio.sleep(pause)
