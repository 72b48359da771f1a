"""Which requests become tasks, and what of them arrives at another process."""

import json

import pytest

from tests.client import Fleet
from tests.client_library.running import counters, stats
from tests.scrapy.conftest import Start
from tests.scrapy.crawls import STOCK, items
from tests.scrapy.site import Page, Site, linked

CARRIES = """
    def parse(self, response):
        more = scrapy.Request(
            response.urljoin("/1"), self.second, method="POST", headers={"X-Kind": "ä"}, body=b"\\x00\\xff",
            cookies={"sort": "asc"}, meta={"depth_of": [1, {"a": None}]}, cb_kwargs={"number": 7},
            errback=self.failed, flags=["kept"], priority=5,
        )
        yield more
        form = {"formdata": {"a": "b"}, "callback": self.second, "cb_kwargs": {"number": 8}}
        yield scrapy.FormRequest(response.urljoin("/2"), **form)
        yield scrapy.Request(response.urljoin("/3"), self.second, errback=self.failed, cb_kwargs={"number": 9})
        raise CloseSpider("submitted")

    def second(self, response, number):
        request = response.request
        kept = (type(request).__name__, request.method, request.headers.get("X-Kind", b"").decode(), request.body,
                request.cookies, request.meta.get("depth_of"), number, request.flags, request.priority,
                request.meta["depth"])
        self.logger.info("KEPT %r", kept)
        yield {"path": self.path(response)}

    def failed(self, failure):
        self.logger.info("FAILED %s", failure.value)
        yield {"path": "/failed"}
"""


def test_another_process_gets_the_whole_request_with_its_callback_and_errback_by_name(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {"/0": Page(), "/1": Page(), "/2": Page()}
    first = start(CARRIES)
    assert first.wait() == "submitted"
    rows = fleet.admin.get(f"/project/tasks/{crawled}?state=waiting&full=1").content()["tasks"]
    assert sorted(row["priority"] for row in rows) == [0, 0, 5]
    assert all(row["recipe"].startswith('{"spider":"site","') for row in rows)
    second = start(CARRIES)
    assert second.wait() == "finished"
    text = second.text()
    assert r"KEPT ('Request', 'POST', 'ä', b'\x00\xff', {'sort': 'asc'}, [1, {'a': None}], 7, ['kept'], 5, 1)" in text
    assert "KEPT ('FormRequest', 'POST', '', b'a=b', {}, None, 8, [], 0, 1)" in text
    assert items(second.folder) == {"/1": 1, "/2": 1, "/failed": 1}


def test_a_request_that_json_cannot_carry_stays_in_its_process_which_says_so(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {"/0": Page(body=linked("/object", "/tuple", "/lambda", "/plain"))}
    site.pages |= {f"/{name}": Page(body=linked("/deeper")) for name in ("object", "tuple", "lambda", "plain")}
    site.pages |= {"/deeper": Page(), "/long": Page()}
    crawl = start(
        """
    def parse(self, response):
        yield {"path": self.path(response)}
        for link in response.css("a::attr(href)").getall():
            if link == "/object":
                yield response.follow(link, meta={"item": {"of": [object()]}})
                yield response.follow(link, meta={"item": {"of": [object()]}})
            elif link == "/tuple":
                yield response.follow(link, cb_kwargs={"a": (1, 2)}, callback=self.tuple)
            elif link == "/lambda":
                yield response.follow(link, callback=lambda response: self.parse(response))
                yield response.follow("/long", meta={"text": "x" * 2**20})
            else:
                yield response.follow(link)

    def tuple(self, response, a):
        assert a == (1, 2)
        yield from self.parse(response)
"""
    )
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == dict.fromkeys(site.pages, 1)
    for name, why in (
        ("object", r"JSON cannot carry its meta\['item'\]\['of'\], a list"),
        ("tuple", r"JSON cannot carry its cb_kwargs\['a'\], a tuple"),
        ("lambda", "its callback is not a method of the spider"),
        ("long", r"the broker refused it: .*recipe"),
    ):
        assert crawl.says(
            rf"<GET http://127.0.0.1:\d+/{name}> is kept only in this process, and is lost with it: {why}"
        )
    assert (crawl.stats["broker/local"], crawl.stats["broker/submitted"]) == (4, 3)
    assert counters(fleet, crawled)["closed"] == 3


@pytest.mark.slow
def test_dont_filter_has_no_hash_and_a_start_page_has_one_all_the_same(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {"/0": Page(seconds=1), "/1": Page()}
    first = start(
        """
    def parse(self, response):
        yield {"path": self.path(response)}
        if response.meta.get("is_start_request"):
            for again in range(3):
                yield scrapy.Request(response.urljoin("/1"), dont_filter=True, callback=self.parse)
"""
    )
    first.until(lambda: site.count("/0"))
    second = start(STOCK)
    assert (first.wait(), second.wait()) == ("finished", "finished")
    assert items(first.folder) == {"/0": 1, "/1": 3}
    assert site.counts() == {"/0": 1, "/1": 3}
    assert counters(fleet, crawled)["duplicates"] == 1


def test_a_recipe_may_be_a_mere_url_and_one_that_is_no_request_fails_by_itself(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {f"/{n}": Page() for n in range(3)}
    producer = fleet.worker(crawled)
    for recipe in (site.url("/1"), json.dumps({"url": site.url("/2")})):
        producer.submit(crawled, recipe)
    wrong = {
        "no url": "Missing scheme in request url",
        '{"url": 5}': "the recipe is not a request",
        "{": "the recipe is not JSON",
        '{"url": "http://127.0.0.1/", "callback": "start"}': "the spider 'site' has no method 'start'",
        '{"url": "http://127.0.0.1/", "callback": "__init__"}': "the spider 'site' has no method '__init__'",
        '{"url": "http://127.0.0.1/", "callback": ["parse"]}': "the recipe is not a request",
        '{"url": "http://127.0.0.1/", "_class": "subprocess.Popen"}': "subprocess.Popen is not a request class",
        '{"url": "http://127.0.0.1/", "headers": {"a": 5}}': "the recipe is not a request",
        '{"url": "http://127.0.0.1/", "body": "%"}': "the recipe is not a request",
        '{"url": "http://127.0.0.1/", "meta": [1]}': "the recipe is not a request",
        "{}": "the recipe is not a request",
        '{"url": "http://[/"}': "Invalid IPv6 URL",
        '{"url": "http://127.0.0.1/", "meta": ' + 5000 * "[" + 5000 * "]" + "}": "the recipe is not JSON",
    }
    for recipe in wrong:
        producer.submit(crawled, recipe)
    crawl = start()
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == {"/0": 1, "/1": 1, "/2": 1}
    rows = fleet.admin.get(f"/project/tasks/{crawled}?state=failed&full=1").content()["tasks"]
    assert {row["recipe"] for row in rows} == wrong.keys()
    for row in rows:
        assert wrong[row["recipe"]] in row["error"]["message"]


@pytest.mark.slow
def test_a_task_of_another_spider_closes_this_one_and_stays(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    fleet.worker(crawled).submit(crawled, json.dumps({"spider": "other", "url": site.url("/1")}), priority=9)
    crawl = start()
    assert crawl.wait() == "broker_other_spider"
    assert crawl.says("the task is for the spider 'other', not for 'site': a project is for one spider")
    found = stats(fleet, crawled)
    assert (found["assigned"], found["failed"], counters(fleet, crawled)["skipped"] > 0) == (0, 0, True)
