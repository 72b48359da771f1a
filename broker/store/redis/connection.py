"""Opens connections to one server of the store. Every failure is raised as an error of redis-py, and logged."""

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
"""Bytes of a server's last message that are passed on."""


class Connector:
    def __init__(self, pool: ConnectionPool, name: str, *, tell: bool) -> None:
        """``name``: of the server, for the log; ``tell``: whether errors are logged."""
        self._pool = pool
        self._name = name
        self._tell = tell
        self._failing = False
        """Whether the last line in the log was that it cannot be reached."""
        self._said: dict[str, float] = {}
        """When each error was last logged: a server that comes and goes must not fill the log."""

    async def open(self) -> AbstractConnection:
        """An open, authenticated connection. Raises :class:`RedisError` or :class:`OSError`, nothing else."""
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
            # redis-py leaves it open when it is cancelled during the handshake.
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
    """The handshake of redis-py on a new connection. Raises :class:`RedisError` or :class:`OSError`, nothing else."""
    reader = connection._reader
    try:
        await connection.on_connect()
    except (RedisError, OSError, RuntimeError) as error:
        # A server that closes the connection at once, because it has too many clients, may have sent the reason.
        # redis-py only reports that it could not write; uvloop raises a RuntimeError if it was closed before that.
        last_words = bytes(reader._buffer) if reader is not None else b""  # type: ignore[attr-defined]
        if last_words.startswith(b"-"):
            text = last_words[1:_LAST_WORDS].decode(errors="replace").strip()
            raise ConnectionError(f"the store closed the connection: {text}") from error
        if isinstance(error, RuntimeError):
            raise ConnectionError("the store closed the connection before the handshake") from error
        raise


def taken_over(connection: AbstractConnection, protocol: asyncio.Protocol) -> asyncio.Transport:
    """Takes over a connection that redis-py has opened: from now on, the replies go to ``protocol``."""
    reader, writer = connection._reader, connection._writer
    if (
        reader is None
        or writer is None
        or reader.at_eof()
        or reader.exception() is not None
        or writer.transport.is_closing()
    ):
        # redis-py was notified of the end of the connection; ``protocol`` would not be.
        connection._close()  # type: ignore[no-untyped-call]
        raise ConnectionError("the store closed the connection")
    transport: asyncio.Transport = writer.transport  # type: ignore[assignment]
    transport.set_protocol(protocol)
    return transport


def message(error: Exception) -> str:
    """The error's text without redis-py's objects, which it adds for each sentinel that does not answer."""
    text, silent, _ = str(error).partition(" : <redis")
    return f"{text}, and not every sentinel answers" if silent else text
