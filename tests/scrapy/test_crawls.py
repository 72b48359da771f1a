"""A stock spider on the scheduler: what is crawled, and when the spider closes."""

from tests.client import Fleet
from tests.client_library.running import counters, stats
from tests.scrapy.conftest import Start
from tests.scrapy.crawls import items
from tests.scrapy.site import Site, tree


def test_a_stock_spider_crawls_each_page_once_and_closes_by_itself(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= tree(20)
    crawl = start()
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == dict.fromkeys(tree(20), 1)
    assert site.counts() == dict.fromkeys(tree(20), 1)
    assert counters(fleet, crawled)["closed"] == 20
    assert stats(fleet, crawled)["assigned"] == 0
    assert crawl.stats["broker/released"] == 20
