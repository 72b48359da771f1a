"""Other ways to run Scrapy than one spider on the reactor."""

import os

import pytest

from tests.client import Fleet
from tests.scrapy.conftest import Start, grant
from tests.scrapy.crawls import OTHER_SCRAPY, STOCK, items
from tests.scrapy.site import Site, tree

pytestmark = pytest.mark.slow


@pytest.mark.skipif(OTHER_SCRAPY in os.environ, reason="the oldest Scrapy always has a reactor")
def test_without_a_reactor(start: Start, site: Site) -> None:
    site.pages |= tree(10)
    crawl = start(TWISTED_REACTOR_ENABLED=False)
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == dict.fromkeys(tree(10), 1)


TWO = """
import json, os
from scrapy.crawler import CrawlerProcess
from spider import Site

process = CrawlerProcess(json.loads(os.environ["SETTINGS"]))
for _ in range(2):
    process.crawl(Site)
process.start()
"""


def test_two_spiders_in_one_process_are_two_workers(start: Start, site: Site, fleet: Fleet, crawled: int) -> None:
    site.pages |= tree(40, seconds=0.2)
    crawl = start(STOCK, script=TWO, accept=False, CONCURRENT_REQUESTS=2)
    grant(fleet, crawled, crawl, workers=2)
    assert crawl.wait() == "finished"
    assert crawl.text().count("Spider closed (finished)") == 2
    assert items(crawl.folder) == dict.fromkeys(tree(40), 1)
    workers = fleet.admin.get(f"/worker/stats?project={crawled}&limit=500").content()["stats"]
    assert sum(worker["closed_task_count"] > 0 for worker in workers) == 2
