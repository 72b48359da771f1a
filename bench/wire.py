"""One HTTP connection as raw as it gets: a request out, the answer's status and body back, nothing in between."""

import asyncio
from typing import cast

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Wire(asyncio.Protocol):
    """Keeps one request under way. Subclasses say what comes of an answer."""

    transport: asyncio.Transport
    _part = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of it.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._part:
            data = self._part + data
        end = data.find(_END)
        if end < 0:
            self._part = data
            return
        at = data.find(_LENGTH, 0, end)
        if at < 0:
            at = data.lower().find(_LENGTH, 0, end)
        # An answer without a length has no body: 204.
        length = int(data[at + len(_LENGTH) : data.index(b"\r", at)]) if at >= 0 else 0
        if len(data) < end + 4 + length:
            self._part = data
            return
        self._part = b""
        self.answered(data, end + 4)

    def answered(self, answer: bytes, body: int) -> None:
        """A whole answer, whose body begins at ``body``; bytes 9 to 12 are its status."""
        raise NotImplementedError
