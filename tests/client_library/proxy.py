"""A proxy between a client and the broker that loses answers: the broker carries a call out, and no answer comes."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx

_BROKEN = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 55\r\n\r\n"
    b'{"ok":false,"code":"internal","message":"Out of paper"}'
)


class Proxy:
    def __init__(self, url: str, port: int = 0) -> None:
        self._broker = httpx.URL(url)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[str] = []
        """The path of each request that was passed on."""
        self.instead: Callable[[bytes], bytes | None] = lambda request: None
        """What it answers in the place of the broker, if anything."""
        self._lose: dict[str, int] = {}
        self._hold: dict[str, int] = {}
        self._break: dict[str, int] = {}
        self._closed = threading.Event()
        self._clients: set[socket.socket] = set()

    def lose(self, path: str, times: int = 1) -> None:
        """Loses the next answers to requests whose path begins so."""
        self._lose[path] = times

    def break_down(self, path: str, times: int = 1) -> None:
        """The next requests whose path begins so are answered with 500, and not passed on."""
        self._break[path] = times

    def hold(self, path: str, *, after: int = 0) -> None:
        """Loses all answers to requests whose path begins so, except the first ``after``."""
        self._hold[path] = after

    def count(self, path: str) -> int:
        return sum(asked.startswith(path) for asked in self.asked)

    def cut(self) -> None:
        """Ends the connections of all clients."""
        for client in list(self._clients):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

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
        self._clients.add(client)
        with client, suppress(OSError), socket.create_connection(where) as broker:
            while request := _message(client):
                path = request.split(b" ", 2)[1].decode()
                self.asked.append(path)
                if answer := self.instead(request):
                    client.sendall(answer)
                    continue
                if _counted_down(self._break, path, at_end=False):
                    client.sendall(_BROKEN)
                    continue
                broker.sendall(request)
                answer = _message(broker)
                if _counted_down(self._hold, path, at_end=True):
                    self._closed.wait(60)
                if _counted_down(self._lose, path, at_end=False):
                    return
                client.sendall(answer)


def _counted_down(counts: dict[str, int], path: str, *, at_end: bool) -> bool:
    """Whether a count for this path was left; takes one of it."""
    for start, left in counts.items():
        if path.startswith(start):
            counts[start] = max(0, left - 1)
            return (left == 0) is at_end
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
        thread.join(20)
        assert not thread.is_alive()
