"""The demo from beginning to end: render, find or start a broker, crawl, compare the counts, leave nothing behind."""

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from broker import processes
from broker.cli.output import Progress
from broker.client import AsyncClient, ClientError, Refused, Stats
from broker.demo import DemoError
from broker.demo.crawler import Crawler
from broker.demo.ledger import discrepancies, table
from broker.demo.render import START
from broker.demo.site import Site, render_pages

_POLL = 0.25
_STALLED = 5.0  # seconds without an unfinished task after which a page that the index lacks will not come any more
_LAST_READ = 5.0  # seconds for the final numbers when the time is over
_START_TIME, _STOP_TIME = 30.0, 15.0  # seconds for a broker to answer, and from SIGTERM to SIGKILL


class _Transport(httpx.AsyncHTTPTransport):
    """``calls`` counts requests; ``lost`` those of which nobody knows whether they were carried out."""

    calls = 0
    lost = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        try:
            response = await super().handle_async_request(request)
        except httpx.TransportError:
            self.lost += 1
            raise
        self.lost += response.status_code == 503
        return response


@dataclass(frozen=True)
class Fleet:
    """What is closed in ``pages`` is chained to ``index``. The workers may take tasks from both."""

    manager: AsyncClient
    pages: int
    index: int
    workers: list[AsyncClient]

    async def stats(self) -> tuple[Stats, Stats]:
        return await self.manager.project_stats(self.pages), await self.manager.project_stats(self.index)


def perform(arguments: argparse.Namespace) -> int:
    """Runs the demo; the exit status."""
    progress = Progress(sys.stderr)
    try:
        return 0 if asyncio.run(_perform(arguments, progress)) else 1
    except asyncio.CancelledError:
        progress.say("broker demo: interrupted")
    except (DemoError, ClientError, OSError) as error:
        progress.say(f"broker demo: {error}")
    return 1


async def _perform(arguments: argparse.Namespace, progress: Progress) -> bool:
    """True when each page was closed once in both projects."""
    _cancel_at_signal()
    deadline = asyncio.get_running_loop().time() + arguments.timeout
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout_at(deadline):
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="broker-demo-")))
                site = await _render(arguments.pages, directory, progress)
                address = await stack.enter_async_context(site.serve())
                transport = _Transport()
                shared = await stack.enter_async_context(httpx.AsyncClient(transport=transport))
                manager = await _manager(arguments, directory, progress, stack)
                fleet, names = await _assemble(manager, shared, arguments.workers)
        except TimeoutError:
            raise DemoError(f"not ready to crawl after {arguments.timeout:.0f} s") from None

        progress.say(f"{arguments.workers} workers crawl {address}{START} in project {names}")
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
        crawler = Crawler(http, fleet.pages, fleet.index)
        began = time.monotonic()
        finished = await _crawl(crawler, fleet, address + START, deadline, progress)
        seconds = time.monotonic() - began

        crawler.ledger.lost = transport.lost
        pages, index = await _last_stats(fleet)
        expected = {address + path for path in site.walk()}
        wrong = [] if finished else [f"not finished after {arguments.timeout:.0f} s"]
        wrong += discrepancies(expected, crawler.ledger, pages, index)
        print(
            f"\n{table(crawler.ledger, pages, index)}\n\n"
            f"{seconds:.1f} s, {pages.counters.closed / seconds:.1f} pages/s crawled and indexed, "
            f"{crawler.ledger.words:,} words; {transport.calls:,} calls of the API, {transport.calls / seconds:.0f}/s"
        )
        if wrong:
            print("\n  ".join(["books do not balance:", *wrong]))
        else:
            print(f"books balance: each of the {len(expected)} pages was closed once in pages and once in index")
        return not wrong


def _cancel_at_signal() -> None:
    """The first signal cancels the demo; later ones do not disturb how it clears up."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: set[int] = set()

    def stop(number: int) -> None:
        if not received and task is not None:
            task.cancel()
        received.add(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)


async def _render(limit: int, directory: Path, progress: Progress) -> Site:
    began = time.monotonic()
    empty = directory / "empty"
    empty.mkdir()
    rendered = await render_pages(limit, empty, lambda done, total: progress.show(f"rendering {done}/{total}"))
    site = Site(rendered)
    progress.say(f"rendered {len(site.pages)} pages, {site.size / 1e6:.1f} MB, in {time.monotonic() - began:.1f} s")
    return site


async def _manager(
    arguments: argparse.Namespace, directory: Path, progress: Progress, stack: contextlib.AsyncExitStack
) -> AsyncClient:
    """Signed in at a broker that runs now. The session is a cookie, so its connections are its own."""
    http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
    running = await _is_broker(arguments.url, http)
    url = arguments.url if running else await stack.enter_async_context(started(directory))
    progress.say(f"using the broker at {url}" if running else f"no broker at {arguments.url}: started one at {url}")
    manager = AsyncClient(url, http=http)
    if running and arguments.username:
        await manager.login(arguments.username, arguments.password)
        return manager
    username, password = f"demo-{secrets.token_hex(3)}", secrets.token_urlsafe(12)
    account = await manager.register(username, password)
    if running:
        rank = "the first account here, so its administrator" if account.tracker_admin else "a new manager"
        progress.say(f"registered {username}, password {password}: {rank}")
    return manager


async def _is_broker(url: str, http: httpx.AsyncClient) -> bool:
    """True when a broker, and not something else, answers at this address."""
    try:
        return {"name", "version"} <= (await AsyncClient(url, patience=0, timeout=5, http=http).call("GET", "/")).keys()
    except (ClientError, ValueError):
        return False


@contextlib.asynccontextmanager
async def started(directory: Path) -> AsyncIterator[str]:
    """A broker on a free port with its data in this directory; it is gone when the block ends."""
    log, port = directory / "broker.log", _free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["--host", "127.0.0.1", "--port", str(port), "--data-dir", str(directory / "data")]
    process = _serve([*options, "--log-level", "warning"], log)
    try:
        deadline = time.monotonic() + _START_TIME
        async with httpx.AsyncClient(trust_env=False) as http:
            while not await _is_broker(url, http):
                if process.poll() is not None:
                    last_line = log.read_text(errors="replace").strip().rpartition("\n")[2]
                    raise DemoError(f"a broker was started, but it ended: {last_line or f'exit {process.returncode}'}")
                if time.monotonic() > deadline:
                    raise DemoError(f"a broker was started, but did not answer within {_START_TIME:.0f} s")
                await asyncio.sleep(0.05)
        yield url
    finally:
        processes.stop([process], _STOP_TIME)


def _serve(options: list[str], log: Path) -> "subprocess.Popen[bytes]":
    # A caller's BROKER_REDIS_URL and the like must not lead the demo to data that somebody needs.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    with log.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "broker", "serve", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            start_new_session=True,
            preexec_fn=processes.die_with_parent(),  # noqa: PLW1509 - one thread
        )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def _assemble(manager: AsyncClient, http: httpx.AsyncClient, size: int) -> tuple[Fleet, str]:
    """Creates both projects, and as many workers with their access; and says the names of the projects."""
    index, index_name = await _create_project(manager, "index")
    # Remembered for ever: a page that was crawled must not come back through a link that is found later.
    pages, pages_name = await _create_project(manager, "pages", chain=index, remember_closed=-1)
    workers = []
    for number in range(1, size + 1):
        worker = AsyncClient(manager.url, http=http)
        worker.worker = await worker.create_worker(f"crawler-{number}")
        for project, submit in ((pages, True), (index, False)):
            await worker.request_access(project, submit=submit)
            await manager.accept_request(project, worker.worker.id)
        workers.append(worker)
    return Fleet(manager, pages, index, workers), f"{pages_name}, which is chained to {index_name}"


async def _create_project(manager: AsyncClient, name: str, **fields: int) -> tuple[int, str]:
    """A private project of this name, or of this name and a suffix when there is one already."""
    try:
        return await manager.create_project(name, **fields), name
    except Refused as refused:
        if refused.code != "duplicate":
            raise
    name = f"{name}-{secrets.token_hex(3)}"
    return await manager.create_project(name, **fields), name


async def _crawl(crawler: Crawler, fleet: Fleet, start: str, deadline: float, progress: Progress) -> bool:
    """True when there is nothing left to do, False when the time is over."""
    try:
        async with asyncio.timeout_at(deadline):
            await crawler.submit(fleet.workers[0], [start])
            async with asyncio.TaskGroup() as group:
                group.create_task(_watch(crawler, fleet, progress))
                for worker in fleet.workers:
                    group.create_task(crawler.work(worker))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    except TimeoutError:
        return False
    finally:
        progress.clear()
    return True


async def _watch(crawler: Crawler, fleet: Fleet, progress: Progress) -> None:
    """Shows how the crawl goes, and ends it when both projects have nothing left."""
    began = busy = time.monotonic()
    while True:
        pages, index = await fleet.stats()
        now = time.monotonic()
        progress.show(_line(pages, index, now - began))
        if pages.unfinished or index.unfinished:
            busy = now
        elif pages.counters.closed == index.counters.closed or now > busy + _STALLED:
            break
        await asyncio.sleep(_POLL)
    crawler.done.set()


async def _last_stats(fleet: Fleet) -> tuple[Stats, Stats]:
    try:
        async with asyncio.timeout(_LAST_READ):
            return await fleet.stats()
    except TimeoutError:
        raise DemoError("the broker does not answer any more") from None


def _line(pages: Stats, index: Stats, seconds: float) -> str:
    """Fits a terminal of 80 columns."""
    closed = pages.counters.closed
    return (
        f"{closed / (seconds or 1):.0f} pages/s, closed {closed}, "
        f"waiting {pages.waiting + pages.verifying + index.waiting + index.verifying}, "
        f"assigned {pages.assigned + index.assigned}, "
        f"duplicates {pages.counters.duplicates}, reclaimed {pages.counters.reclaimed + index.counters.reclaimed}"
    )
