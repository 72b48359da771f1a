"""One read of the store for simultaneous calls: many cost no more than one, and a bounded share of the store's time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from math import inf
from typing import Generic, TypeVar


async def rest(begun: float, duty: float) -> None:
    """Sleeps so that the work since ``begun`` (``time.monotonic()``) takes only the share ``duty`` of the time."""
    await asyncio.sleep((time.monotonic() - begun) * (1 / duty - 1))


K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SharedRead(Generic[T]):
    """Runs ``read`` on request, for the share ``duty`` of the time at most: after t seconds it rests for t/duty-t.

    ``ttl``: seconds for which a result is kept; with 0, no answer is older than its question: a call during a rest
    waits for its end. ``longest_rest``: maximum seconds of a rest; longer reads then take a larger share of the
    time. ``patience``: maximum seconds to wait for the end of a rest; if it takes longer, the last result is the
    answer.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        *,
        duty: float,
        ttl: float = 0,
        longest_rest: float = inf,
        patience: float = inf,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._read = read
        self._rest = 1 / duty - 1
        self._ttl = ttl
        self._longest_rest = longest_rest
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._reading: asyncio.Task[tuple[float, T]] | None = None
        self._result: T
        self._kept_until = self._resting_until = -inf

    async def get(self) -> T:
        """Raises what the read raises; a read that failed is not kept, and no rest follows."""
        arrived = self._clock()
        while True:
            if self._clock() < self._kept_until:
                return self._result
            if self._reading is None:
                self._reading = asyncio.create_task(self._run())
                self._reading.add_done_callback(_retrieve)
            # A caller that is cancelled must not cancel the read of the others.
            begun, result = await asyncio.shield(self._reading)
            if begun >= arrived:
                return result

    async def _run(self) -> tuple[float, T]:
        try:
            rest = self._resting_until - self._clock()
            if rest > 0:
                await self._sleep(rest)
            begun = self._clock()
            result = await self._read()
        finally:
            self._reading = None
        ended = self._clock()
        rest = min(self._rest * (ended - begun), self._longest_rest)
        self._resting_until = ended + rest
        self._kept_until = ended + max(self._ttl, rest if rest > self._patience else 0)
        if self._kept_until > ended:
            self._result = result
        return begun, result


def _retrieve(reading: "asyncio.Task[tuple[float, T]]") -> None:
    """Retrieves the error, because perhaps no caller is left to get it."""
    if not reading.cancelled():
        reading.exception()


class SharedReads(Generic[K, T]):
    """A :class:`SharedRead` for each key; the ``most`` keys that were asked for last are kept."""

    def __init__(
        self,
        read: Callable[[K], Awaitable[T]],
        *,
        most: int,
        duty: float,
        ttl: float = 0,
        longest_rest: float = inf,
        patience: float = inf,
    ) -> None:
        self._read = read
        self._most = most
        self._shared = partial(SharedRead[T], duty=duty, ttl=ttl, longest_rest=longest_rest, patience=patience)
        self._reads: dict[K, SharedRead[T]] = {}

    async def get(self, key: K) -> T:
        one = self._reads.pop(key, None) or self._shared(partial(self._read, key))
        self._reads[key] = one
        if len(self._reads) > self._most:
            self._reads.pop(next(iter(self._reads)))
        return await one.get()

    def clear(self) -> None:
        """Reads in progress still answer their callers."""
        self._reads.clear()
