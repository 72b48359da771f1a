"""Fixtures of the tests that run Scrapy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.client import Fleet
from tests.scrapy.crawls import STOCK, Crawl
from tests.scrapy.site import Site, served

Start = Callable[..., Crawl]


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as running:
        yield running


@pytest.fixture
def crawled(fleet: Fleet) -> int:
    """A project that is crawled to its end."""
    return fleet.project(remember_closed=-1)


@pytest.fixture
def start(fleet: Fleet, crawled: int, site: Site, tmp_path: Path) -> Iterator[Start]:
    """Starts Scrapy. Settings of the crawl may be given by name; ``accept``: whether a manager grants it access."""
    started: list[Crawl] = []

    def begin(
        spider: str = STOCK, *, begin_at: str = "", script: str = "", accept: bool = True, **settings: object
    ) -> Crawl:
        its = {"SCHEDULER": "broker.scrapy.Scheduler", "BROKER_URL": fleet.url, "BROKER_PROJECT": crawled}
        crawl = Crawl(tmp_path / "crawl", spider, its | settings, begin_at or site.url(), script)
        started.append(crawl)
        if accept:
            grant(fleet, crawled, crawl)
        return crawl

    yield begin
    for crawl in started:
        crawl.kill()


def grant(fleet: Fleet, project: int, *crawls: Crawl, workers: int = 0) -> None:
    """As a manager does when the workers of new processes ask for access. All get it at the same time."""

    def asking() -> list[int]:
        rows = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
        return [row["worker"]["id"] for row in rows if row["request"]]

    for crawl in crawls:
        crawl.until(lambda: len(asking()) >= (workers or len(crawls)))
    for worker in asking():
        fleet.admin.post(f"/project/accept_request/{project}/{worker}").content()
