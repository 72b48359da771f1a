"""uvicorn's HTTP protocol, with what it lacks: bounds on the head of a request and on its time, and ids of requests."""

import asyncio
from copy import copy

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from broker.server import request_id
from broker.settings import Settings


class Protocol(HttpToolsProtocol):
    """A connection. A request that has come in whole costs nothing here: the clock runs while one has come in part."""

    max_head: int
    """Bytes of request line and headers; what comes in one read with the end of the head is let through."""

    request_timeout: float
    """Seconds from the first byte of a request to its last, and from the connection to the first byte."""

    _reading_head = True
    _head = 0
    _deaf = False
    _id = b"-"
    # Nothing has come yet on this connection.
    _silent = True
    _held_up = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._run_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._reading_head:
            self._head += len(data)
        super().data_received(data)
        if self._head or not self._reading_head:
            self._come_in_part()

    def _come_in_part(self) -> None:
        if self.transport.is_closing():
            return
        if self._reading_head and self._head > self.max_head:
            self.send_400_response("Request headers too large.")
        elif self._deadline is None or self._silent:
            self._silent = False
            self._stop_clock()
            self._run_clock()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # Now, so that a line about a head that is no HTTP has it as well.
        self._id = request_id.made()
        request_id.current.set(self._id)

    def on_headers_complete(self) -> None:
        self._reading_head = False
        super().on_headers_complete()
        id = request_id.given(self.headers) or self._id
        self.scope[request_id.KEY] = id  # type: ignore[literal-required]
        self.cycle.default_headers = [*self.cycle.default_headers, (request_id.HEADER, id)]
        if self.parser.should_upgrade():
            # The parser takes the rest for another protocol's: this is the connection's last request.
            self._deaf = True
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._reading_head = True
        self._head = 0
        if self._deadline is not None:
            self._stop_clock()
        super().on_message_complete()

    def _run_clock(self) -> None:
        self._deadline = self.loop.call_later(self.request_timeout, self._too_slow)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        # While an earlier request of this connection is not answered, this one waits, and has all its time after that.
        held_up = self._is_held_up()
        if held_up or self._held_up:
            self._run_clock()
        else:
            self.transport.abort()
        self._held_up = held_up

    def _is_held_up(self) -> bool:
        if self._reading_head:
            return self.cycle is not None and not self.cycle.response_complete
        return bool(self.pipeline) or self.flow.read_paused

    def send_400_response(self, msg: str) -> None:
        shared, self.server_state = self.server_state, copy(self.server_state)
        self.server_state.default_headers = [*shared.default_headers, (request_id.HEADER, self._id)]
        super().send_400_response(msg)
        self.server_state = shared

    def _unsupported_upgrade_warning(self) -> None:
        """Clients offer HTTP/2 with each first request; that is nothing to warn of."""


def bounded(settings: Settings) -> type[Protocol]:
    """The protocol with the bounds of these settings."""

    class Bounded(Protocol):
        max_head = settings.max_head
        request_timeout = settings.request_timeout

    return Bounded
