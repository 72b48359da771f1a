"""uvicorn's HTTP protocol, with bounds on a request's head, on its time, and on what is read ahead.

A connection may send many requests before it has an answer. They are parsed in slices, and only a few ahead.
"""

import asyncio
import logging
import os
import socket
from collections import deque
from copy import copy
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from broker.api.requests import SERVED, Served
from broker.server.exchange import ID_HEADER, Direct, Exchange, HotCalls, given_id, new_id
from broker.server.logs import request_id
from broker.settings import Settings

log = logging.getLogger(__name__)

_AHEAD = 16
"""Requests of a connection that are parsed before their turn."""

_AHEAD_BYTES = 64 << 10
"""The same, in bytes of their heads and bodies."""

_SLICE = 1024
"""Bytes that are parsed at once. The parser cannot stop in between, and they may hold fifty requests."""

_TLS = b"\x16\x03"
"""The first bytes of a TLS client."""

_NOTHING = memoryview(b"")
_EMPTY = b""


class Protocol(HttpToolsProtocol):
    """A connection. The clock runs only while a request is incomplete: a request that comes whole costs nothing
    here.
    """

    max_head: int
    """Bytes of request line and headers. What comes in one slice with the end of the head is not counted."""

    request_timeout: float
    """Seconds from the first byte of a request to its last, and from the connection to the first byte."""

    flow: "_Flow"

    cycle: Exchange
    """The last request whose head has come."""

    pipeline: deque[tuple[Exchange, ASGI3Application]]  # type: ignore[assignment]

    _running: Exchange | None = None
    """The request that is answered now."""

    _unparsed = _NOTHING
    """What was read and will be parsed when there is room. Nothing more is read until then."""

    _ahead = 0
    _body = 0
    _half_closed: socket.socket | None = None
    _reading_head = True
    _head = 0
    _ignore_rest = False
    _id = b"-"
    _nothing_read = True
    _delayed = False
    _calls: HotCalls | None = None
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.flow = _Flow(self)
        self._calls = self.app_state.get("hot")
        self._run_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._ignore_rest, self._unparsed = True, _NOTHING
        self.pipeline.clear()
        if self._running is not None:
            self._running.lose()
        if self._half_closed is not None:
            self._half_closed.close()
        self.flow.end()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays open: a client that sends no more may still read its answers."""
        running = self._running
        if running is None or running.more_body:
            return False
        try:
            self._half_closed = socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))
        except OSError:
            return False
        running.half_close(self._half_closed)
        return True

    def data_received(self, data: bytes) -> None:
        if self._ignore_rest:
            return
        self._unset_keepalive_if_required()
        if len(data) <= _SLICE and self._reading_head and not self.pipeline:
            self._feed(data)
        else:
            self._parse(memoryview(data))

    def parse_unparsed(self) -> None:
        """Parses as much as there is room for, and then reads more."""
        if self._unparsed and not self._is_full():
            self._parse(self._unparsed)
        if not self._unparsed and not self._is_full() and self._half_closed is None:
            self.flow.resume()

    def _parse(self, data: memoryview) -> None:
        while data and not self._ignore_rest and not self._is_full():
            size = self._slice()
            self._feed(data[:size])
            data = data[size:]
        self._unparsed = _NOTHING if self._ignore_rest else data
        if self._unparsed or self._is_full():
            self.flow.pause_reading()

    def _is_full(self) -> bool:
        if len(self.pipeline) >= _AHEAD or self._ahead >= _AHEAD_BYTES:
            return True
        return self._running is not None and len(self._running.body) > HIGH_WATER_LIMIT

    def _slice(self) -> int:
        """Bytes to parse next: of a body whose length is known, as many as it has left."""
        if self._reading_head:
            return _SLICE
        declared = next((int(value) for name, value in self.headers if name == b"content-length"), 0)
        return max(_SLICE, min(declared - self._body, HIGH_WATER_LIMIT))

    def _feed(self, data: bytes | memoryview) -> None:
        if self._reading_head:
            self._head += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Clients offer HTTP/2 with each first request: not worth a warning.
            pass
        except httptools.HttpParserError:
            self._refuse(data)
            return
        if self._head or not self._reading_head:
            self._limit_partial()

    def _refuse(self, data: bytes | memoryview) -> None:
        client = ":".join(map(str, self.client or ()))
        why = ": it speaks TLS, this port plain HTTP" if self._nothing_read and data[:2] == _TLS else ""
        request_id.set(self._own_id())
        log.warning("Invalid HTTP request received from %s%s", client, why)
        self.send_400_response("Invalid HTTP request received.")

    def _limit_partial(self) -> None:
        if self.transport.is_closing():
            return
        if self._reading_head and self._head > self.max_head:
            self.send_400_response("Request headers too large.")
        elif self._deadline is None or self._nothing_read:
            self._nothing_read = False
            self._stop_clock()
            self._run_clock()

    def on_message_begin(self) -> None:
        # Without the scope that uvicorn creates here: a hot call needs none.
        self.url = _EMPTY
        self.headers = []
        self._id = _EMPTY

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._reading_head = False
        self._body = 0
        made = self._direct() or self._exchange()
        last, self.cycle = self.cycle, made
        if last is None or last.response_complete:
            self._start(made)
        else:
            made.size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            self._ahead += made.size
            self.pipeline.appendleft((made, self.app))

    def _direct(self) -> Direct | None:
        """The exchange of a hot call that is served without ASGI; None for other calls."""
        calls = self._calls
        if calls is None or (hot := calls.find(self.parser.get_method(), self.url)) is None:
            return None
        # If a name is repeated, the first counts.
        headers = dict(reversed(self.headers))
        if b"expect" in headers or b"upgrade" in headers:
            return None
        id = given_id(self.headers) if ID_HEADER in headers else None
        return Direct(self, calls, hot, headers, id or self._own_id())

    def _exchange(self) -> Exchange:
        parser, url, headers = self.parser, httptools.parse_url(self.url), self.headers
        version, path = parser.get_http_version(), url.path.decode("ascii")
        scope: HTTPScope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": self.scheme or "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "root_path": self.root_path,
            "headers": headers,
            "client": self.client,
            "server": self.server,
            "state": self.app_state.copy(),
        }
        id = given_id(headers) or self._own_id()
        made = Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=[*self.server_state.default_headers, (ID_HEADER, id)],
            message_event=asyncio.Event(),
            expect_100_continue=any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers),
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        scope[SERVED] = Served(made, id)  # type: ignore[literal-required]
        if parser.should_upgrade():
            # The parser takes the rest for another protocol: this is the last request of the connection.
            self._ignore_rest = True
            made.keep_alive = False
        return made

    def _own_id(self) -> bytes:
        """The id of a request whose client sends none."""
        self._id = self._id or new_id()
        return self._id

    def _start(self, exchange: Exchange) -> None:
        self._running = exchange
        if self._half_closed is not None:
            if exchange.more_body:
                # The rest of it never comes.
                self.transport.close()
                return
            exchange.half_close(self._half_closed)
        if type(exchange) is Direct:
            exchange.start(self.loop, self.tasks)
        else:
            self._start_asgi_task(exchange, self.app)

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if cycle is not self._running:
            cycle.size += len(body)
            self._ahead += len(body)
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._reading_head = True
        self._head = 0
        if self._deadline is not None:
            self._stop_clock()
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        if self._running is not None:
            # They refer to each other: without this, each request would be left to the garbage collector.
            self._running.scope.pop(SERVED, None)  # type: ignore[misc]
            self._running = None
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        if self.pipeline:
            exchange, _ = self.pipeline.pop()
            self._ahead -= exchange.size
            self._start(exchange)
        if self.flow.read_paused:
            self.parse_unparsed()
        if self._running is not None:
            return
        if self._half_closed is not None:
            self.transport.close()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _run_clock(self) -> None:
        self._deadline = self.loop.call_later(self.request_timeout, self._too_slow)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        # While an earlier request of this connection is not answered, this one waits; its time begins after that.
        delayed = self._is_delayed()
        if delayed or self._delayed:
            self._run_clock()
        else:
            self.transport.abort()
        self._delayed = delayed

    def _is_delayed(self) -> bool:
        if self._reading_head:
            return self.cycle is not None and not self.cycle.response_complete
        return bool(self.pipeline) or self.flow.read_paused

    def send_400_response(self, msg: str) -> None:
        self._ignore_rest = True
        shared, self.server_state = self.server_state, copy(self.server_state)
        self.server_state.default_headers = [*shared.default_headers, (ID_HEADER, self._own_id())]
        super().send_400_response(msg)
        self.server_state = shared


class _Flow(FlowControl):
    """Nothing is read while something is not parsed yet, or too much is not answered yet."""

    def __init__(self, connection: Protocol) -> None:
        super().__init__(connection.transport)
        self._connection: Protocol | None = connection

    def resume_reading(self) -> None:
        if self.read_paused and self._connection is not None:
            self._connection.parse_unparsed()

    def resume(self) -> None:
        super().resume_reading()

    def end(self) -> None:
        self._connection = None


def bounded(settings: Settings) -> type[Protocol]:
    """The protocol with the bounds of these settings."""

    class Bounded(Protocol):
        max_head = settings.max_head
        request_timeout = settings.request_timeout

    return Bounded
