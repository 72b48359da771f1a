"""How a request has ended, and how its task is released."""

import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from broker.client import Release, Result, Task
from broker.scrapy.requests import AGAIN_IN

_LONGEST_BLOCK = 86_400
_LONGEST_AGAIN = 315_360_000
"""Seconds that a broker accepts."""

_LONGEST_MESSAGE = 1000


class DerivedSlot(str):
    """A download slot that was derived from a URL.

    Redirects and retries inherit ``meta``. They drop a slot of this type, because the host may differ.
    """

    __slots__ = ()


@dataclass(eq=False)
class Running:
    """A task whose request Scrapy works on. ``blocked``: seconds for which its site asks for no requests."""

    task: Task
    request: Request
    crawled: bool = False
    blocked: float = 0
    error: str = ""

    def release(self) -> Release:
        if self.error:
            return Release(self.task.id, Result.FAIL, group_blocked=self.blocked, message=self.error)
        # A redirect or a retry inherits the key, and comes again itself.
        again_in = _seconds(self.request.meta.get(AGAIN_IN), _LONGEST_AGAIN) if self.crawled else 0
        return Release(self.task.id, Result.OK, group_blocked=self.blocked, again_in=again_in)


@dataclass(eq=False)
class Errback:
    """The errback of a task's request. If the spider has none, it notes why there is no response.

    ``retried``: statuses that Scrapy retries: with others, such as 404, the page is done.
    """

    running: Running
    errback: Any
    retried: set[int]

    def __call__(self, failure: Failure) -> Any:
        if self.errback is not None:
            return self.errback(failure)
        if isinstance(failure.value, HttpError):
            status = failure.value.response.status
            self.running.error = f"HTTP {status}" if status in self.retried else ""
        elif not isinstance(failure.value, IgnoreRequest):
            self.running.error = _message(failure)
        return failure


def attach(request: Request, slot: str) -> None:
    """``slot``: the download slot that Scrapy would give the request."""
    if slot and "download_slot" not in request.meta:
        request.meta["download_slot"] = DerivedSlot(slot)


def detach(request: Request) -> None:
    """Removes from the request what it has inherited from another request."""
    if isinstance(request.meta.get("download_slot"), DerivedSlot):
        del request.meta["download_slot"]
    if isinstance(request.errback, Errback):
        request.errback = request.errback.errback
    if request.meta.get("is_start_request") is True:
        request.meta["is_start_request"] = 1  # true as well, but a request that inherits it is not a start request


class Outcomes:
    """Notes what Scrapy's signals report about the requests in ``running``."""

    def __init__(self, crawler: Crawler, running: dict[Request, Running]) -> None:
        self._crawler = crawler
        self._running = running
        self._retried = {int(status) for status in crawler.settings.getlist("RETRY_HTTP_CODES")}
        for signal, receiver in (
            (signals.response_downloaded, self._response_downloaded),
            (signals.response_received, self._response_received),
            (signals.spider_error, self._spider_error),
            (signals.item_error, self._item_error),
        ):
            crawler.signals.connect(receiver, signal)

    def running(self, task: Task, request: Request) -> Running:
        running = Running(task, request)
        request.errback = Errback(running, request.errback, self._retried)
        return running

    def _response_downloaded(self, response: Response, request: Request) -> None:
        running = self._running.get(request)
        if running is not None and response.status in {429, 503}:
            running.blocked = _retry_after(response)
            if running.blocked and self._crawler.stats is not None:
                self._crawler.stats.inc_value("broker/blocked")

    def _response_received(self, request: Request) -> None:
        """Called after the middlewares: not for a redirect or a response that is retried."""
        running = self._running.get(request)
        if running is not None:
            running.crawled = True

    def _spider_error(self, failure: Failure, response: Any) -> None:
        self._note(response, failure)

    def _item_error(self, failure: Failure, response: Any) -> None:
        self._note(response, failure)

    def _note(self, response: Any, failure: Failure) -> None:
        running = self._running.get(getattr(response, "request", None))  # type: ignore[arg-type]
        if running is not None:
            running.error = _message(failure)


def _message(failure: Failure) -> str:
    with suppress(Exception):  # the text of an error of any library
        text = f"{type(failure.value).__name__}: {failure.value}"
        return text.encode(errors="replace").decode()[:_LONGEST_MESSAGE]
    return type(failure.value).__name__


def _retry_after(response: Response) -> float:
    """Seconds; 0 without the header, or if it cannot be parsed."""
    text = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if text.isdecimal():
        return _seconds(text, _LONGEST_BLOCK)
    with suppress(ValueError, TypeError, OverflowError):
        return _seconds(parsedate_to_datetime(text).timestamp() - time.time(), _LONGEST_BLOCK)
    return 0


def _seconds(given: Any, most: int) -> float:
    with suppress(TypeError, ValueError, OverflowError):
        return max(0.0, min(float(given), most))
    return 0
