"""Carries the commands of many requests over few connections, without waiting for one reply before the next command.

Commands of one turn of the event loop are sent in few writes; replies come back in order. redis-py opens
and authenticates the connection. A connection that is lost, or silent for too long, fails every call in flight, each
once: whether it was carried out is not known, and nothing is repeated.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from broker.counters import Counter
from broker.store.redis.connection import Connector, taken_over

LARGE = 100
"""Arguments from which a command goes over the second connection, so that small ones do not wait for it."""

_BURST = 3
"""Commands in one write at most: the store works on the first ones while requests of the same turn add the next. With
all commands of a turn in one write, store and broker waited for each other, and throughput was a third lower."""

_LARGE_AT_ONCE = 1
"""Large commands in progress at a time: the server carries out all that it has read from one connection before it reads
small ones from another.
"""

_NOTHING = object()

Command = tuple[str | int | float, ...]


class Pipeline:
    """Sends many commands at once, where redis-py's client sends one at a time."""

    def __init__(self, connector: Connector, timeout: float, writes: Counter) -> None:
        """``timeout``: seconds without any reply after which a connection is given up."""
        self._connector = connector
        self._small = _Line(connector, timeout, writes)
        self._large = _Line(connector, timeout, writes, _LARGE_AT_ONCE)

    def execute_command(self, *command: str | int | float) -> Awaitable[Any]:
        """The reply. Raises what redis-py raises: ResponseError, ConnectionError, TimeoutError."""
        line = self._large if len(command) > LARGE else self._small
        if line.wire is not None and line.wire.open:
            return line.wire.send(command)
        return line.send_when_connected(command)

    async def new_connection(self) -> AbstractConnection:
        """A new open connection, for the caller alone."""
        return await self._connector.open()

    async def everywhere(self, *command: str | int | float) -> list[Any]:
        """The reply of the one server."""
        return [await self.execute_command(*command)]

    @property
    def idle(self) -> bool:
        """Whether no call is in progress."""
        return self._small.idle and self._large.idle

    async def aclose(self) -> None:
        await self._small.close()
        await self._large.close()
        await self._connector.aclose()


class _Line:
    """One connection at a time. When it is lost, all calls that follow wait for the same new one."""

    def __init__(self, connector: Connector, timeout: float, writes: Counter, at_once: int = 0) -> None:
        """``at_once``: as in :class:`_Wire`."""
        self._connector = connector
        self._timeout = timeout
        self._writes = writes
        self._at_once = at_once
        self._connecting: asyncio.Task[_Wire] | None = None
        self.wire: _Wire | None = None

    @property
    def idle(self) -> bool:
        return self._connecting is None and (self.wire is None or not self.wire.waiting)

    async def send_when_connected(self, command: Command) -> Any:
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._done)
        # A request that is cancelled must not take the connection from the others.
        wire = await asyncio.shield(self._connecting)
        return await wire.send(command)

    def _done(self, connecting: "asyncio.Task[_Wire]") -> None:
        self._connecting = None
        if not connecting.cancelled() and connecting.exception() is None:
            self.wire = connecting.result()

    async def _connect(self) -> "_Wire":
        return _Wire(await self._connector.open(), self._timeout, self._writes, self._at_once)

    async def close(self) -> None:
        if (connecting := self._connecting) is not None:
            connecting.cancel()
            # It may have been too late to cancel it.
            await asyncio.wait([connecting])
        if self.wire is not None:
            await self.wire.close()


class _Wire(asyncio.Protocol):
    """An open connection, and the calls that wait for their replies, oldest first."""

    def __init__(self, connection: AbstractConnection, timeout: float, writes: Counter, at_once: int) -> None:
        """``at_once``: how many commands are in progress at most, each written alone; 0 for any number."""
        self._connection = connection
        self._at_once = at_once
        self._timeout = timeout
        self._writes = writes
        self._loop = asyncio.get_running_loop()
        self.waiting: deque[asyncio.Future[Any]] = deque()
        self._unsent: deque[bytes] = deque()
        self._replies = hiredis.Reader(encoding="utf-8", errors="replace", replyError=_error, notEnoughData=_NOTHING)
        self._heard = self._loop.time()
        self.open = True
        self._gone = asyncio.Event()
        self._transport = taken_over(connection, self)
        self._watching = self._loop.call_later(timeout, self._watch)

    def send(self, command: Command) -> "asyncio.Future[Any]":
        if not self.open:
            # Lost between being opened and being used.
            raise ConnectionError("the store closed the connection")
        # hiredis's own types allow for one word only.
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]
        idle = not self.waiting
        reply = self._loop.create_future()
        self.waiting.append(reply)
        if idle:
            # Nothing is in progress: the command is sent at once.
            self._heard = self._loop.time()
            self._write(packed)
        elif self._at_once:
            self._unsent.append(packed)
            self._send_next()
        else:
            if not self._unsent:
                self._loop.call_soon(self._flush)
            self._unsent.append(packed)
            if len(self._unsent) == _BURST:
                self._flush()
        return reply

    def _send_next(self) -> None:
        while self._unsent and self.open and len(self.waiting) - len(self._unsent) < self._at_once:
            self._write(self._unsent.popleft())

    def _flush(self) -> None:
        if self._unsent and self.open:
            self._write(b"".join(self._unsent))
        self._unsent.clear()

    def _write(self, data: bytes) -> None:
        try:
            self._transport.write(data)
        except RuntimeError:
            # uvloop raises this for a closed connection.
            self._give_up(ConnectionError("the store closed the connection"))
        self._writes.add()

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        replies = self._replies
        replies.feed(data)
        try:
            while self.open and (reply := replies.gets()) is not _NOTHING:
                self._answer(reply)
        except hiredis.HiredisError as error:
            self._give_up(ConnectionError(str(error)))

    def connection_lost(self, error: Exception | None) -> None:
        self._gone.set()
        self._give_up(ConnectionError(str(error or "the store closed the connection")))

    def _answer(self, reply: Any) -> None:
        waiting = self.waiting.popleft()
        if self._at_once:
            self._send_next()
        # A cancelled request keeps its place here, so that each reply goes to the right request.
        if waiting.done():
            return
        if isinstance(reply, ResponseError):
            waiting.set_exception(reply)
            if isinstance(reply, ReadOnlyError):
                # Another server is the primary: a new connection finds it, through sentinels or the name in the URL.
                self._give_up(ConnectionError("the store is a replica"))
        else:
            waiting.set_result(reply)

    def _watch(self) -> None:
        silent = self._loop.time() - self._heard
        if self.waiting and silent >= self._timeout:
            self._give_up(TimeoutError("the store does not answer"))
            return
        pause = self._timeout - silent if self.waiting else self._timeout
        self._watching = self._loop.call_later(pause, self._watch)

    def _give_up(self, error: Exception) -> None:
        """Fails each call in flight, once."""
        self.open = False
        self._watching.cancel()
        self._connection._close()  # type: ignore[no-untyped-call]
        self._transport.abort()
        while self.waiting:
            waiting = self.waiting.popleft()
            if not waiting.done():
                waiting.set_exception(error)

    async def close(self) -> None:
        self._give_up(ConnectionError("the broker is stopping"))
        await self._gone.wait()


def _error(text: str) -> ResponseError:
    if text.startswith("NOSCRIPT"):
        return NoScriptError(text)
    if text.startswith("OOM"):
        return OutOfMemoryError(text)
    if text.startswith("READONLY"):
        return ReadOnlyError(text)
    return ResponseError(text)
