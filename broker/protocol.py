"""uvicorn's HTTP protocol, with a bound on the head of a request, which it has none for."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 65_536
"""Bytes of request line and headers; what comes in one read with the end of the head is let through."""


class Protocol(HttpToolsProtocol):
    _reading_head = True
    _head = 0
    _deaf = False

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._reading_head:
            self._head += len(data)
        super().data_received(data)
        if self._reading_head and self._head > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("Request headers too large.")

    def on_headers_complete(self) -> None:
        self._reading_head = False
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # The parser takes the rest for another protocol's: this is the connection's last request.
            self._deaf = True
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._reading_head = True
        self._head = 0
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Clients offer HTTP/2 with each first request; that is nothing to warn of."""
