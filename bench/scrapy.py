"""How fast is a Scrapy spider with the broker, against Scrapy's own queues? ``python -m bench.scrapy --help``

The same spider and site on this machine, by turns with the broker, with Scrapy's disk queue (JOBDIR) and with its
memory queue. A page has ten links, six of which are known. Pages a second are those between the first request and the
last one that the site sees.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from bench import BenchError, command
from bench.results import Scrapy, ScrapyRun
from bench.servers import Broker, broker, environment

KINDS = ("broker", "disk queue", "memory queue")

_CHILDREN, _KNOWN = 4, 6
"""Links of a page: to pages that no other links to, and to the first ones."""

_LONGEST = 600
"""Seconds of a run."""

_SPIDER = """
import scrapy


class Bench(scrapy.Spider):
    name = "bench"

    async def start(self):
        yield scrapy.Request(self.first)

    def parse(self, response):
        for link in response.css("a::attr(href)").getall():
            yield response.follow(link)
"""


class Site:
    """Pages /0, /1, ... that are made before they are asked for."""

    def __init__(self, pages: int) -> None:
        self.pages = [_page(n, pages) for n in range(pages)]
        self.port = 0
        self.begin()

    def begin(self) -> None:
        """Counts from now on."""
        self.requests, self.first, self.last = 0, 0.0, 0.0

    def answer(self, path: bytes) -> bytes:
        self.last = time.perf_counter()
        self.first = self.first or self.last
        self.requests += 1
        return self.pages[int(path)]

    @contextmanager
    def serve(self) -> Iterator[None]:
        """In a thread, while the block runs."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(loop.create_server(lambda: _Connection(self), "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


class _Connection(asyncio.Protocol):
    """Answers GET, and keeps the connection open."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.write(self._site.answer(request.partition(b" /")[2].partition(b" ")[0]))


def _page(n: int, pages: int) -> bytes:
    new = range(n * _CHILDREN + 1, (n + 1) * _CHILDREN + 1)
    links = [*(link for link in new if link < pages), *range(_KNOWN)]
    body = "".join(f'<a href="/{link}">{link}</a>' for link in links).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _run(kind: str, site: Site, served: Broker) -> ScrapyRun:
    settings: dict[str, object] = {"LOG_LEVEL": "ERROR", "CONCURRENT_REQUESTS_PER_DOMAIN": 16}
    with tempfile.TemporaryDirectory(prefix="broker-bench-") as name:
        folder = Path(name)
        if kind == "broker":
            worker = served.workers[0]
            (folder / "worker.json").write_text(
                json.dumps({"id": worker.id, "alias": "bench", "secret": worker.secret})
            )
            settings |= {"SCHEDULER": "broker.scrapy.Scheduler", "BROKER_WORKER_FILE": "worker.json"}
            settings |= {"BROKER_URL": f"http://127.0.0.1:{served.port}"}
            settings |= {"BROKER_PROJECT": served.project(remember_closed=-1)}
        elif kind == "disk queue":
            settings |= {"JOBDIR": "job"}
        (folder / "spider.py").write_text(_SPIDER)
        options = [f"--set={name}={value}" for name, value in settings.items()]
        site.begin()
        before = os.times()
        ended = subprocess.run(
            [sys.executable, "-m", "scrapy", "runspider", "spider.py", *options, "-a", _start(site)],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
        after = os.times()
    if ended.returncode or ended.stderr or site.requests != len(site.pages):
        raise BenchError(f"{kind}: {site.requests} of {len(site.pages)} pages: {ended.stderr[-2000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return ScrapyRun(pages=len(site.pages), seconds=site.last - site.first, cpu=cpu)


def _start(site: Site) -> str:
    return f"first=http://127.0.0.1:{site.port}/0"


def main() -> int:
    parser = command.parser("bench.scrapy", __doc__, seconds=1.0)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each (default: 5)")
    parser.add_argument("--pages", type=int, default=3000, metavar="N", help="of the site (default: 3000)")
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Scrapy:
    made, site = Scrapy({kind: [] for kind in KINDS}), Site(arguments.pages)
    with site.serve(), broker() as served:
        for _ in range(arguments.rounds):
            for kind in KINDS:
                made.runs[kind].append(_run(kind, site, served))
                command.say(f"  {kind}: {made.runs[kind][-1].rate:,.0f} pages/s")
    for line in made.lines():
        command.say(f"  {line}")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
