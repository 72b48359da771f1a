"""A request and its answer on a connection of ``protocol.py``, its id, and what a handler may ask of its client."""

import asyncio
import fcntl
import re
import secrets
import socket
import struct
import sys
import termios
from collections.abc import Callable, Coroutine, Iterable
from itertools import count

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

ID_HEADER = b"x-request-id"
_ID = re.compile(rb"[!-~]{1,128}")
_process = secrets.token_hex(4).encode()
_number = count(1).__next__

_CLOSED = 7
"""The state of a TCP connection that was reset, in Linux's ``tcp_info``."""

_LONGEST_WAIT = 1.0
"""Seconds for a client that sends no more to take its answer."""


def new_id() -> bytes:
    """For a request whose client sends no id: different from those of all other processes."""
    return b"%b-%x" % (_process, _number())


def given_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The id that the client sent, if it has 1 to 128 visible ASCII characters."""
    for name, value in headers:
        if name == ID_HEADER and _ID.fullmatch(value):
            return value
    return None


class Exchange(RequestResponseCycle):
    """uvicorn's cycle, which also knows whether its answer was written, and when its client leaves."""

    size = 0
    """Bytes of its head and body, while it waits for those before it."""

    _half_closed: socket.socket | None = None
    _leaving: Callable[[], None] | None = None

    @property
    def gone(self) -> bool:
        """Whether no answer can be written any more."""
        return self.disconnected or self.transport.is_closing()

    def on_leave(self, leaving: Callable[[], None] | None) -> None:
        """Calls ``leaving`` once, when the client has gone or sends nothing more. None: calls nothing."""
        self._leaving = leaving
        if self.gone or self._half_closed is not None:
            self._leave()

    def half_close(self, connection: socket.socket) -> None:
        """The client sends nothing more on this connection."""
        self._half_closed = connection
        self._leave()

    def lose(self) -> None:
        """The connection is lost."""
        if not self.response_complete:
            self.disconnected = True
        self.message_event.set()
        self._leave()

    def _leave(self) -> None:
        leaving, self._leaving = self._leaving, None
        if leaving is not None:
            leaving()

    def send(self, message: ASGISendEvent) -> Coroutine[None, None, None]:
        """Writes nothing to a connection that is closing: the answer is complete only if all of it was written."""
        if self.flow.write_paused or self.transport.is_closing():
            return self._send_if_open(message)
        return super().send(message)

    async def _send_if_open(self, message: ASGISendEvent) -> None:
        while self.flow.write_paused and not self.gone:
            await self.flow.drain()
        if self.gone:
            self.disconnected = True
        else:
            await super().send(message)

    async def received(self) -> bool:
        """Whether the answer was written to an open connection; to be asked as soon as it was sent.

        A client that sends no more may have left altogether. Then its host resets the connection when the answer comes.
        """
        if not self.response_complete:
            return False
        if self._half_closed is None or not sys.platform.startswith("linux"):
            return True
        # A copy stays open when the connection is closed.
        with self._half_closed.dup() as connection:
            return await self._acknowledged(connection)

    async def _acknowledged(self, connection: socket.socket) -> bool:
        wait = 0.001
        while wait < _LONGEST_WAIT:
            await asyncio.sleep(wait)
            if connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSED:
                return False
            (under_way,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0"))
            if not under_way and not self.transport.get_write_buffer_size():
                return True
            wait *= 2
        return True
