"""A fleet of Scrapy processes on the site of the demo, which measures how politely it is crawled."""

import asyncio
from pathlib import Path

import pytest

from broker.demo.site import START, Site, render_pages
from tests.client import Fleet
from tests.client_library.running import counters, stats
from tests.scrapy.conftest import Start, grant
from tests.scrapy.crawls import items

SPIDER = """
    def parse(self, response):
        yield {"path": response.url}
        for request in self.links(response):
            if request.url.startswith("http://127.0.0.1:"):
                yield request
"""


@pytest.mark.slow
async def test_two_spiders_one_killed_and_replaced_crawl_each_page_politely_and_close(
    start: Start, fleet: Fleet, crawled: int, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    site = Site(await render_pages(200, tmp_path / "empty", lambda done, total: None))
    # To Scrapy, the two ports of this machine are one host: it gets the limits of the slower one.
    limits = {"group_delay": 0.05, "group_limit": 2}
    fleet.admin.post(f"/project/update/{crawled}", limits).content()
    async with site.serve():

        def crawl() -> list[int]:
            options = {"begin_at": site.url(START), "BROKER_LEASE": 3}
            first, second = (start(SPIDER, accept=False, **options) for _ in range(2))
            grant(fleet, crawled, first, second)
            second.until(lambda: counters(fleet, crawled)["closed"] > 50)
            second.kill()
            held = stats(fleet, crawled)["assigned"]
            third = start(SPIDER, **options)
            assert (first.wait(), third.wait()) == ("finished", "finished")
            assert min(spider.stats["broker/released"] for spider in (first, third)) > 10
            return [held]

        (held,) = await asyncio.to_thread(crawl)
    found = items(tmp_path / "crawl")
    assert found.keys() == {site.url(path) for path in site.walk()}
    assert sum(times > 1 for times in found.values()) <= held <= 2
    assert max(found.values()) <= 2
    assert stats(fleet, crawled)["failed"] == 0
    for host in site.hosts:
        for what, (measured, _) in host.measured().items():
            allowed = {"at once": 2, "in a second": 1 / 0.05 + 1 + 2, "after its 429": 2}[what]
            assert measured <= allowed, (host.name, what)
