"""Stands between a client and the broker, and loses answers: what was asked is done, and nobody hears of it."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx


class Proxy:
    def __init__(self, url: str, port: int = 0) -> None:
        self._broker = httpx.URL(url)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[str] = []
        """The path of each request that was passed on."""
        self._lose: dict[str, int] = {}
        self._hold: str | None = None
        self._closed = threading.Event()

    def lose(self, path: str, times: int = 1) -> None:
        """The next answers to requests whose path begins so."""
        self._lose[path] = times

    def hold(self, path: str) -> None:
        """From now on, answers to requests whose path begins so do not come."""
        self._hold = path

    def count(self, path: str) -> int:
        return sum(asked.startswith(path) for asked in self.asked)

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._pass_on, args=(self._listener.accept()[0],), daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        # Closing alone would leave accept() waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass_on(self, client: socket.socket) -> None:
        where = (self._broker.host, self._broker.port or 80)
        with client, suppress(OSError), socket.create_connection(where) as broker:
            while request := _message(client):
                path = request.split(b" ", 2)[1].decode()
                self.asked.append(path)
                broker.sendall(request)
                answer = _message(broker)
                if self._hold and path.startswith(self._hold):
                    self._closed.wait()
                if self._is_to_be_lost(path):
                    return
                client.sendall(answer)

    def _is_to_be_lost(self, path: str) -> bool:
        for start, times in self._lose.items():
            if path.startswith(start) and times:
                self._lose[start] -= 1
                return True
        return False


def _message(connection: socket.socket) -> bytes:
    """A request or an answer; nothing at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0:
        chunk = connection.recv(missing)
        if not chunk:
            return b""
        data, missing = data + chunk, missing - len(chunk)
    return data


@contextmanager
def a_proxy(url: str, port: int = 0) -> Iterator[Proxy]:
    proxy = Proxy(url, port)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
