"""A site to crawl, which notes how politely it was asked."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from itertools import pairwise
from typing import Any, NamedTuple

from tests.serving import free_port


class Request(NamedTuple):
    at: float
    path: str


class Reply(NamedTuple):
    status: int
    text: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


class Site:
    """Answers a path with its replies, one after the other, the last one again and again; and notes each request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.replies: dict[str, list[Reply]] = {}
        self.seen: list[Request] = []

    def answer(self, path: str) -> Reply:
        self.seen.append(Request(time.time(), path))
        replies = self.replies.get(path, [Reply(404)])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply.headers.get("Retry-After") == "a date":
            return reply._replace(headers={"Retry-After": formatdate(time.time() + 5, usegmt=True)})
        return reply

    def times(self, path: str) -> list[float]:
        return [request.at for request in self.seen if request.path == path]

    def pauses(self) -> list[float]:
        times = [request.at for request in self.seen]
        return [after - before for before, after in pairwise(times)]


@contextmanager
def served() -> Iterator[Site]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text, headers = site.answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    site = Site(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
