"""What the store tells by itself: one connection per process, made anew when it is lost."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from broker.store.redis.connection import taken_over
from broker.store.redis.scripts import Calls

log = logging.getLogger(__name__)

_PING = 5.0
"""Seconds between looks whether the connection still lives; without an answer by the next one, it is given up."""

_AGAIN = 0.2
"""Seconds before another connection is tried."""

_NOTHING = object()
Hear = Callable[[str, str], None]
"""Channel and message."""


class Subscription:
    def __init__(self, calls: Calls, pattern: str, hear: Hear) -> None:
        self._calls = calls
        self._pattern = pattern
        self._hear = hear
        self.active = asyncio.Event()
        """Whether it hears."""

    async def listen_for_ever(self) -> None:
        """While it has no connection, what would be heard is missed: who relies on it must look as well."""
        refused = ""
        while True:
            try:
                ear = _Ear(await self._calls.new_connection(), self._hear, self.active)
                try:
                    await ear.listen(self._pattern)
                finally:
                    self.active.clear()
                    ear.close()
            except ResponseError as error:
                if str(error) != refused:
                    refused = str(error)
                    log.warning(
                        "workers that wait hear of tasks a second late: the store refuses PSUBSCRIBE: %s", error
                    )
            except (RedisError, OSError):
                pass
            await asyncio.sleep(_AGAIN)


class _Ear(asyncio.Protocol):
    def __init__(self, connection: AbstractConnection, hear: Hear, active: asyncio.Event) -> None:
        self._connection = connection
        self._hear = hear
        self._active = active
        self._heard = True
        self._replies = hiredis.Reader(
            encoding="utf-8", errors="replace", replyError=ResponseError, notEnoughData=_NOTHING
        )
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport = taken_over(connection, self)

    async def listen(self, pattern: str) -> None:
        """Until the connection is lost. Raises :class:`ResponseError` when the server refuses."""
        self._transport.write(hiredis.pack_command(("PSUBSCRIBE", pattern)))  # type: ignore[arg-type]
        while self._heard and not self._lost.done():
            self._heard = False
            self._transport.write(hiredis.pack_command(("PING",)))
            await asyncio.wait([self._lost], timeout=_PING)
        if self._lost.done():
            self._lost.result()

    def close(self) -> None:
        self._connection._close()  # type: ignore[no-untyped-call]
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._replies.feed(data)
        try:
            while (reply := self._replies.gets()) is not _NOTHING:
                self._take(reply)
        except hiredis.HiredisError:
            self.close()

    def _take(self, reply: Any) -> None:
        if isinstance(reply, ResponseError):
            self._end(reply)
        elif reply[0] == "pmessage":
            self._hear(reply[2], reply[3])
        elif reply[0] == "psubscribe":
            self._active.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self._lost.done():
            return
        if error is None:
            self._lost.set_result(None)
        else:
            self._lost.set_exception(error)
