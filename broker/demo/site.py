"""The site to crawl: rendered in child processes, kept in memory, served on a free port of 127.0.0.1."""

import asyncio
import contextlib
import json
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable, Mapping
from html import unescape
from itertools import count
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from broker.demo import DemoError, render

_LONGEST = 1 << 26
"""Bytes of a page in JSON."""

_LINK = re.compile(rb'<a\s[^>]*?href="([^"]*)"[^>]*>')


class Site:
    """Pages by path. Links to pages that are not here (private modules, pages above ``--pages``) are taken out."""

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self.pages: dict[str, bytes] = {}
        for path, html in pages.items():
            self.pages[path] = _LINK.sub(lambda link: b"<a>" if _is_dead(link[1], pages) else link[0], html)

    @property
    def size(self) -> int:
        return sum(map(len, self.pages.values()))

    def walk(self) -> set[str]:
        """The pages that can be reached from the first one: what the crawl must find, learned without a broker."""
        reached = {render.START}
        border = [render.START]
        while border:
            html = self.pages.get(border.pop(), b"")
            new = {_target(link) for link in _LINK.findall(html)} & self.pages.keys() - reached
            reached |= new
            border += new
        return reached

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serves the pages while the block runs; gives the address, ending in a slash."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self.pages), "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        finally:
            server.close()


class _Connection(asyncio.Protocol):
    """Answers GET and keeps the connection open: all that the crawlers need."""

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self._pages = pages
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            path = request.partition(b" /")[2].partition(b" ")[0].decode("latin-1")
            html = self._pages.get(path)
            status = b"404 Not Found" if html is None else b"200 OK"
            body = html or b"<title>Not found</title>"
            head = b"HTTP/1.1 %b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % (status, len(body)) + body)


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
    command = [sys.executable, "-I", "-S", "-W", "ignore", render.__file__, *map(str, share)]
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
