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
from broker.demo.fleet import DemoProject
from broker.demo.ledger import Books

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
        self.found: dict[str, None] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if tag == "a" and name == "href" and value:
                self.found[value] = None


def links(url: str, html: str) -> list[str]:
    """Addresses on the same site that a page links to, each once, in order, without fragments."""
    parser = _Links()
    parser.feed(html)
    parser.close()
    site = urlsplit(url)[:2]
    targets = dict.fromkeys(urldefrag(urljoin(url, link)).url for link in parser.found)
    return [target for target in targets if urlsplit(target)[:2] == site]


class Crawl:
    """What the workers share. All of them run until ``done`` is set."""

    def __init__(self, site: httpx.AsyncClient, pages: DemoProject, index: DemoProject) -> None:
        self.done = asyncio.Event()
        self.books = Books()
        self._site = site
        self._pages = pages
        self._index = index
        self._faced: set[str] = set()  # pages that have failed or have been abandoned as planned

    async def start(self, worker: AsyncClient, url: str) -> None:
        await worker.submit_many(self._pages.id, [_task(url)])

    async def work(self, worker: AsyncClient) -> None:
        """A worker's life: a page to crawl and a page to index in turn, a short rest when there is neither."""
        while not self.done.is_set():
            crawled = await self._crawl_one(worker)
            indexed = await self._index_one(worker)
            if not crawled and not indexed:
                await asyncio.sleep(_IDLE)

    async def _crawl_one(self, worker: AsyncClient) -> bool:
        task = await self._take(worker, self._pages)
        if task is None:
            return False
        url = task.recipe
        fault = Fault.NONE if url in self._faced else plan(url).fault
        self._faced.add(url)
        if fault is Fault.ABANDON:
            self.books.abandoned += 1
        elif fault is Fault.FAIL:
            self.books.failed += 1
            await self._release(worker, task, Result.FAIL)
        elif (content := await self._fetch(url)) is None:
            await self._release(worker, task, Result.FAIL)
        else:
            await self._submit(worker, links(url, content.decode()))
            if await self._release(worker, task, Result.OK, content):
                self.books.pages.add(url, task.verification_count)
        return True

    async def _index_one(self, worker: AsyncClient) -> bool:
        task = await self._take(worker, self._index)
        if task is None:
            return False
        url = task.recipe
        if (content := await self._fetch(url)) is None:
            await self._release(worker, task, Result.FAIL)
        elif await self._release(worker, task, Result.OK, content):
            self.books.index.add(url, task.verification_count)
            self.books.words += len(_WORD.findall(_TAG.sub(b" ", content)))
        return True

    async def _take(self, worker: AsyncClient, project: DemoProject) -> Task | None:
        try:
            return await worker.get(project.id)
        except Unreachable:
            # A task that was assigned without anybody knowing comes back when its time is over.
            return None

    async def _fetch(self, url: str) -> bytes | None:
        try:
            response = await self._site.get(url)
        except httpx.TransportError:
            return None
        return response.content if response.is_success else None

    async def _submit(self, worker: AsyncClient, urls: list[str]) -> None:
        outcomes = await worker.submit_many(self._pages.id, map(_task, urls))
        self.books.duplicates += outcomes.count(None)

    async def _release(self, worker: AsyncClient, task: Task, result: Result, content: bytes = b"") -> bool:
        """True when this closed the task."""
        try:
            updated = await worker.release(task.id, result, verification(content))
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
