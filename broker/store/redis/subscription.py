"""Messages that the store publishes: one connection per process, opened again when it is lost."""

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
"""Seconds between checks of the connection; without an answer by the next one, it is closed."""

_AGAIN = 0.2
"""Seconds before another connection is tried."""

_NOTHING = object()
OnMessage = Callable[[str, str], None]
"""Channel and message."""


class Subscription:
    def __init__(self, calls: Calls, pattern: str, on_message: OnMessage) -> None:
        self._calls = calls
        self._pattern = pattern
        self._on_message = on_message
        self.active = asyncio.Event()
        """Set while messages arrive."""

    async def listen_for_ever(self) -> None:
        """Messages are lost while there is no connection: the listener must read the store as well."""
        refused = ""
        while True:
            try:
                listener = _Listener(await self._calls.new_connection(), self._on_message, self.active)
                try:
                    await listener.listen(self._pattern)
                finally:
                    self.active.clear()
                    listener.close()
            except ResponseError as error:
                if str(error) != refused:
                    refused = str(error)
                    log.warning(
                        "waiting workers get new tasks up to a second late: the store refuses PSUBSCRIBE: %s", error
                    )
            except (RedisError, OSError):
                pass
            await asyncio.sleep(_AGAIN)


class _Listener(asyncio.Protocol):
    def __init__(self, connection: AbstractConnection, on_message: OnMessage, active: asyncio.Event) -> None:
        self._connection = connection
        self._on_message = on_message
        self._active = active
        self._answered = True
        self._replies = hiredis.Reader(
            encoding="utf-8", errors="replace", replyError=ResponseError, notEnoughData=_NOTHING
        )
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport = taken_over(connection, self)

    async def listen(self, pattern: str) -> None:
        """Until the connection is lost. Raises :class:`ResponseError` when the server refuses."""
        self._transport.write(hiredis.pack_command(("PSUBSCRIBE", pattern)))  # type: ignore[arg-type]
        while self._answered and not self._lost.done():
            self._answered = False
            self._transport.write(hiredis.pack_command(("PING",)))
            await asyncio.wait([self._lost], timeout=_PING)
        if self._lost.done():
            self._lost.result()

    def close(self) -> None:
        self._connection._close()  # type: ignore[no-untyped-call]
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._answered = True
        self._replies.feed(data)
        try:
            while (reply := self._replies.gets()) is not _NOTHING:
                self._handle(reply)
        except hiredis.HiredisError:
            self.close()

    def _handle(self, reply: Any) -> None:
        if isinstance(reply, ResponseError):
            self._end(reply)
        elif reply[0] == "pmessage":
            self._on_message(reply[2], reply[3])
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
