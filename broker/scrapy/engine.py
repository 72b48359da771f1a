"""What the scheduler uses of Scrapy's engine without a public interface. Checked when a spider opens."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import scrapy
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.utils.defer import deferred_from_coro
from scrapy.utils.reactor import is_reactor_installed
from twisted.internet.defer import Deferred


class Engine:
    def __init__(self, crawler: Crawler) -> None:
        """Raises :class:`RuntimeError` if Scrapy lacks something."""
        self._engine: Any = crawler.engine
        _check_loop()
        self._slot: Any = _found(self._engine, "_slot")
        self._requests: set[Request] = _found(self._slot, "inprogress", set)
        _found(self._slot, "closing", None)
        _found(self._slot, "nextcall.schedule")
        _found(self._engine, "downloader.get_slot_key")
        self._downloading: set[Request] = _found(self._engine, "downloader.active", set)

    @property
    def in_progress(self) -> set[Request]:
        """The requests that Scrapy works on: from taking a request until its callback and its items are done."""
        return self._requests

    @property
    def downloading(self) -> int:
        return len(self._downloading)

    @property
    def closing(self) -> bool:
        return self._slot.closing is not None

    def slot_key(self, request: Request) -> str:
        key: str = self._engine.downloader.get_slot_key(request)
        return key

    def wake(self) -> None:
        """Makes Scrapy ask for requests, and whether there will be more."""
        if not self.closing:
            self._slot.nextcall.schedule()

    def before_exit(self, call: Callable[[], Deferred[None]]) -> None:
        """Called, and waited for, before the reactor stops; also when Scrapy is told twice to stop."""
        if is_reactor_installed():
            reactor: Any = sys.modules["twisted.internet.reactor"]  # to import it earlier would install one
            reactor.addSystemEventTrigger("before", "shutdown", call)

    def close_spider(self, reason: str) -> None:
        if hasattr(self._engine, "close_spider_async"):  # since Scrapy 2.14
            deferred_from_coro(self._engine.close_spider_async(reason=reason))
        else:
            self._engine.close_spider(self._engine.spider, reason)


def _check_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "broker.scrapy needs the asyncio reactor, which is Scrapy's default: remove TWISTED_REACTOR from the "
            "settings, or set it to twisted.internet.asyncioreactor.AsyncioSelectorReactor"
        ) from None


def _found(owner: Any, path: str, wanted: type | None = object) -> Any:
    found, missing = owner, object()
    for name in path.split("."):
        found = getattr(found, name, missing)
    if found is missing or (wanted is not None and (found is None or not isinstance(found, wanted))):
        raise RuntimeError(
            f"broker.scrapy relies on {type(owner).__name__}.{path}, which Scrapy {scrapy.__version__} does not have: "
            "it works with Scrapy 2.13 to 2.19"
        )
    return found
