"""The scheduler: called by Scrapy, it keeps each request as a task of the broker."""

import asyncio
import logging
import time
from typing import Any, Self

from scrapy import Request, Spider, signals
from scrapy.core.scheduler import BaseScheduler
from scrapy.crawler import Crawler
from scrapy.exceptions import DontCloseSpider
from scrapy.utils.defer import deferred_from_coro
from twisted.internet.defer import Deferred

from broker.client import ClientError, Refused, Release, Result
from broker.scrapy.engine import Engine
from broker.scrapy.fingerprints import Hashes
from broker.scrapy.local import LocalQueue, Recent
from broker.scrapy.membership import Membership
from broker.scrapy.options import Options
from broker.scrapy.outcomes import Outcomes, Running, attach, detach
from broker.scrapy.requests import NotCarried, OtherSpider, Requests, new_task
from broker.scrapy.turns import Turns

log = logging.getLogger(__name__)

_LAST_CALLS = 10
"""Seconds for the last calls of a spider that closes."""

_LAST_CALLS_IN_HASTE = 3
"""The same, if Scrapy was told twice to stop."""

_TICK = 1.0
"""Seconds between two looks at what Scrapy works on. Usually, Scrapy asks for requests when it has done one."""

_AHEAD = 0.04
"""Seconds of work to get in advance, so that a fast crawl does not wait for its calls. Not more, because the group of a
task that waits here may start its next one meanwhile."""

_AGAIN = 1.0
"""Seconds between two looks whether a project is finished."""

_ANY_NUMBER = 100
"""Tasks at a time, if CONCURRENT_REQUESTS is 0."""

_LONGEST_MESSAGE = 1000

_KNOWN = 50_000
"""How many of its last hashes this process does not submit again, or up to twice as many."""


class Scheduler(BaseScheduler):
    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._stats: Any = crawler.stats
        self._hashes = Hashes(crawler.request_fingerprinter)
        self._options = Options.read(crawler.settings)
        self._concurrency = crawler.settings.getint("CONCURRENT_REQUESTS") or _ANY_NUMBER
        self._local = LocalQueue()
        self._known: Recent[int, bool] = Recent(_KNOWN)
        self._running: dict[Request, Running] = {}
        self._done = 0
        """Requests since the last tick."""
        self._ahead = 0
        self._finished = False
        self._busy_at = time.monotonic()
        self._waited_out = False
        self._closing: asyncio.Task[None] | None = None
        self._reasons: set[str] = set()
        self._opened = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def open(self, spider: Spider) -> None:
        self._spider = spider
        self._engine = Engine(self._crawler)
        self._requests = Requests(spider)
        self._outcomes = Outcomes(self._crawler, self._running)
        self._membership = Membership(self._options, alias=spider.name)
        self._turns = Turns(
            self._membership.client,
            self._options.project,
            self,
            lease=self._options.lease,
            alone=self._membership.alone,
        )
        self._crawler.signals.connect(self._spider_idle, signals.spider_idle)
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)  # Scrapy logs all of them: a line for each call
        self._work = asyncio.create_task(self._run())
        self._work.add_done_callback(self._ended)
        self._ticking = asyncio.create_task(self._tick())
        self._engine.before_exit(self._forced)
        self._opened = True

    def close(self, reason: str) -> "Deferred[None] | None":
        return deferred_from_coro(self._close(_LAST_CALLS)) if self._opened else None

    def has_pending_requests(self) -> bool:
        return bool(self._local) or not self._finished

    def enqueue_request(self, request: Request) -> bool:
        self._finished = False
        start = request.meta.get("is_start_request") is True
        detach(request)
        # Start requests have dont_filter in Scrapy: each process would crawl them.
        hash64 = self._hashes.hash64(request) if start or not request.dont_filter else 0
        if hash64 and hash64 in self._known:
            self._count("dupefilter/filtered")
            return False
        try:
            recipe = self._requests.recipe(request)
        except NotCarried as why:
            return self._keep(request, hash64, str(why))
        if hash64:
            self._known[hash64] = True
        task = new_task(recipe, priority=request.priority, group=self._engine.slot_key(request), hash64=hash64)
        self._turns.submit(request, task)
        self._count("scheduler/enqueued")
        return True

    def next_request(self) -> Request | None:
        self._collect()
        request = self._local.take() or self._taken()
        if request is None:
            self._turns.wanted()
        else:
            self._busy_at = time.monotonic()
            self._count("scheduler/dequeued")
        return request

    # Called by Turns.

    def room(self) -> int:
        if self._engine.closing:
            return 0
        return self._concurrency + self._ahead - self._engine.downloading - len(self._local)

    def busy(self) -> bool:
        return self._engine.downloading > 0

    def arrived(self) -> None:
        self._finished = self._waited_out = False
        self._engine.wake()

    def submitted(self, request: Request, *, duplicate: bool) -> None:
        if not duplicate:
            self.count("submitted")
            return
        self.count("duplicates")
        self._count("dupefilter/filtered")
        self._crawler.signals.send_catch_log(signals.request_dropped, request=request, spider=self._spider)

    def refused(self, request: Request, why: str) -> None:
        self._keep(request, 0, f"the broker refused it: {why}")
        self._engine.wake()

    def count(self, name: str, by: int = 1) -> None:
        self._count(f"broker/{name}", by)

    def _count(self, name: str, by: int = 1) -> None:
        self._stats.inc_value(name, by)

    def _keep(self, request: Request, hash64: int, why: str) -> bool:
        """Keeps the request in this process, only in memory."""
        if not self._local.add(request, hash64):
            self._count("dupefilter/filtered")
            return False
        # Each reason is a warning once: all requests of a spider may have it.
        log.log(
            logging.DEBUG if why in self._reasons else logging.WARNING,
            "%s is kept only in this process, and is lost with it: %s",
            request,
            why,
        )
        self._reasons.add(why)
        self.count("local")
        self._count("scheduler/enqueued")
        return True

    def _taken(self) -> Request | None:
        """The request of the next task that has one."""
        while task := self._turns.take():
            try:
                request = self._requests.request(task.recipe)
                attach(request, self._engine.slot_key(request))
            except OtherSpider as other:
                log.error("%s: a project is for one spider", other)
                self._turns.release(task, Release(task.id, Result.SKIP))
                self._turns.give_back_untaken()
                self._engine.close_spider("broker_other_spider")
            except ValueError as error:
                log.error("task %d failed: %s", task.id, error)
                self._turns.release(task, Release(task.id, Result.FAIL, message=str(error)[:_LONGEST_MESSAGE]))
            else:
                self._running[request] = self._outcomes.running(task, request)
                return request
        return None

    def _collect(self) -> None:
        """Releases the tasks whose requests Scrapy has done. Scrapy has no signal for that, so this compares."""
        for request in self._running.keys() - self._engine.in_progress:
            running = self._running.pop(request)
            self._done += 1
            self._turns.release(running.task, running.release())

    async def _tick(self) -> None:
        """For the times when Scrapy asks for no requests: it is paused, closes, or has enough to do."""
        while True:
            await asyncio.sleep(_TICK)
            self._collect()
            self._ahead, self._done = round(self._done / _TICK * _AHEAD), 0
            if self._engine.closing:
                self._turns.give_back_untaken()

    async def _run(self) -> None:
        await self._membership.enter()
        await self._turns.run(self._look)

    def _ended(self, work: "asyncio.Task[None]") -> None:
        if work.cancelled() or (error := work.exception()) is None:
            return
        if isinstance(error, ClientError | OSError):
            log.error("the spider closes: %s", error)
        else:
            log.error("the spider closes because its scheduler failed", exc_info=error)
        self._engine.close_spider("broker_refused")

    async def _look(self) -> None:
        """Checks whether there will be more tasks. Called when a get found none."""
        if not self._idle:
            self._busy_at = time.monotonic()
        elif self._options.close_after_idle and time.monotonic() - self._busy_at >= self._options.close_after_idle:
            self._waited_out = True
            self._finish()
        elif not self._finished and not await self._unfinished():
            # Another program may release a page a moment before it submits the links.
            await asyncio.sleep(_AGAIN)
            if not await self._unfinished() and self._idle:
                self._finish()

    @property
    def _idle(self) -> bool:
        return self._turns.quiet and not self._local and not self._engine.in_progress

    async def _unfinished(self) -> bool:
        try:
            return (await self._membership.client.project_stats(self._options.project)).unfinished > 0
        except Refused:
            return True

    def _finish(self) -> None:
        self._finished = True
        self._engine.wake()

    def _spider_idle(self) -> None:
        if self._options.stay and not self._waited_out:
            raise DontCloseSpider

    def _forced(self) -> "Deferred[None]":
        """Called before the reactor stops. If the scheduler is not closed yet, Scrapy was told twice to stop."""
        return deferred_from_coro(self._close(_LAST_CALLS_IN_HASTE))

    async def _close(self, seconds: float) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._closed(seconds))
        await self._closing

    async def _closed(self, seconds: float) -> None:
        self._collect()
        if self._local:
            log.warning("%d requests that were kept only in this process are lost", len(self._local))
        if self._membership.entered:
            await self._turns.stop(seconds)
        self._work.cancel()
        self._ticking.cancel()
        await asyncio.gather(self._work, self._ticking, return_exceptions=True)
        await self._membership.close()
