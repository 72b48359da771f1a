"""``broker demo``: workers crawl the Python documentation, and every count must agree at the end.

Renders the site, starts a broker or takes the one at --url, crawls, compares the counts, and leaves nothing behind.
"""

import argparse
import asyncio
import contextlib
import math
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from broker import processes
from broker.cli import whole_number
from broker.cli.output import Progress
from broker.client import AsyncClient, ClientError, Refused
from broker.demo.crawler import Crawler, discrepancies, summary
from broker.demo.site import START, DemoError, Host, Site, render_pages

_DESCRIPTION = """\
Crawls a real site with a fleet of workers over the HTTP API, offline and in
under a minute.

The site is the documentation of Python's standard library, rendered with pydoc
and served on 127.0.0.1. The workers take pages from the project "pages",
extract links and submit them, and release with a hash of the content. A closed
page is chained to the project "index", which counts the words of what was
fetched. Some pages need two workers that agree, some fail the first time, and
some are abandoned and reclaimed. At the end each page must have
been closed exactly once in both projects.

The site has two hosts, on two ports. A page's group is its host. The project
"pages" has the group_delay and the group_limit that the first host allows, and
the second host, which is slower, has limits of its own. In the middle, the
second host answers 429 with "Retry-After: 1", and the workers block its group
for that time. Each host measures what it is asked for, and the demo fails if
that is more than it allows:
- at once: group_limit
- in any second: 1 / group_delay + 1, and group_limit more, because requests
  that were delayed on their way may arrive together with the next ones
- after its first 429, until the time is over: group_limit, for requests that
  were on their way

A broker is started for the length of the demo, with its data in a temporary
directory. With --url, the demo uses the broker that runs there.
"""

_POLL = 0.25  # seconds between two looks at the counts
_START_TIME, _STOP_TIME = 30.0, 15.0  # seconds for a broker to answer, and from SIGTERM to SIGKILL


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.description = _DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pages", type=whole_number(1), default=0, metavar="N", help="stop at N pages (default: all)")
    parser.add_argument("--workers", type=whole_number(2), default=8, metavar="N", help="crawler workers (default: 8)")
    parser.add_argument(
        "--url",
        default="",
        help="use the broker that runs there: two projects, a manager and the workers stay in it",
    )
    parser.add_argument("--username", help="log in there as this manager, instead of registering one")
    parser.add_argument("--password", default="", help="the manager's password")
    parser.add_argument(
        "--timeout", type=_seconds, default=120.0, metavar="SECONDS", help="give up after this time (default: 120)"
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be a number of seconds above 0")
    return value


def run(arguments: argparse.Namespace) -> int:
    """0 when every page was closed once in both projects, and the hosts allow what they measured; else 1, with the
    reason in a line.
    """
    progress = Progress(sys.stderr)
    try:
        return 0 if asyncio.run(_perform(arguments, progress)) else 1
    except asyncio.CancelledError:
        progress.say("broker demo: interrupted")
    except (DemoError, ClientError, OSError) as error:
        progress.say(f"broker demo: {error}")
    return 1


class _Transport(httpx.AsyncHTTPTransport):
    """``calls`` counts requests; ``lost`` those of which nobody knows whether they were carried out."""

    calls = lost = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        try:
            response = await super().handle_async_request(request)
        except httpx.TransportError:
            self.lost += 1
            raise
        self.lost += response.status_code == 503
        return response


async def _perform(arguments: argparse.Namespace, progress: Progress) -> bool:
    """True when each page was closed once in both projects, and no host was asked for more than it allows."""
    _cancel_at_signal()
    deadline = asyncio.get_running_loop().time() + arguments.timeout
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout_at(deadline):
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="broker-demo-")))
                site = await _render(arguments.pages, directory, progress)
                await stack.enter_async_context(site.serve())
                transport = _Transport()
                http = await stack.enter_async_context(httpx.AsyncClient(transport=transport))
                manager = await _manager(arguments, directory, progress, stack)
                fetch = await stack.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
                crawler, names = await _create_crawler(manager, http, fetch, site.hosts, arguments.workers)
        except TimeoutError:
            raise DemoError(f"not ready to crawl after {arguments.timeout:.0f} s") from None

        progress.say(f"{arguments.workers} workers crawl {site.url(START)} in project {names}")
        began = time.monotonic()
        finished = await _crawl(crawler, site.url(START), deadline, progress)
        seconds = time.monotonic() - began
        crawler.ledger.lost = transport.lost
        pages, index = crawler.stats
        expected = set(map(site.url, site.walk()))
        wrong = [] if finished else [f"not finished after {arguments.timeout:.0f} s"]
        wrong += discrepancies(expected, crawler.ledger, pages, index, site.hosts)
        print(
            f"\n{summary(crawler.ledger, pages, index, site.hosts)}\n\n"
            f"{seconds:.1f} s, {pages.counters.closed / seconds:.1f} pages/s crawled and indexed, "
            f"{crawler.ledger.words:,} words; {transport.calls:,} calls of the API, {transport.calls / seconds:.0f}/s"
        )
        if wrong:
            print("\n  ".join(["books do not balance:", *wrong]))
        else:
            print(
                f"books balance: each of the {len(expected)} pages was closed once in pages and once in index,\n"
                "  and no host was asked for more than it allows"
            )
        return not wrong


def _cancel_at_signal() -> None:
    """The first signal cancels the demo; later ones do not disturb its cleanup."""
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, lambda: task and (task.cancelling() or task.cancel()))


async def _render(limit: int, directory: Path, progress: Progress) -> Site:
    began = time.monotonic()
    empty = directory / "empty"
    empty.mkdir()
    site = Site(await render_pages(limit, empty, lambda done, total: progress.show(f"rendering {done}/{total}")))
    size = sum(map(len, site.pages.values())) / 1e6
    progress.say(f"rendered {len(site.pages)} pages, {size:.1f} MB, in {time.monotonic() - began:.1f} s")
    return site


async def _manager(
    arguments: argparse.Namespace, directory: Path, progress: Progress, stack: contextlib.AsyncExitStack
) -> AsyncClient:
    """A client that is signed in at a running broker. The session is a cookie, so it has its own connections."""
    http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
    url = arguments.url
    if url and not await _is_broker(url, http):
        raise DemoError(f"no broker answers at {url}")
    url = url or await stack.enter_async_context(started(directory))
    progress.say(f"using the broker at {url}" if arguments.url else f"started a broker at {url}")
    manager = AsyncClient(url, http=http)
    if arguments.url and arguments.username:
        await manager.login(arguments.username, arguments.password)
        return manager
    username, password = f"demo-{secrets.token_hex(3)}", secrets.token_urlsafe(12)
    account = await manager.register(username, password)
    rank = "the first account here, so an admin" if account.tracker_admin else "a new manager"
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
    """A broker on a free port with its data in this directory; it is stopped when the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url, options = f"http://127.0.0.1:{port}", ["--data-dir", str(directory / "data"), "--log-level", "warning"]
    # Settings in the environment, such as BROKER_REDIS_URL, must not lead the demo to other data.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    command = [sys.executable, "-m", "broker", "serve", "--host", "127.0.0.1", "--port", str(port), *options]
    process = processes.spawn(command, environment=environment)
    try:
        deadline = time.monotonic() + _START_TIME
        async with httpx.AsyncClient(trust_env=False) as http:
            while not await _is_broker(url, http):
                if process.poll() is not None:
                    raise DemoError(f"a broker was started, but it ended with exit code {process.returncode}")
                if time.monotonic() > deadline:
                    raise DemoError(f"a broker was started, but did not answer within {_START_TIME:.0f} s")
                await asyncio.sleep(0.05)
        yield url
    finally:
        processes.stop([process], _STOP_TIME)


async def _create_crawler(
    manager: AsyncClient, http: httpx.AsyncClient, fetch: httpx.AsyncClient, hosts: tuple[Host, Host], size: int
) -> tuple[Crawler, str]:
    """A crawler with ``size`` new workers on two new projects; and the names of the projects."""
    index, index_name = await _create_project(manager, "index")
    host, slower = hosts
    # Remembered for ever: a page that was crawled must not come back through a link that is found later.
    fields = {"chain": index, "remember_closed": -1, "group_delay": host.delay, "group_limit": host.limit}
    pages, pages_name = await _create_project(manager, "pages", **fields)
    await manager.set_group(pages, slower.name, delay=slower.delay, limit=slower.limit)
    workers = []
    for number in range(1, size + 1):
        worker = AsyncClient(manager.url, http=http)
        worker.worker = await worker.create_worker(f"crawler-{number}")
        for project, submit in ((pages, True), (index, False)):
            await worker.request_access(project, submit=submit)
            await manager.accept_request(project, worker.worker.id)
        workers.append(worker)
    crawler = Crawler(manager, workers, fetch, {each.name for each in hosts}, pages=pages, index=index)
    return crawler, f"{pages_name}, which is chained to {index_name}"


async def _create_project(manager: AsyncClient, name: str, **fields: float) -> tuple[int, str]:
    """A private project of this name, or of this name and a suffix when there is one already."""
    try:
        return await manager.create_project(name, **fields), name
    except Refused as refused:
        if refused.code != "duplicate":
            raise
    name = f"{name}-{secrets.token_hex(3)}"
    return await manager.create_project(name, **fields), name


async def _crawl(crawler: Crawler, start: str, deadline: float, progress: Progress) -> bool:
    """True when there is nothing left to do, False when the time is over."""
    try:
        async with asyncio.timeout_at(deadline), asyncio.TaskGroup() as group:
            await crawler.submit(crawler.workers[0], [start])
            for worker in crawler.workers:
                group.create_task(crawler.work(worker))
            began = time.monotonic()
            while not await crawler.finished():
                progress.show(crawler.progress(time.monotonic() - began))
                await asyncio.sleep(_POLL)
            crawler.done.set()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    except TimeoutError:
        return False
    finally:
        progress.clear()
    return True
