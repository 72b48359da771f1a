"""Looks at many things at once, for many who ask."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_PAUSE = 10
"""Looks pause for so many times as long as they take: they cost a tenth of the time, however many ask."""


class Looks(Generic[T]):
    """One look serves all who asked before it began: an answer is never older than its question."""

    def __init__(self, look: Callable[[], Awaitable[T]], longest_pause: float) -> None:
        """``longest_pause``: seconds between looks at most."""
        self._look = look
        self._longest_pause = longest_pause
        self._looking = asyncio.Lock()
        self._begun = self._ended = 0.0
        self._seen: T

    async def answer(self) -> T:
        """What is seen. Raises what the look raises."""
        arrived = time.monotonic()
        async with self._looking:
            if self._begun < arrived:
                pause = min(self._longest_pause, _PAUSE * (self._ended - self._begun))
                await asyncio.sleep(self._ended + pause - time.monotonic())
                begun = time.monotonic()
                self._seen = await self._look()
                self._begun, self._ended = begun, time.monotonic()
            return self._seen
