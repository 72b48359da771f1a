"""The demo from beginning to end: render, find a broker, crawl, balance the books, leave nothing behind."""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path

import httpx

from broker.cli.progress import Progress
from broker.client import AsyncClient, ClientError, Stats
from broker.demo import broker
from broker.demo.crawler import Crawl
from broker.demo.errors import DemoError
from broker.demo.fleet import Fleet, Manager, assemble
from broker.demo.ledger import Books, discrepancies, table
from broker.demo.render import START
from broker.demo.site import Site, render_pages
from broker.demo.together import interruptible, together
from broker.demo.traffic import Traffic

_POLL = 0.25
_STALLED = 5.0  # seconds without an unfinished task after which a page that the index lacks will not come any more
_LAST_LOOK = 5.0  # seconds for the final numbers when the time is over


def perform(arguments: argparse.Namespace) -> int:
    """Runs the demo; the exit status."""
    progress = Progress(sys.stderr)
    try:
        return 0 if asyncio.run(interruptible(_tell(arguments, progress))) else 1
    except asyncio.CancelledError:
        progress.say("broker demo: interrupted")
    except (DemoError, ClientError, OSError) as error:
        progress.say(f"broker demo: {error}")
    return 1


async def _tell(arguments: argparse.Namespace, progress: Progress) -> bool:
    """True when the books balance."""
    deadline = asyncio.get_running_loop().time() + arguments.timeout
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout_at(deadline):
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="broker-demo-")))
                site = await _render(arguments.pages, directory, progress)
                site_url = await stack.enter_async_context(site.serve())
                manager, url = await _join(arguments, directory, progress, stack)
                traffic = Traffic()
                shared = await stack.enter_async_context(httpx.AsyncClient(transport=traffic))
                fleet = await assemble(manager, url, shared, arguments.workers)
        except TimeoutError:
            raise DemoError(f"not ready to crawl after {arguments.timeout:.0f} s") from None

        progress.say(
            f"{arguments.workers} workers crawl {site_url}{START} in project {fleet.pages.name}, "
            f"which is chained to {fleet.index.name}"
        )
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
        crawl = Crawl(http, fleet.pages, fleet.index)
        began = time.monotonic()
        finished = await _crawl(crawl, fleet, site_url + START, deadline, progress)
        seconds = time.monotonic() - began

        crawl.books.lost = traffic.lost
        pages, index = await _last_look(fleet)
        expected = {site_url + path for path in site.walk()}
        wrong = discrepancies(expected, crawl.books, pages, index)
        if not finished:
            wrong.insert(0, f"not finished after {arguments.timeout:.0f} s")
        print(_summary(crawl.books, pages, index, seconds, traffic.calls))
        print(_verdict(wrong, len(expected)))
        return not wrong


async def _render(limit: int, directory: Path, progress: Progress) -> Site:
    began = time.monotonic()
    empty = directory / "empty"
    empty.mkdir()
    rendered = await render_pages(limit, empty, lambda done, total: progress.show(f"rendering {done}/{total}"))
    site = Site(rendered)
    progress.say(f"rendered {len(site.pages)} pages, {site.size / 1e6:.1f} MB, in {time.monotonic() - began:.1f} s")
    return site


async def _join(
    arguments: argparse.Namespace, directory: Path, progress: Progress, stack: contextlib.AsyncExitStack
) -> tuple[Manager, str]:
    """A manager with a session, and the address of his broker, which runs now."""
    http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
    running = await broker.find(arguments.url, http)
    url = arguments.url if running else await stack.enter_async_context(broker.started(directory))
    progress.say(f"using the broker at {url}" if running else f"no broker at {arguments.url}: started one at {url}")
    manager = Manager(AsyncClient(url, http=http))
    if running and arguments.username:
        await manager.log_in(arguments.username, arguments.password)
    else:
        account = await manager.register()
        if running:
            rank = "the first account here, so its administrator" if account.tracker_admin else "a new manager"
            progress.say(f"registered {account.username}, password {account.password}: {rank}")
    return manager, url


async def _crawl(crawl: Crawl, fleet: Fleet, start: str, deadline: float, progress: Progress) -> bool:
    """True when there is nothing left to do, False when the time is over."""
    try:
        async with asyncio.timeout_at(deadline):
            await crawl.start(fleet.workers[0], start)
            await together([_watch(crawl, fleet, progress), *map(crawl.work, fleet.workers)])
    except TimeoutError:
        return False
    finally:
        progress.clear()
    return True


async def _watch(crawl: Crawl, fleet: Fleet, progress: Progress) -> None:
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
    crawl.done.set()


async def _last_look(fleet: Fleet) -> tuple[Stats, Stats]:
    try:
        async with asyncio.timeout(_LAST_LOOK):
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


def _summary(books: Books, pages: Stats, index: Stats, seconds: float, calls: int) -> str:
    return (
        f"\n{table(books, pages, index)}\n\n"
        f"{seconds:.1f} s, {pages.counters.closed / seconds:.1f} pages/s crawled and indexed, "
        f"{books.words:,} words; {calls:,} calls of the API, {calls / seconds:.0f}/s"
    )


def _verdict(wrong: list[str], pages: int) -> str:
    if wrong:
        return "\n  ".join(["books do not balance:", *wrong])
    return f"books balance: each of the {pages} pages was closed once in pages and once in index"
