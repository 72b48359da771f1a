"""Limits how many functions run at a time."""

import asyncio
import inspect
import logging

from broker.client.handler import Ended

log = logging.getLogger("broker.client")

_LATE = 1.0
"""Seconds after which it is logged that a call that was given up still runs."""


class Slots:
    """``most`` calls run at a time, and as many again that were given up and still run: a thread cannot be stopped.

    A call beyond those keeps its slot until it ends. ``freed`` is set when there is room again.
    """

    def __init__(self, most: int, name: str, freed: asyncio.Event) -> None:
        self._most = most
        self._name = name
        self._freed = freed
        self._free = asyncio.Semaphore(most)
        self._strays: set[asyncio.Future[Ended]] = set()
        self._lost = 0
        """Slots that are kept by calls that were given up."""

    @property
    def usable(self) -> int:
        return self._most - self._lost

    async def take(self) -> None:
        await self._free.acquire()

    def free(self, call: "asyncio.Future[Ended] | None") -> None:
        """``call``: what ran in the slot; it is given up if it has not ended."""
        if call is None or call.done():
            self._free.release()
            return
        if len(self._strays) < self._most:
            self._free.release()
        else:
            self._lost += 1
        self._strays.add(call)
        call.add_done_callback(self._end)
        asyncio.get_running_loop().call_later(_LATE, self._tell, call)
        if isinstance(call, asyncio.Task):
            call.cancel()

    def _end(self, call: "asyncio.Future[Ended]") -> None:
        self._strays.discard(call)
        if self._lost:
            self._lost -= 1
            self._free.release()
            self._freed.set()
        # Retrieves its error, and closes a coroutine that nobody will await.
        if not call.cancelled() and call.exception() is None and inspect.iscoroutine(rest := call.result().value):
            rest.close()

    def _tell(self, call: "asyncio.Future[Ended]") -> None:
        if call.done():
            return
        strays = len(self._strays)
        log.warning("%s: %d calls were given up and still run; others take their places", self._name, strays)
        if self.usable == 0:
            log.error("%s: the worker gets no more tasks until one of %d hanging calls ends", self._name, strays)
