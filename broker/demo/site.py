"""The site to crawl: the Python documentation, rendered with pydoc, kept in memory, served on two ports of 127.0.0.1.

Child processes render it: they run this module as a script, isolated (``python -I -S``) and silenced, since they import
every public module of the standard library. Nothing but that library is imported here.
"""

import asyncio
import contextlib
import json
import math
import os
import pkgutil
import pydoc
import re
import sys
import warnings
from asyncio.subprocess import DEVNULL, PIPE
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from html import unescape
from itertools import count
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit
from zlib import crc32

START = "index.html"

_EXCLUDED = {"test", "tests", "idlelib", "lib2to3", "tkinter", "this", "antigravity"}

_LONGEST = 1 << 26
"""Bytes of a page in JSON."""

_ANSWER_TIME = 0.06  # seconds until a page is sent, so that requests meet

_LINK = re.compile(rb'<a\s[^>]*?href="([^"]*)"[^>]*>')


class DemoError(Exception):
    """Ends a demo early. Its text is the one line that the user reads."""


class Host:
    """One address of the site: what it allows crawlers, and what it measures."""

    def __init__(self, delay: float, limit: int, busy: int = 0) -> None:
        self.delay = delay
        """Seconds between two requests."""
        self.limit = limit
        """Requests at once."""
        self._busy = busy  # seconds: once half of its pages have been asked for, it answers 429 for so long
        self._busy_until = 0.0
        self.name = ""
        """The host and port."""
        self.pages: dict[str, bytes] = {}
        self.requests = self.in_flight = self._most_at_once = self._most_a_second = self._refused = 0
        self._last_second: deque[float] = deque()

    def receive(self, path: str, now: float) -> tuple[str, bytes]:
        """The status, with headers of its own, and the body of the answer. It is in flight until ``answered``."""
        self.requests += 1
        self.in_flight += 1
        self._most_at_once = max(self._most_at_once, self.in_flight)
        self._last_second.append(now)
        while self._last_second[0] < now - 1:
            self._last_second.popleft()
        self._most_a_second = max(self._most_a_second, len(self._last_second))
        if self._busy and not self._busy_until and self.requests > 1 + len(self.pages) / 2:
            self._busy_until = now + self._busy
        if now < self._busy_until:
            self._refused += 1
            return f"429 Too Many Requests\r\nRetry-After: {math.ceil(self._busy_until - now)}", b""
        html = self.pages.get(path)
        return ("404 Not Found", b"<title>Not found</title>") if html is None else ("200 OK", html)

    def answered(self) -> None:
        self.in_flight -= 1

    def measured(self) -> dict[str, tuple[int, int]]:
        """The most requests at once, in any second, and after the first 429 while it lasts; and how many are allowed.

        Requests that are in transit, at most ``limit``, may arrive together with the next ones, and after a 429.
        """
        counts = {
            "at once": (self._most_at_once, self.limit),
            "in a second": (self._most_a_second, int(1 / self.delay) + 1 + self.limit),
        }
        return counts | ({"after its 429": (self._refused - 1, self.limit)} if self._refused else {})


class Site:
    """Pages by path. Links to pages that are not here (private modules, pages above ``--pages``) are removed."""

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self.hosts = Host(0.02, 6), Host(0.05, 2, busy=1)
        self.pages: dict[str, bytes] = {}
        for path, html in pages.items():
            self.pages[path] = _LINK.sub(lambda link: b"<a>" if _is_dead(link[1], pages) else link[0], html)

    def walk(self) -> set[str]:
        """The pages that can be reached from the first one: what the crawl must find, determined without a broker."""
        reached = {START}
        border = [START]
        while border:
            html = self.pages.get(border.pop(), b"")
            new = {_target(link) for link in _LINK.findall(html)} & self.pages.keys() - reached
            reached |= new
            border += new
        return reached

    def url(self, path: str) -> str:
        return f"http://{self._host(path).name}/{path}"

    def _host(self, path: str) -> Host:
        """Every fourth page is on the second host."""
        return self.hosts[crc32(path.encode()) % 4 == 0]

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serves the pages while the block runs, each on its host, with links that name the host of their page."""
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            for host in self.hosts:
                server = await loop.create_server(partial(_Connection, host), "127.0.0.1", 0)
                stack.callback(server.close)
                host.name = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for path, html in self.pages.items():
                self._host(path).pages[path] = _LINK.sub(self._with_host, html)
            yield

    def _with_host(self, link: re.Match[bytes]) -> bytes:
        target = _target(link[1])
        if target not in self.pages:
            return link[0]
        return link[0].replace(link[1], f"http://{self._host(target).name}/".encode() + link[1])


class _Connection(asyncio.Protocol):
    """Answers GET and keeps the connection open: all that the crawlers need."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            path = request.partition(b" /")[2].partition(b" ")[0].decode("latin-1")
            status, body = self._host.receive(path, loop.time())
            loop.call_later(_ANSWER_TIME if status == "200 OK" else 0, self._answer, status, body)

    def _answer(self, status: str, body: bytes) -> None:
        self._host.answered()
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


def _target(link: bytes) -> str:
    return unescape(link.partition(b"#")[0].decode())


def _is_dead(link: bytes, pages: Mapping[str, bytes]) -> bool:
    target = _target(link)
    return bool(target) and not urlsplit(target).scheme and target not in pages


async def render_pages(limit: int, directory: Path, progress: Callable[[int, int], None]) -> dict[str, bytes]:
    """Renders with one child process a core, in an empty directory. ``progress`` is given pages done and in all."""
    shares = min(os.cpu_count() or 1, 4)
    pages: dict[str, bytes] = {}
    done = count(1)

    def keep(total: int, path: str, html: str) -> None:
        if html:
            pages[path] = html.encode()
        progress(next(done), total)

    # All of them end before one's failure is raised: a second cancellation would leave a child behind.
    ends = await asyncio.gather(
        *(_render_share([share, shares, limit], directory, keep) for share in range(shares)), return_exceptions=True
    )
    for failure in filter(None, ends):
        raise failure
    return pages


async def _render_share(share: list[int], directory: Path, keep: Callable[[int, str, str], None]) -> None:
    command = [sys.executable, "-I", "-S", "-W", "ignore", __file__, *map(str, share)]
    environment = {**os.environ, "BROWSER": "true"}
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        limit=_LONGEST,
        cwd=directory,
        env=environment,
        start_new_session=True,
    )
    try:
        async for line in cast(asyncio.StreamReader, child.stdout):
            keep(*json.loads(line))
        ended_early = await child.wait() != 0
    except ValueError:
        ended_early = True
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    if ended_early:
        raise DemoError("pydoc could not render the pages: a child process ended early")


def is_documented(name: str) -> bool:
    """Whether this is a public module of the standard library that can be imported without side effects."""
    parts = name.split(".")
    if parts[0] not in sys.stdlib_module_names:
        return False
    return not any(part in _EXCLUDED or part.startswith(("_", "turtle")) for part in parts)


def modules(path: Iterable[str], prefix: str = "") -> Iterator[str]:
    """Names of the documented modules below these directories; nothing is imported."""
    for module in pkgutil.iter_modules(path, prefix):
        if is_documented(module.name):
            yield module.name
            if module.ispkg:
                directory = os.path.join(getattr(module.module_finder, "path", ""), module.name.rpartition(".")[2])
                yield from modules([directory], module.name + ".")


def page_paths() -> list[str]:
    """Every page of the site. A page comes after those that link to it, so the first N pages are a site as well."""
    names = set(filter(is_documented, sys.builtin_module_names)) | set(modules(sys.path))
    topics = {*pydoc.Helper.topics, *pydoc.Helper.keywords}
    return [
        *(START, "topics.html", "keywords.html"),
        *(f"{name}.html" for name in sorted(names)),
        *(f"topic?key={topic}" for topic in sorted(topics)),
    ]


def renderer() -> Callable[[str], bytes]:
    """The pages of ``pydoc -b``. Its own server imports the module again for each request; one import is enough."""
    private = vars(pydoc)
    locate = private["locate"]
    private["locate"] = lambda name, forceload=0: locate(name)
    handler: Callable[[str], str] = private["_url_handler"]

    def render(path: str) -> bytes:
        try:
            html = handler(path)
        except (Exception, SystemExit):
            return b""
        return b"" if "<title>Pydoc: Error - " in html else html.encode("utf-8", "replace")

    return render


def _silence() -> int:
    """Points the standard streams at nothing, for modules that print when imported; returns the real output."""
    output = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    return output


def main(share: int, shares: int, limit: int) -> None:
    """Writes every ``shares``-th of the first ``limit`` pages; no limit when it is 0."""
    warnings.simplefilter("ignore")
    with os.fdopen(_silence(), "w") as output:
        paths = page_paths()[: limit or None]
        render = renderer()
        for path in paths[share::shares]:
            print(json.dumps([len(paths), path, render(path).decode()]), file=output, flush=True)
    os._exit(0)  # without the exit handlers of every module of the library


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
