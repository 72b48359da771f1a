"""When a spider closes, and when it stays."""

import time

import pytest

from tests.client import Fleet
from tests.client_library.running import counters, stats
from tests.scrapy.conftest import Start, grant
from tests.scrapy.crawls import items
from tests.scrapy.site import Page, Site, linked


@pytest.mark.slow
def test_a_spider_without_a_task_stays_while_others_work_or_tasks_are_delayed(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {"/0": Page(body=linked(*(f"/{n}" for n in range(1, 9))), seconds=3)}
    site.pages |= {f"/{n}": Page(seconds=0.5) for n in range(1, 9)} | {"/late": Page()}
    first, second = (start(CONCURRENT_REQUESTS=2, accept=False) for _ in range(2))
    grant(fleet, crawled, first, second)
    first.until(lambda: site.count("/1"))
    fleet.worker(crawled).submit(crawled, site.url("/late"), delay=6)
    assert (first.wait(), second.wait()) == ("finished", "finished")
    assert items(first.folder) == dict.fromkeys(site.pages, 1)
    assert min(crawl.stats["broker/released"] for crawl in (first, second)) > 1


@pytest.mark.slow
def test_broker_stay_waits_for_more(start: Start, site: Site, fleet: Fleet, crawled: int) -> None:
    site.pages |= {"/0": Page(), "/more": Page()}
    crawl = start(BROKER_STAY=True)
    crawl.until(lambda: counters(fleet, crawled)["closed"] == 1)
    time.sleep(4)  # longer than it takes to find out that nothing is left
    asked = time.monotonic()
    fleet.worker(crawled).submit(crawled, site.url("/more"))
    crawl.until(lambda: site.count("/more"))
    assert time.monotonic() - asked < 2
    crawl.interrupt()
    assert crawl.wait() == "shutdown"


@pytest.mark.slow
def test_with_recrawls_a_spider_closes_after_an_idle_time(start: Start, site: Site, fleet: Fleet, crawled: int) -> None:
    site.pages |= {"/0": Page(body=linked("/1")), "/1": lambda before: Page(500) if before == 1 else Page()}
    crawl = start(
        """
    def parse(self, response):
        yield {"path": self.path(response)}
        if response.url.endswith("/1"):
            response.meta["broker_again_in"] = 2 if self.crawler.stats.get_value("item_scraped_count") < 3 else 3600
        yield from self.links(response)
""",
        BROKER_CLOSE_AFTER_IDLE=4,
    )
    assert crawl.wait() == "finished"
    assert items(crawl.folder)["/1"] >= 2
    assert stats(fleet, crawled)["delayed"] >= 1


@pytest.mark.slow
def test_items_and_requests_of_a_slow_start_are_waited_for(start: Start, site: Site, crawled: int) -> None:
    site.pages |= {"/0": Page(), "/1": Page()}
    crawl = start(
        """
    async def start(self):
        import asyncio
        yield {"path": "from the start"[:4]}
        await asyncio.sleep(4)
        yield scrapy.Request(self.start_urls[0])

    def parse(self, response):
        yield {"path": self.path(response)}
"""
    )
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == {"from": 1, "/0": 1}


@pytest.mark.slow
def test_a_spider_that_stays_closes_after_an_idle_time_and_not_before(start: Start, site: Site, crawled: int) -> None:
    site.pages |= {"/0": Page()}
    crawl = start(BROKER_STAY=True, BROKER_CLOSE_AFTER_IDLE=8)
    crawl.until(lambda: site.count("/0"))
    began = time.monotonic()
    assert crawl.wait() == "finished"
    assert time.monotonic() - began > 7


@pytest.mark.slow
def test_a_page_that_is_retried_comes_again_once(start: Start, site: Site, fleet: Fleet, crawled: int) -> None:
    site.pages |= {"/0": Page(), "/1": lambda before: Page(200 if before else 500)}
    crawl = start(
        """
    def parse(self, response):
        yield {"path": self.path(response)}
        if response.url.endswith("/0"):
            yield response.follow("/1", meta={"broker_again_in": 3600})
""",
        BROKER_CLOSE_AFTER_IDLE=3,
    )
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == {"/0": 1, "/1": 1}
    assert site.count("/1") == 2
    assert stats(fleet, crawled)["delayed"] == 1
