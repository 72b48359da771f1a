"""Opens connections to one server of the store. Whatever goes wrong is an error of redis-py, and the log says it."""

import asyncio
import logging
import time

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError, RedisError

log = logging.getLogger(__name__)

_SAY_AGAIN = 30.0
"""Seconds after which the log repeats an error."""

_ERRORS = 20
"""Different errors that are remembered for that."""

_LAST_WORDS = 200
"""Bytes of them that are passed on."""


class Connector:
    def __init__(self, pool: ConnectionPool, name: str, *, tell: bool) -> None:
        """``name``: of the server, for the log; ``tell``: whether the log is told of errors."""
        self._pool = pool
        self._name = name
        self._tell = tell
        self._failing = False
        """Whether the log's last word was that it cannot be reached."""
        self._said: dict[str, float] = {}
        """When the log was told of which error: a server that comes and goes must not fill it."""

    async def open(self) -> AbstractConnection:
        """One that has greeted the server. Raises :class:`RedisError` or :class:`OSError`, nothing else."""
        try:
            connection = await self._open()
        except (RedisError, OSError) as error:
            self._failed(error)
            raise
        except Exception as error:
            unforeseen = ConnectionError(repr(error))
            self._failed(unforeseen)
            raise unforeseen from error
        if self._failing:
            self._failing = False
            log.info("%s is reached again", self._name)
        return connection

    async def _open(self) -> AbstractConnection:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            # redis-py leaves it open when it is cancelled while it greets the server.
            connection._close()  # type: ignore[no-untyped-call]
            raise
        return connection

    def _failed(self, error: Exception) -> None:
        text, now = message(error), time.monotonic()
        if not self._tell or now < self._said.get(text, 0) + _SAY_AGAIN:
            return
        if len(self._said) >= _ERRORS:
            self._said.clear()
        self._said[text] = now
        self._failing = True
        log.warning("%s cannot be reached: %s", self._name, text)

    async def aclose(self) -> None:
        await self._pool.aclose()


async def greet(connection: AbstractConnection) -> None:
    """What redis-py does on a new connection. Raises :class:`RedisError` or :class:`OSError`, nothing else."""
    reader = connection._reader
    try:
        await connection.on_connect()
    except (RedisError, OSError, RuntimeError) as error:
        # A server that hangs up at once, because it has too many clients, may have said why. redis-py tells that it
        # could not write; uvloop raises a RuntimeError when it knew before the first write.
        last_words = bytes(reader._buffer) if reader is not None else b""  # type: ignore[attr-defined]
        if last_words.startswith(b"-"):
            text = last_words[1:_LAST_WORDS].decode(errors="replace").strip()
            raise ConnectionError(f"the store hung up and said: {text}") from error
        if isinstance(error, RuntimeError):
            raise ConnectionError("the store hung up before it was greeted") from error
        raise


def taken_over(connection: AbstractConnection, protocol: asyncio.Protocol) -> asyncio.Transport:
    """redis-py has opened the connection and greeted the server; from here on its replies come to ``protocol``."""
    reader, writer = connection._reader, connection._writer
    if (
        reader is None
        or writer is None
        or reader.at_eof()
        or reader.exception() is not None
        or writer.transport.is_closing()
    ):
        # The end was told to redis-py, and would not be told again.
        connection._close()  # type: ignore[no-untyped-call]
        raise ConnectionError("the store hung up")
    transport: asyncio.Transport = writer.transport  # type: ignore[assignment]
    transport.set_protocol(protocol)
    return transport


def message(error: Exception) -> str:
    """Without the inside of redis-py's objects, which it adds for each sentinel that does not answer."""
    text, silent, _ = str(error).partition(" : <redis")
    return f"{text}, and not every sentinel answers" if silent else text
