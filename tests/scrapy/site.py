"""A site on this machine: its pages, and the requests that it got."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


@dataclass(frozen=True)
class Page:
    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    """Until it is answered."""


class Seen(NamedTuple):
    path: str
    host: str
    began: float
    """Of time.monotonic()."""


def linked(*paths: str) -> str:
    return "".join(f'<a href="{path}">{path}</a>' for path in paths)


def tree(pages: int, *, children: int = 3, seconds: float = 0) -> dict[str, Page]:
    """Pages /0, /1, ..., each linked from an earlier one, and all to the first and to themselves."""
    return {
        f"/{n}": Page(
            body=linked(
                *(f"/{child}" for child in range(n * children + 1, (n + 1) * children + 1) if child < pages),
                "/0",
                f"/{n}",
            ),
            seconds=seconds,
        )
        for n in range(pages)
    }


@dataclass
class Site:
    port: int = 0
    pages: dict[str, "Page | Callable[[int], Page]"] = field(default_factory=dict)
    """A function is given how often the path was asked for before."""
    seen: list[Seen] = field(default_factory=list)
    at_once: Counter[str] = field(default_factory=Counter)
    most_at_once: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str = "/0", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def count(self, path: str) -> int:
        return sum(seen.path == path for seen in self.seen)

    def counts(self) -> Counter[str]:
        return Counter(seen.path for seen in self.seen)

    def begins(self, host: str = "127.0.0.1") -> Sequence[float]:
        return sorted(seen.began for seen in self.seen if seen.host == host)

    def answer(self, path: str, host: str) -> Page:
        with self.lock:
            before = self.count(path)
            self.seen.append(Seen(path, host, time.monotonic()))
            self.at_once[host] += 1
            self.most_at_once[host] = max(self.most_at_once[host], self.at_once[host])
        page = self.pages.get(path, Page(404))
        page = page if isinstance(page, Page) else page(before)
        time.sleep(page.seconds)
        with self.lock:
            self.at_once[host] -= 1
        return page


@contextmanager
def served(pages: "dict[str, Page | Callable[[int], Page]] | None" = None) -> Iterator[Site]:
    site = Site(pages=pages or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            page = site.answer(self.path, (self.headers["Host"] or "").partition(":")[0])
            body = page.body.encode()
            self.send_response(page.status)
            for name, value in {"Content-Type": "text/html", **page.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A crawler was killed."""

    server = Server(("127.0.0.1", 0), Handler)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
