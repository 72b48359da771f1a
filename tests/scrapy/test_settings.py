"""The settings of the scheduler, and what it says when something is wrong with them."""

import pytest

from tests.client import Fleet
from tests.client_library.running import counters, stats
from tests.scrapy.conftest import Start
from tests.scrapy.crawls import STOCK, items
from tests.scrapy.site import Page, Site, tree

pytestmark = pytest.mark.slow


def test_a_join_token_gives_each_process_access(start: Start, site: Site, fleet: Fleet, crawled: int) -> None:
    made = fleet.admin.post(f"/project/join_tokens/{crawled}", {"assign": True, "submit": True}).content()
    site.pages |= tree(5)
    crawls = [start(BROKER_JOIN_TOKEN=made["token"], accept=False) for _ in range(2)]
    assert [crawl.wait() for crawl in crawls] == ["finished", "finished"]
    assert items(crawls[0].folder) == dict.fromkeys(tree(5), 1)
    accesses = fleet.admin.get(f"/project/access_list/{crawled}").content()["accesses"]
    assert len(accesses) == 2


def test_without_access_a_spider_says_where_it_is_granted_and_waits(start: Start, site: Site, crawled: int) -> None:
    site.pages |= tree(1)
    crawl = start(accept=False)
    crawl.until_says(rf"waits until a manager grants it access to assign and submit: .*/ui/projects/{crawled}/access")
    crawl.interrupt()
    assert crawl.wait() == "shutdown"
    assert crawl.says("1 requests could not be submitted, and are lost")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"BROKER_JOIN_TOKEN": "wrong"}, "the spider closes: the broker refused POST /project/join with 403"),
        ({"BROKER_PROJECT": 99_999}, "the spider closes: the broker refused .* not_found"),
    ],
)
def test_what_the_broker_refuses_closes_the_spider(
    start: Start, site: Site, settings: dict[str, object], says: str
) -> None:
    crawl = start(accept=False, **settings)
    assert crawl.wait() == "broker_refused"
    assert crawl.says(says)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"BROKER_URL": ""}, "BROKER_URL is missing"),
        ({"BROKER_URL": "localhost:3010"}, "'localhost:3010' is not the address of a broker"),
        ({"BROKER_PROJECT": ""}, "BROKER_PROJECT is '': it must be a whole number from 1"),
        ({"BROKER_LEASE": 2}, "BROKER_LEASE is '2': it must be a whole number from 3 to 86400"),
        ({"BROKER_CLOSE_AFTER_IDLE": "soon"}, "BROKER_CLOSE_AFTER_IDLE is 'soon'"),
        (
            {"TWISTED_REACTOR": "twisted.internet.selectreactor.SelectReactor"},
            "broker.scrapy needs the asyncio reactor, which is Scrapy's default",
        ),
    ],
)
def test_a_wrong_setting_ends_scrapy_with_an_error_that_names_it(
    start: Start, settings: dict[str, object], says: str
) -> None:
    crawl = start(accept=False, **settings)
    crawl.process.wait(60)
    assert crawl.says(says), crawl.text()


def test_a_scrapy_without_what_the_scheduler_relies_on_is_refused_at_the_start(start: Start) -> None:
    crawl = start(
        STOCK
        + """
import scrapy.core.engine

class Slot(scrapy.core.engine._Slot):
    inprogress = property(lambda self: None, lambda self, requests: None)

scrapy.core.engine._Slot = Slot
""",
        accept=False,
    )
    crawl.process.wait(60)
    assert crawl.says(r"broker.scrapy relies on Slot.inprogress, which Scrapy [\d.]+ does not have"), crawl.text()


def test_remember_closed_0_is_warned_of(start: Start, site: Site, fleet: Fleet, crawled: int) -> None:
    fleet.admin.post(f"/project/update/{crawled}", {"remember_closed": 0}).content()
    site.pages |= {"/0": Page()}
    crawl = start()
    assert crawl.wait() == "finished"
    assert crawl.says("has remember_closed 0: pages are crawled again")
    assert not start().says("never")
    assert stats(fleet, crawled)["failed"] == 0
    assert counters(fleet, crawled)["closed"] >= 1
