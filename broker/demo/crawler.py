"""The crawler: takes pages from the broker, fetches them, submits the links, releases the task."""

import asyncio
import enum
import hashlib
import re
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx

from broker.client import AsyncClient, NewTask, Result, Task, Unreachable, verification
from broker.demo.ledger import Ledger

_IDLE = 0.1  # seconds until a worker that found nothing asks again
_TAG = re.compile(rb"<[^>]*>")
_WORD = re.compile(rb"\w+")


class Fault(enum.Enum):
    NONE = enum.auto()
    FAIL = enum.auto()
    ABANDON = enum.auto()


class Plan(NamedTuple):
    """What the demo does with a page: the same in every run, whatever the port and the worker."""

    votes: int
    fault: Fault


def plan(url: str) -> Plan:
    """Every fourth page needs two workers that agree; one in 20 fails, and one in 20 is abandoned, the first time."""
    path = url.removeprefix("{0.scheme}://{0.netloc}".format(urlsplit(url)))
    number = int.from_bytes(hashlib.blake2b(path.encode(), digest_size=4).digest())
    faults = {0: Fault.FAIL, 1: Fault.ABANDON}
    return Plan(votes=1 + (number // 20 % 4 == 0), fault=faults.get(number % 20, Fault.NONE))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if tag == "a" and name == "href" and value]


def links(url: str, html: str) -> list[str]:
    """Addresses on the same site that a page links to, each once, in order, without fragments."""
    parser = _Links()
    parser.feed(html)
    parser.close()
    site = urlsplit(url)[:2]
    targets = dict.fromkeys(urldefrag(urljoin(url, link)).url for link in parser.found)
    return [target for target in targets if urlsplit(target)[:2] == site]


class Crawler:
    """What the workers share. All of them run until ``done`` is set."""

    def __init__(self, site: httpx.AsyncClient, pages: int, index: int) -> None:
        self.done = asyncio.Event()
        self.ledger = Ledger()
        self._site = site
        self._pages = pages
        self._index = index
        self._faulted: set[str] = set()  # pages that have failed or have been abandoned as planned

    async def submit(self, worker: AsyncClient, urls: list[str]) -> None:
        outcomes = await worker.submit_many(self._pages, map(_task, urls))
        self.ledger.duplicates += outcomes.count(None)

    async def work(self, worker: AsyncClient) -> None:
        """A page to crawl and a page to index in turn, a short pause when there is neither."""
        while not self.done.is_set():
            idle = True
            for project, handle in ((self._pages, self._crawl), (self._index, self._count_words)):
                if task := await self._get(worker, project):
                    await handle(worker, task)
                    idle = False
            if idle:
                await asyncio.sleep(_IDLE)

    async def _get(self, worker: AsyncClient, project: int) -> Task | None:
        try:
            return await worker.get(project)
        except Unreachable:
            # A task that was assigned without anybody knowing comes back when its time is over.
            return None

    async def _crawl(self, worker: AsyncClient, task: Task) -> None:
        url = task.recipe
        fault = Fault.NONE if url in self._faulted else plan(url).fault
        self._faulted.add(url)
        if fault is Fault.ABANDON:
            self.ledger.abandoned += 1
        elif fault is Fault.FAIL:
            self.ledger.failed += 1
            await self._release(worker, task, None)
        else:
            content = await self._fetch(url)
            if content is not None:
                await self.submit(worker, links(url, content.decode()))
            if await self._release(worker, task, content):
                self.ledger.pages.add(url, task.verification_count)

    async def _count_words(self, worker: AsyncClient, task: Task) -> None:
        content = await self._fetch(task.recipe)
        if await self._release(worker, task, content):
            self.ledger.index.add(task.recipe, task.verification_count)
            self.ledger.words += len(_WORD.findall(_TAG.sub(b" ", content or b"")))

    async def _fetch(self, url: str) -> bytes | None:
        try:
            response = await self._site.get(url)
        except httpx.TransportError:
            return None
        return response.content if response.is_success else None

    async def _release(self, worker: AsyncClient, task: Task, content: bytes | None) -> bool:
        """As failed without content. True when this closed the task."""
        result = Result.FAIL if content is None else Result.OK
        try:
            updated = await worker.release(task.id, result, verification(content or b""))
        except Unreachable:
            return False
        return result is Result.OK and updated


def _task(url: str) -> NewTask:
    votes, fault = plan(url)
    return NewTask(
        url,
        unique_string=url,
        max_retries=5,
        max_assign_time=2 if fault is Fault.ABANDON else 30,
        verification_count=votes,
    )
