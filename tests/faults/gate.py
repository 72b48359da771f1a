"""A TCP proxy before the store, as a balancer may be: it lets connections through, or accepts and resets them."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends RST."""


class Gate:
    def __init__(self, port: int) -> None:
        """``port``: of the store, on this machine."""
        self._store = port
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._shut = False
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def shut(self) -> None:
        """Resets all connections, and from now on each new one at once."""
        self._shut = True
        asyncio.run_coroutine_threadsafe(self._reset(*self._writers), self._loop).result(10)

    def open(self) -> None:
        self._shut = False

    @contextmanager
    def running(self) -> Iterator["Gate"]:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connect, "127.0.0.1", 0), self._loop
        ).result(10)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(server.close)
            self.shut()
            asyncio.run_coroutine_threadsafe(self._rest(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._shut:
            await self._reset(writer)
            return
        from_store, to_store = await asyncio.open_connection("127.0.0.1", self._store)
        self._writers |= {writer, to_store}
        await asyncio.gather(self._carry(reader, to_store), self._carry(from_store, writer))

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        self._writers.discard(target)
        target.close()

    async def _reset(self, *writers: asyncio.StreamWriter) -> None:
        for writer in writers:
            if (its := writer.get_extra_info("socket")) is not None and not writer.is_closing():
                its.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def _rest(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
