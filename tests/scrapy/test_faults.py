"""What happens when a spider, the broker or an answer is lost."""

import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.client import Fleet
from tests.client_library.proxy import a_proxy
from tests.client_library.running import counters, stats
from tests.scrapy.conftest import Start, grant
from tests.scrapy.crawls import items
from tests.scrapy.site import Page, Site, linked, tree
from tests.serving import Serving

WIDE = {"/0": Page(body=linked(*(f"/{n}" for n in range(1, 60))))} | {f"/{n}": Page(seconds=0.1) for n in range(1, 60)}


def test_after_a_kill_another_process_crawls_exactly_what_was_not_finished(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= WIDE
    first = start(BROKER_LEASE=3, CONCURRENT_REQUESTS=4)
    first.until(lambda: counters(fleet, crawled)["closed"] > 20)
    first.kill()
    time.sleep(0.3)  # a call of it may still be carried out
    in_flight = stats(fleet, crawled)["assigned"]
    released = counters(fleet, crawled)["closed"]
    begun = set(site.counts())
    second = start()
    assert second.wait() == "finished"
    assert items(second.folder).keys() == WIDE.keys()
    again = {path for path, times in items(second.folder).items() if times > 1}
    # Four that Scrapy worked on, and those that it had done and whose releases were on their way.
    assert len(again) <= in_flight <= 12
    assert again <= begun
    assert second.stats["broker/released"] == 60 - released


@pytest.mark.slow
def test_a_page_that_takes_longer_than_the_lease_is_extended(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {"/0": Page(seconds=7)}
    first, second = start(BROKER_LEASE=3), start(BROKER_LEASE=3)
    assert (first.wait(), second.wait()) == ("finished", "finished")
    assert site.counts() == {"/0": 1}
    assert counters(fleet, crawled)["reclaimed"] == 0


@pytest.mark.slow
def test_a_process_that_was_stopped_for_longer_than_its_lease_leaves_its_tasks_to_others(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {"/0": Page(seconds=1, body=linked("/1", "/2"))} | dict.fromkeys(("/1", "/2"), Page(seconds=2))
    first = start(BROKER_LEASE=3)
    first.until(lambda: site.count("/1") and counters(fleet, crawled)["closed"])
    first.process.send_signal(signal.SIGSTOP)
    second = start()
    assert second.wait() == "finished"
    assert counters(fleet, crawled)["reclaimed"] > 0
    first.process.send_signal(signal.SIGCONT)
    assert first.wait() == "finished"
    assert items(first.folder) == {"/0": 1, "/1": 2, "/2": 2}
    assert first.says("is not held any more")
    assert counters(fleet, crawled)["closed"] == 3


@pytest.mark.slow
def test_lost_answers_lose_nothing_and_delay_nothing(start: Start, site: Site, fleet: Fleet, crawled: int) -> None:
    site.pages |= tree(60)
    with a_proxy(fleet.url) as proxy:
        first = start(BROKER_URL=proxy.url)
        for _ in range(5):
            before = len(proxy.asked)
            first.until(lambda before=before: len(proxy.asked) > before)  # type: ignore[misc]
            proxy.lose("/task/turn")
        assert first.wait() == "finished"
    assert items(first.folder) == dict.fromkeys(tree(60), 1)
    assert counters(fleet, crawled)["reclaimed"] == 0
    assert (counters(fleet, crawled)["closed"], stats(fleet, crawled)["assigned"]) == (60, 0)


@pytest.mark.slow
def test_a_broker_that_is_away_at_the_start_and_in_the_middle_is_waited_for(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= WIDE
    with a_proxy(fleet.url) as proxy:
        pass
    port = httpx.URL(proxy.url).port or 0
    first = start(BROKER_URL=proxy.url, accept=False)
    first.until_says("is unavailable")
    with a_proxy(fleet.url, port) as proxy:
        grant(fleet, crawled, first)
        first.until(lambda: len(items(first.folder)) > 5)
    proxy.cut()
    first.until(lambda: first.text().count("is unavailable") > 1)
    with a_proxy(fleet.url, port):
        assert first.wait() == "finished"
    assert items(first.folder) == dict.fromkeys(WIDE, 1)


@pytest.mark.slow
def test_a_spider_that_waits_for_a_broker_can_be_stopped(start: Start, site: Site, fleet: Fleet) -> None:
    with a_proxy(fleet.url) as proxy:
        pass
    crawl = start(BROKER_URL=proxy.url, accept=False)
    crawl.until_says("is unavailable")
    crawl.interrupt()
    assert crawl.wait(20) == "shutdown"


@pytest.mark.slow
def test_a_worker_file_gives_back_what_a_killed_run_held_without_waiting_for_the_lease(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= WIDE
    first = start(BROKER_WORKER_FILE="worker.json", BROKER_LEASE=3600)
    first.until(lambda: len(items(first.folder)) > 5)
    first.kill()
    second = start(BROKER_WORKER_FILE="worker.json", accept=False)
    assert second.wait() == "finished"
    assert second.says(r"\d+ tasks of an earlier run are given back")
    assert items(first.folder).keys() == WIDE.keys()


@pytest.mark.slow
def test_two_processes_with_one_worker_file_leave_each_other_their_tasks(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {path: Page(body=page.body, seconds=0.5) for path, page in WIDE.items()}
    first = start(BROKER_WORKER_FILE="worker.json", CONCURRENT_REQUESTS=4)
    first.until(lambda: len(items(first.folder)) > 5)
    with a_proxy(fleet.url) as proxy:
        second = start(BROKER_WORKER_FILE="worker.json", BROKER_URL=proxy.url, accept=False, BROKER_LEASE=3)
        second.until(lambda: proxy.count("/task/turn") > 2)
        proxy.lose("/task/turn")
        second.until_says("Spider closed|is not held|Crawled")
        first.wait(), second.wait()
    assert items(first.folder) == dict.fromkeys(WIDE, 1)


@pytest.mark.slow
def test_requests_that_the_broker_refuses_stay_in_their_process_and_the_others_go_on(
    start: Start, site: Site, tmp_path: Path
) -> None:
    serving = Serving.start(tmp_path / "small", max_recipe="1kb")
    fleet = Fleet(serving.url, serving.admin())
    try:
        project = fleet.project(remember_closed=-1, submit_rate=50)
        site.pages |= {f"/{n}": Page(body=linked(*(f"/{n}" for n in range(20)))) for n in range(20)}
        crawl = start(
            """
    def parse(self, response):
        yield {"path": self.path(response)}
        for link in response.css("a::attr(href)").getall():
            yield response.follow(link, meta={"text": "x" * 2000} if link in {"/5", "/7"} else {})
""",
            BROKER_URL=serving.url,
            BROKER_PROJECT=project,
            accept=False,
        )
        grant(fleet, project, crawl)
        assert crawl.wait() == "finished"
        assert items(crawl.folder) == dict.fromkeys(site.pages, 1)
        assert crawl.stats["broker/local"] == 2
        assert crawl.says(r"/5> is kept only in this process, and is lost with it: the broker refused it: ")
    finally:
        fleet.close()
        serving.stop()


@pytest.mark.slow
def test_rates_of_the_project_are_waited_for_and_delay_no_release(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {"/0": Page(body=linked(*(f"/{n}" for n in range(1, 13))))} | {f"/{n}": Page() for n in range(1, 13)}
    fleet.admin.post(f"/project/update/{crawled}", {"assign_rate": 0.25, "submit_rate": 6}).content()
    crawl = start()
    crawl.until(lambda: counters(fleet, crawled)["closed"] == 1)
    # The next get has to wait for four seconds, and nothing is held meanwhile.
    assert stats(fleet, crawled)["assigned"] == 0
    fleet.admin.post(f"/project/update/{crawled}", {"assign_rate": 0}).content()
    assert crawl.wait() == "finished"
    assert items(crawl.folder) == dict.fromkeys(site.pages, 1)
