"""uvicorn's HTTP protocol, with a bound on the head of a request, which it has none for, and with ids of requests."""

from copy import copy

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from broker import request_id

LARGEST_HEAD = 65_536
"""Bytes of request line and headers; what comes in one read with the end of the head is let through."""


class Protocol(HttpToolsProtocol):
    _reading_head = True
    _head = 0
    _deaf = False
    _id = b"-"

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._reading_head:
            self._head += len(data)
        super().data_received(data)
        if self._reading_head and self._head > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("Request headers too large.")

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
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        shared, self.server_state = self.server_state, copy(self.server_state)
        self.server_state.default_headers = [*shared.default_headers, (request_id.HEADER, self._id)]
        super().send_400_response(msg)
        self.server_state = shared

    def _unsupported_upgrade_warning(self) -> None:
        """Clients offer HTTP/2 with each first request; that is nothing to warn of."""
