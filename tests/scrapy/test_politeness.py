"""What a site sees of several spiders."""

import time
from email.utils import formatdate
from itertools import pairwise

import pytest

from tests.client import Fleet
from tests.scrapy.conftest import Start, grant
from tests.scrapy.crawls import items
from tests.scrapy.site import Page, Site, linked


@pytest.mark.slow
def test_the_limit_and_the_delay_of_a_group_hold_over_all_spiders(
    start: Start, site: Site, fleet: Fleet, crawled: int
) -> None:
    fleet.admin.post(f"/project/update/{crawled}", {"group_limit": 2, "group_delay": 0.2}).content()
    pages = [f"/{n}" for n in range(1, 16)]
    site.pages |= {"/0": Page(body=linked(*pages, *(site.url(page, "localhost") for page in pages)))}
    site.pages |= {page: Page(seconds=0.5) for page in pages}
    spiders = [start(accept=False) for _ in range(2)]
    grant(fleet, crawled, *spiders)
    for spider in spiders:
        assert spider.wait() == "finished"
        assert spider.stats["broker/released"] > 0
    assert items(spiders[0].folder) == {"/0": 1} | dict.fromkeys(pages, 2)
    for host in ("127.0.0.1", "localhost"):
        assert site.most_at_once[host] == 2
        begins = list(site.begins(host))
        # A request takes a moment from the broker to the site, and not always the same.
        assert min(fourth - first for first, fourth in zip(begins, begins[3:], strict=False)) > 0.4
        assert begins[-1] - begins[0] > 0.2 * (len(begins) - 1) - 0.1


@pytest.mark.parametrize(("status", "retry_after"), [(429, "2"), pytest.param(503, "a date", marks=pytest.mark.slow)])
def test_retry_after_blocks_the_host_for_the_whole_fleet(
    start: Start, site: Site, fleet: Fleet, crawled: int, *, status: int, retry_after: str
) -> None:
    def busy(before: int) -> Page:
        if before:
            return Page()
        # A date has whole seconds.
        date = formatdate(time.time() + 3, usegmt=True)
        return Page(status, headers={"Retry-After": date if retry_after == "a date" else retry_after})

    site.pages |= {"/0": Page(body=linked("/busy", *(f"/{n}" for n in range(1, 9)), site.url("/1", "localhost")))}
    site.pages |= {"/busy": busy} | {f"/{n}": Page(seconds=0.3) for n in range(1, 9)}
    crawl = start(CONCURRENT_REQUESTS=2)
    assert crawl.wait() == "finished"
    assert crawl.stats["broker/blocked"] == 1
    assert items(crawl.folder) == {path: 2 if path == "/1" else 1 for path in site.pages}
    first = next(seen.began for seen in site.seen if seen.path == "/busy")
    after = [begin - first for begin in site.begins() if begin > first]
    # What was under way, or on its way, comes at once, and the rest after the block.
    assert sum(gap < 1.8 for gap in after) <= 2
    assert max(after) > 1.9


@pytest.mark.slow
def test_scrapys_own_delay_holds_as_well(start: Start, site: Site, crawled: int) -> None:
    site.pages |= {"/0": Page(body=linked(*(f"/{n}" for n in range(1, 8))))} | {f"/{n}": Page() for n in range(1, 8)}
    crawl = start(DOWNLOAD_DELAY=0.3, RANDOMIZE_DOWNLOAD_DELAY=False)
    assert crawl.wait() == "finished"
    begins = site.begins()
    assert begins[-1] - begins[0] > 0.3 * (len(begins) - 1) - 0.15
    assert min(after - before for before, after in pairwise(begins)) > 0.1
