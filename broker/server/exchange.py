"""A request and its answer on a connection of ``protocol.py``, its id, and what a handler may ask of its client."""

import asyncio
import fcntl
import logging
import re
import secrets
import socket
import struct
import sys
import termios
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import count
from typing import Any, Protocol

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from broker.api.responses import Answer, Reply

ID_HEADER = b"x-request-id"
_ID = re.compile(rb"[!-~]{1,128}")
_process = secrets.token_hex(4).encode()
_number = count(1).__next__

_CLOSED = 7
"""The state of a TCP connection that was reset, in Linux's ``tcp_info``."""

_LONGEST_WAIT = 1.0
"""Seconds in which a client that sends nothing more must receive its answer."""


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
    """Bytes of its head and body, while it waits for earlier requests."""

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

    def whole_body(self) -> bytes | None:
        """The body, once, if all of it was received and the client does not wait for 100 Continue."""
        if self.more_body or self.disconnected or self.waiting_for_100_continue:
            return None
        body, self.body = bytes(self.body), bytearray()
        if self.flow.read_paused:
            self.flow.resume_reading()
        return body

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


class HotCalls(Protocol):
    """What serves hot calls: :class:`broker.app.HotCalls`."""

    def find(self, method: bytes, url: bytes) -> Any:
        """The hot call that this first line names, or None."""

    async def serve(self, hot: Any, exchange: "Direct") -> None:
        """Serves what was found."""


class Direct(Exchange):
    """The exchange of a hot call, without ASGI's scope, receive and send. What only they need is created on demand."""

    logger = logging.getLogger("uvicorn.error")
    access_log = False
    scope: Any = {"method": "GET"}  # noqa: RUF012
    """For any method except HEAD, which no hot call has."""

    disconnected = False
    waiting_for_100_continue = False
    body = b""  # type: ignore[assignment]
    more_body = True
    response_started = False
    response_complete = False
    chunked_encoding = None
    expected_content_length = 0

    _tasks: "set[asyncio.Task[None]]"
    _task: "asyncio.Task[None]"

    def __init__(
        self, connection: HttpToolsProtocol, calls: HotCalls, hot: object, headers: dict[bytes, bytes], id: bytes
    ) -> None:
        parser = connection.parser
        self._calls = calls
        self._hot = hot
        self.headers = headers
        self.id = id
        self.transport = connection.transport
        self.flow = connection.flow
        self._state = connection.server_state
        self.on_response = connection.on_response_complete
        # HTTP/1.0 keeps a connection only for a client that asks for it, and uvicorn not even then.
        asked = b"connection" in headers and parser.get_http_version() == "1.0"
        self.keep_alive = parser.should_keep_alive() and not asked
        self.message_event = _NOBODY  # type: ignore[assignment]

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        return [*self._state.default_headers, (ID_HEADER, self.id)]

    def start(self, loop: asyncio.AbstractEventLoop, tasks: "set[asyncio.Task[None]]") -> None:
        """Begins to serve it, in a task that is in ``tasks`` until it ends: a stop waits for those."""
        self._tasks = tasks
        self._task = loop.create_task(self._run())
        tasks.add(self._task)

    async def _run(self) -> None:
        """As :meth:`run_asgi`."""
        try:
            await self._calls.serve(self._hot, self)
        except BaseException as error:
            self.logger.error("Exception in ASGI application\n", exc_info=error)
            if not self.response_started:
                await self.send_500_response()
            else:
                self.transport.close()
        finally:
            self._tasks.discard(self._task)
            # They refer to each other: without this, each request would be left to the garbage collector.
            self.on_response = _nothing

    def receive(self) -> Coroutine[None, None, Any]:
        """For a body that was not received at once."""
        if self.message_event is _NOBODY:  # type: ignore[comparison-overlap]
            self.message_event = asyncio.Event()
            if self.body or not self.more_body or self.disconnected:
                self.message_event.set()
        return super().receive()

    def answer(self, reply: Answer) -> Awaitable[None] | None:
        """Sends the reply. None: it was sent at once."""
        lines = reply.lines() if isinstance(reply, Reply) else None
        if lines is None or self.flow.write_paused or self.transport.is_closing():
            return reply(self.scope, self.receive, self.send)  # type: ignore[arg-type]
        if not self.disconnected:
            self._write(reply.status, *lines)
        return None

    def _write(self, status: int, lines: bytes, body: bytes) -> None:
        """Writes what :meth:`send` writes for a start and a whole body."""
        head = [STATUS_LINE[status]]
        for name, value in self._state.default_headers:
            head += (name, b": ", value, b"\r\n")
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        head += (b"x-request-id: ", self.id, b"\r\n", lines, end, body)
        self.response_started = True
        self.transport.write(b"".join(head))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class _Nobody:
    """An event for which nobody waits."""

    def set(self) -> None:
        pass


_NOBODY = _Nobody()


def _nothing() -> None:
    pass
