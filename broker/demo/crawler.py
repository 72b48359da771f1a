"""The crawler: gets pages from the broker, fetches them, submits the links, releases the task, and counts all of it."""

import asyncio
import enum
import hashlib
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx

from broker.client import AsyncClient, NewTask, Result, Stats, Task, Unreachable, verification
from broker.demo.site import Host

_WAIT = 1  # seconds that a get waits for a page
# An HTML parser takes 100 times as long, and the crawlers, which share a thread, would wait.
_LINK = re.compile(r"""<a\s[^>]*?href=["']([^"']+)["']""", re.IGNORECASE)
_TAG = re.compile(rb"<[^>]*>")
_WORD = re.compile(rb"\w+")


class Fault(enum.Enum):
    NONE = enum.auto()
    FAIL = enum.auto()
    ABANDON = enum.auto()


def plan(url: str) -> tuple[int, Fault]:
    """How many workers must agree on a page, and how its first attempt fails: the same for any port and worker.

    Every fourth page needs two workers that agree; one in 20 fails, and one in 20 is abandoned, the first time.
    """
    path = urlsplit(url)._replace(scheme="", netloc="").geturl()
    number = int.from_bytes(hashlib.blake2b(path.encode(), digest_size=4).digest())
    faults = {0: Fault.FAIL, 1: Fault.ABANDON}
    return 1 + (number // 20 % 4 == 0), faults.get(number % 20, Fault.NONE)


def links(url: str, html: str, hosts: Container[str]) -> list[str]:
    """Addresses on these hosts that a page links to, each once, in order, without fragments."""
    targets = dict.fromkeys(urldefrag(urljoin(url, unescape(link))).url for link in _LINK.findall(html))
    return [target for target in targets if urlsplit(target).netloc in hosts]


@dataclass
class Closed:
    """How often the release of a page closed its task, and how many needed two votes."""

    times: Counter[str] = field(default_factory=Counter)
    by_two_votes: int = 0

    def add(self, url: str, votes: int) -> None:
        self.times[url] += 1
        self.by_two_votes += votes > 1


@dataclass
class Ledger:
    """What the workers saw."""

    pages: Closed = field(default_factory=Closed)
    index: Closed = field(default_factory=Closed)
    failed: int = 0
    abandoned: int = 0
    told_to_wait: int = 0
    duplicates: int = 0
    words: int = 0
    lost: int = 0  # calls whose answers were lost


class Crawler:
    """What is closed in ``pages`` is chained to ``index``. All workers run until ``done`` is set."""

    def __init__(
        self,
        manager: AsyncClient,
        workers: list[AsyncClient],
        http: httpx.AsyncClient,
        hosts: Container[str],
        *,
        pages: int,
        index: int,
    ) -> None:
        self.workers = workers
        self.done = asyncio.Event()
        self.ledger = Ledger()
        self.stats = Stats(), Stats()
        """The statistics of both projects, as last read."""
        self._manager = manager
        self._http = http
        self._hosts = hosts
        self._pages = pages
        self._index = index
        self._faulted: set[str] = set()  # pages that have failed or have been abandoned as planned
        self._fetched: dict[str, bytes] = {}  # for the index, which asks no host again

    async def finished(self) -> bool:
        """Whether both projects have nothing left."""
        pages, index = await self._manager.project_stats(self._pages), await self._manager.project_stats(self._index)
        self.stats = pages, index
        return not pages.unfinished and not index.unfinished and pages.counters.closed == index.counters.closed

    def progress(self, seconds: float) -> str:
        """A line that fits a terminal of 80 columns."""
        pages, index = self.stats
        closed, reclaimed = pages.counters.closed, pages.counters.reclaimed + index.counters.reclaimed
        waiting = pages.waiting + pages.verifying + index.waiting + index.verifying
        return (
            f"{closed / (seconds or 1):.0f} pages/s, closed {closed}, waiting {waiting}, "
            f"assigned {pages.assigned + index.assigned}, duplicates {pages.counters.duplicates}, reclaimed {reclaimed}"
        )

    async def submit(self, worker: AsyncClient, urls: list[str]) -> None:
        outcomes = await worker.submit_many(self._pages, map(_task, urls))
        self.ledger.duplicates += outcomes.count(None)

    async def work(self, worker: AsyncClient) -> None:
        """Indexes what there is to index, else crawls a page."""
        while not self.done.is_set():
            if task := await self._get(worker, self._index):
                await self._count_words(worker, task)
            elif task := await self._get(worker, self._pages, _WAIT):
                await self._crawl(worker, task)

    async def _get(self, worker: AsyncClient, project: int, wait: int = 0) -> Task | None:
        try:
            return await worker.get(project, wait=wait)
        except Unreachable:
            # If the answer was lost, a task may be assigned; it is reclaimed at its deadline.
            return None

    async def _crawl(self, worker: AsyncClient, task: Task) -> None:
        url = task.recipe
        fault = Fault.NONE if url in self._faulted else plan(url)[1]
        self._faulted.add(url)
        if fault is Fault.ABANDON:
            self.ledger.abandoned += 1
        elif fault is Fault.FAIL:
            self.ledger.failed += 1
            await self._release(worker, task, Result.FAIL)
        else:
            await self._fetch(worker, task)

    async def _fetch(self, worker: AsyncClient, task: Task) -> None:
        url = task.recipe
        try:
            response = await self._http.get(url)
        except httpx.TransportError:
            response = httpx.Response(503)
        if response.status_code == 429:
            self.ledger.told_to_wait += 1
            task.block_group(int(response.headers["Retry-After"]))
            await self._release(worker, task, Result.SKIP)
        elif not response.is_success:
            await self._release(worker, task, Result.FAIL)
        else:
            self._fetched[url] = response.content
            await self.submit(worker, links(url, response.text, self._hosts))
            if await self._release(worker, task, Result.OK, response.content):
                self.ledger.pages.add(url, task.verification_count)

    async def _count_words(self, worker: AsyncClient, task: Task) -> None:
        content = self._fetched[task.recipe]
        if await self._release(worker, task, Result.OK, content):
            self.ledger.index.add(task.recipe, task.verification_count)
            self.ledger.words += len(_WORD.findall(_TAG.sub(b" ", content)))

    async def _release(self, worker: AsyncClient, task: Task, result: Result, content: bytes = b"") -> bool:
        """True when this closed the task."""
        try:
            updated = await worker.release(task.id, result, verification(content), group_blocked=task.group_blocked)
        except Unreachable:
            return False
        return result is Result.OK and updated


def _task(url: str) -> NewTask:
    votes, fault = plan(url)
    return NewTask(
        url,
        unique_string=url,
        group=urlsplit(url).netloc,
        max_retries=5,
        max_assign_time=2 if fault is Fault.ABANDON else 30,
        verification_count=votes,
    )


def discrepancies(
    expected: set[str], ledger: Ledger, pages: Stats, index: Stats, hosts: Iterable[Host]
) -> Iterator[str]:
    """Everything that does not balance, one line each; nothing when each expected page was closed once in both, and
    no host was asked for more than it allows.
    """
    yield from _project("pages", expected, ledger.pages.times, pages, ledger.lost)
    yield from _project("index", expected, ledger.index.times, index, ledger.lost)
    refused = pages.counters.duplicates
    if ledger.duplicates != refused and not (ledger.lost and ledger.duplicates < refused):
        yield f"pages: the broker refused {refused} duplicates, the workers were told of {ledger.duplicates}"
    if pages.counters.reclaimed < ledger.abandoned:
        yield f"pages: {ledger.abandoned} tasks were abandoned, but {pages.counters.reclaimed} reclaimed"
    for host in hosts:
        for what, (count, allowed) in host.measured().items():
            if count > allowed:
                yield f"{host.name}: {count} requests {what}, {allowed} allowed"


def _project(name: str, expected: set[str], closed: Counter[str], stats: Stats, lost: int) -> Iterator[str]:
    missing = expected - closed.keys()
    # The release that closed a page may be one whose answer was lost: then only the broker knows.
    if len(missing) > lost:
        yield f"{name}: {_some(missing)} not closed"
    if unknown := closed.keys() - expected:
        yield f"{name}: {_some(unknown)} closed, but not of the site"
    if repeated := [url for url, times in closed.items() if times > 1]:
        yield f"{name}: {_some(repeated)} closed more than once"
    if stats.counters.closed != len(expected):
        yield f"{name}: the broker closed {stats.counters.closed} tasks, the site has {len(expected)} pages"
    for state in ("waiting", "verifying", "assigned", "failed"):
        if count := getattr(stats, state):
            yield f"{name}: {count} still {state}"


def _some(urls: Iterable[str]) -> str:
    first, *others = sorted(urls)
    return f"{first} and {len(others)} more" if others else first


def summary(ledger: Ledger, pages: Stats, index: Stats, hosts: Iterable[Host]) -> str:
    """A line for each thing that happened, a column for each project; and a line for what each host has measured."""
    rows = [
        ("closed", pages.counters.closed, index.counters.closed),
        ("  by two workers' votes", ledger.pages.by_two_votes, ledger.index.by_two_votes),
        ("assigned", pages.counters.assigned, index.counters.assigned),
        ("failed on purpose", ledger.failed, 0),
        ("abandoned on purpose", ledger.abandoned, 0),
        ("reclaimed", pages.counters.reclaimed, index.counters.reclaimed),
        ("told to wait by a 429", ledger.told_to_wait, 0),
        ("duplicates refused", pages.counters.duplicates, index.counters.duplicates),
        ("left over", pages.unfinished + pages.failed, index.unfinished + index.failed),
    ]
    lines = [f"{'':<26}{'pages':>10}{'index':>10}"]
    lines += [f"{name:<26}{in_pages:>10,}{in_index:>10,}" for name, in_pages, in_index in rows]
    columns = "at once", "in a second", "after its 429"
    lines += ["", f"{'most requests, of allowed':<26}" + "".join(f"{column:>15}" for column in columns)]
    for host in hosts:
        cells = {what: f"{count} of {allowed}" for what, (count, allowed) in host.measured().items()}
        lines.append(f"{host.name:<26}" + "".join(f"{cells.get(column, '-'):>15}" for column in columns))
    return "\n".join(lines)
