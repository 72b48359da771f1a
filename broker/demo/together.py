"""Running coroutines: several that belong together, or one that a signal may end."""

import asyncio
import signal
from collections.abc import Coroutine, Iterable
from typing import Any


async def together(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs all of them. The first that fails ends the others, and the caller sees its exception as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def interruptible(coroutine: Coroutine[Any, Any, bool]) -> bool:
    """The first signal cancels the coroutine; later ones do not disturb how it clears up."""
    task = asyncio.create_task(coroutine)
    received: set[int] = set()

    def stop(number: int) -> None:
        if not received:
            task.cancel()
        received.add(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    return await task
