"""What happens when a spider, the broker or an answer is lost."""

from tests.client import Fleet
from tests.client_library.running import counters, stats
from tests.scrapy.conftest import Start
from tests.scrapy.crawls import items
from tests.scrapy.site import Page, Site, linked


def test_after_a_kill_another_process_crawls_exactly_what_was_not_finished(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    site.pages |= {"/0": Page(body=linked(*(f"/{n}" for n in range(1, 60))))}
    site.pages |= {f"/{n}": Page(seconds=0.1) for n in range(1, 60)}
    first = start(BROKER_LEASE=3, CONCURRENT_REQUESTS=4)
    first.until(lambda: counters(fleet, crawled)["closed"] > 20)
    first.kill()
    time.sleep(0.3)  # a call of it may still be carried out
    in_flight = stats(fleet, crawled)["assigned"]
    released = counters(fleet, crawled)["closed"]
    begun = set(site.counts())
    second = start()
    assert second.wait() == "finished"
    assert stats(fleet, crawled)["waiting"] == 0
    assert items(second.folder).keys() == {f"/{n}" for n in range(60)}
    again = {path for path, times in items(second.folder).items() if times > 1}
    # Four that Scrapy worked on, and those that it had done and whose releases were on their way.
    assert len(again) <= in_flight <= 12
    assert again <= begun
    assert second.stats["broker/released"] == 60 - released
