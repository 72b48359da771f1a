"""How a request ends, and how its task is released."""

import pytest

from tests.client import Fleet
from tests.client_library.running import counters, stats
from tests.scrapy.conftest import Start
from tests.scrapy.crawls import STOCK, items
from tests.scrapy.site import Page, Site, linked
from tests.serving import free_port


def failures(fleet: Fleet, project: int) -> dict[str, str]:
    """The messages of failed tasks, by the end of their URLs."""
    rows = fleet.admin.get(f"/project/tasks/{project}?state=failed&full=1").content()["tasks"]
    return {
        row["recipe"].partition('"url":"')[2].partition('"')[0].rpartition("/")[2]: row["error"]["message"]
        for row in rows
    }


def test_a_redirect_is_a_task_in_the_group_of_its_own_host(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {
        "/0": Page(body=linked("/a", "/b")),
        "/a": Page(302, headers={"Location": site.url("/1", "localhost")}),
        "/b": lambda _: Page(302, headers={"Location": site.url("/1", "localhost")}, seconds=0.5),
        "/1": Page(seconds=1),
    }
    crawl = start()
    crawl.until(lambda: site.count("/1"))
    rows = fleet.admin.get(f"/project/tasks/{crawled}?state=assigned&full=1").content()["tasks"]
    assert next(row["group"] for row in rows if f'{site.port}/1"' in row["recipe"]) == "localhost"
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == {"/0": 1, "/1": 1}
    assert site.counts() == {"/0": 1, "/a": 1, "/b": 1, "/1": 1}
    assert counters(fleet, crawled)["closed"] == 4


def test_retries_are_scrapys_and_its_start_page_is_retried_too(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {
        "/0": lambda before: Page(500) if before < 2 else Page(body=linked("/1")),
        "/1": lambda before: Page(502) if before < 1 else Page(),
    }
    crawl = start()
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == {"/0": 1, "/1": 1}
    assert site.counts() == {"/0": 3, "/1": 2}
    assert crawl.stats["retry/count"] == 3
    assert (counters(fleet, crawled)["closed"], stats(fleet, crawled)["failed"]) == (5, 0)


def test_what_goes_wrong_for_good_fails_with_a_message_and_what_the_spider_handles_does_not(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    site.pages |= {
        "/0": Page(
            body=linked("/raises", "/later", "/missing", "/busy", "/allowed", f"{nobody}/down", f"{nobody}/caught")
        ),
        "/raises": Page(),
        "/later": Page(),
        "/busy": Page(503),
        "/allowed": Page(503),
    }
    crawl = start(
        """
    def parse(self, response):
        if response.url.endswith("/raises"):
            raise LookupError("no price")
        if response.url.endswith("/later"):
            return self.later(response)
        return self.found(response)

    def later(self, response):
        yield {"path": "/later"}
        raise LookupError("no second price")

    def found(self, response):
        yield {"path": self.path(response)}
        for link in response.css("a::attr(href)").getall():
            meta = {"handle_httpstatus_list": [503]} if link == "/allowed" else {}
            yield response.follow(link, meta=meta, errback=self.caught if link.endswith("/caught") else None)

    def caught(self, failure):
        yield {"path": "/caught"}
""",
        RETRY_TIMES=1,
    )
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == {"/0": 1, "/later": 1, "/allowed": 1, "/caught": 1}
    found = failures(fleet, crawled)
    assert found.pop("down").startswith(("ConnectionRefused", "DownloadConnectionRefused", "CannotResolve", "Download"))
    assert found == {
        "raises": "LookupError: no price",
        "later": "LookupError: no second price",
        "busy": "HTTP 503",
    }
    assert stats(fleet, crawled)["assigned"] == 0


@pytest.mark.slow
def test_a_dropped_item_closes_its_page_and_an_item_that_a_pipeline_cannot_keep_fails_it(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {"/0": Page(body=linked("/drop", "/broken")), "/drop": Page(), "/broken": Page()}
    crawl = start(
        STOCK
        + """

class Picky:
    def process_item(self, item, spider=None):
        if item["path"] == "/drop":
            raise DropItem("not wanted")
        if item["path"] == "/broken":
            raise OSError("disk full")
        return item


Site.custom_settings = {"ITEM_PIPELINES": {"spider.Picky": 200, "spider.Items": 300}}
"""
    )
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == {"/0": 1}
    assert crawl.stats["item_dropped_count"] == 1
    assert failures(fleet, crawled) == {"broken": "OSError: disk full"}
    assert counters(fleet, crawled)["closed"] == 2


@pytest.mark.slow
def test_a_page_that_robots_txt_forbids_closes(start: Start, site: Site, fleet: Fleet, crawled: int) -> None:
    site.pages |= {
        "/robots.txt": Page(body="User-agent: *\nDisallow: /secret", headers={"Content-Type": "text/plain"}),
        "/0": Page(body=linked("/secret")),
    }
    crawl = start(ROBOTSTXT_OBEY=True)
    assert crawl.wait() == "finished"
    assert site.count("/secret") == 0
    assert (counters(fleet, crawled)["closed"], stats(fleet, crawled)["failed"]) == (2, 0)


MANY = {"/0": Page(body=linked(*(f"/{n}" for n in range(1, 40))))} | {f"/{n}": Page(seconds=0.2) for n in range(1, 40)}


@pytest.mark.slow
def test_close_spider_ends_this_process_and_another_one_goes_on(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= MANY
    first = start(
        """
    def parse(self, response):
        yield {"path": self.path(response)}
        yield from self.links(response)
        if "-" not in self.crawler.settings["BOT_NAME"] and site_pages(self) > 10:
            raise CloseSpider("enough")


def site_pages(spider):
    return spider.crawler.stats.get_value("item_scraped_count", 0)
""",
        CONCURRENT_REQUESTS=4,
    )
    assert first.wait() == "enough"
    left = stats(fleet, crawled)
    assert (left["assigned"], left["failed"]) == (0, 0)
    assert left["waiting"] == 40 - sum(items(first.folder).values()) > 0
    assert start(BOT_NAME="second-one").wait() == "finished"
    assert items(first.folder) == dict.fromkeys(MANY, 1)
    assert site.counts() == dict.fromkeys(MANY, 1)


@pytest.mark.slow
def test_ctrl_c_finishes_what_is_under_way_and_gives_back_the_rest(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= MANY
    first = start(CONCURRENT_REQUESTS=4)
    first.until(lambda: sum(items(first.folder).values()) > 5)
    first.interrupt()
    assert first.wait() == "shutdown"
    left = stats(fleet, crawled)
    assert left["assigned"] == 0
    assert left["waiting"] == 40 - sum(items(first.folder).values()) > 0
    assert start().wait() == "finished"
    assert items(first.folder) == dict.fromkeys(MANY, 1)


@pytest.mark.slow
def test_ctrl_c_twice_gives_back_what_is_under_way_at_once(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= MANY | {"/1": Page(seconds=30), "/2": Page(seconds=30)}
    first = start(CONCURRENT_REQUESTS=4)
    first.until(lambda: site.count("/1") and site.count("/2"))
    first.interrupt()
    first.until_says("shutting down gracefully")
    first.interrupt()
    first.process.wait(8)
    left = stats(fleet, crawled)
    assert left["assigned"] == 0
    site.pages |= MANY
    assert start().wait() == "finished"
    assert items(first.folder) == dict.fromkeys(MANY, 1)
    assert site.count("/1") == 2
