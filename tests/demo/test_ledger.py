"""Books: they balance when every page was closed once in both projects, and say what is wrong otherwise."""

from collections.abc import Callable

import msgspec
import pytest

from broker.client import Stats
from broker.demo.crawler import Ledger, discrepancies, summary
from broker.demo.site import Host

PAGES = {"a.html", "b.html", "c.html"}


class Crawled:
    """Everything that the books are made of, in balance to begin with."""

    def __init__(self) -> None:
        self.ledger = Ledger(failed=1, abandoned=1, duplicates=4)
        for page in PAGES:
            self.ledger.pages.add(page, votes=1)
            self.ledger.index.add(page, votes=2)
        self.pages = stats(counters={"closed": 3, "assigned": 5, "reclaimed": 1, "duplicates": 4})
        self.index = stats(counters={"closed": 3, "assigned": 6})
        self.host = Host(delay=0.5, limit=1, busy=1)
        self.host.name = "docs:80"

    def wrong(self) -> list[str]:
        return list(discrepancies(PAGES, self.ledger, self.pages, self.index, [self.host]))


def stats(**fields: object) -> Stats:
    return msgspec.convert(fields, Stats)


def _never_closed(crawled: Crawled) -> None:
    del crawled.ledger.pages.times["b.html"]


def _closed_twice(crawled: Crawled) -> None:
    crawled.ledger.index.add("b.html", votes=1)


def _closed_unknown(crawled: Crawled) -> None:
    crawled.ledger.pages.add("elsewhere.html", votes=1)


def _broker_closed_more(crawled: Crawled) -> None:
    crawled.index.counters.closed = 4


def _still_waiting(crawled: Crawled) -> None:
    crawled.pages.waiting = 2


def _failed(crawled: Crawled) -> None:
    crawled.index.failed = 1


def _duplicates_differ(crawled: Crawled) -> None:
    crawled.ledger.duplicates = 5


def _not_reclaimed(crawled: Crawled) -> None:
    crawled.ledger.abandoned = 2


def _two_at_once(crawled: Crawled) -> None:
    crawled.host.receive("a.html", 0)
    crawled.host.receive("b.html", 5)


def test_books_balance_when_each_page_was_closed_once_in_both_projects() -> None:
    assert Crawled().wrong() == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_never_closed, "pages: b.html not closed"),
        (_closed_twice, "index: b.html closed more than once"),
        (_closed_unknown, "pages: elsewhere.html closed, but not of the site"),
        (_broker_closed_more, "index: the broker closed 4 tasks, the site has 3 pages"),
        (_still_waiting, "pages: 2 still waiting"),
        (_failed, "index: 1 still failed"),
        (_duplicates_differ, "pages: the broker refused 4 duplicates, the workers were told of 5"),
        (_not_reclaimed, "pages: 2 tasks were abandoned, but 1 reclaimed"),
        (_two_at_once, "docs:80: 2 requests at once, 1 allowed"),
    ],
)
def test_books_that_do_not_balance_say_what_is_wrong(change: Callable[[Crawled], None], line: str) -> None:
    crawled = Crawled()
    change(crawled)

    assert crawled.wrong() == [line]


def test_of_many_pages_that_are_missing_one_is_named_and_the_others_are_counted() -> None:
    crawled = Crawled()
    crawled.ledger.pages.times.clear()

    assert crawled.wrong() == ["pages: a.html and 2 more not closed"]


def test_an_answer_that_was_lost_on_the_way_excuses_a_client_but_not_the_broker() -> None:
    crawled = Crawled()
    crawled.ledger.lost = 1
    _never_closed(crawled)
    crawled.ledger.duplicates -= 1
    assert crawled.wrong() == []

    _broker_closed_more(crawled)
    assert crawled.wrong() == ["index: the broker closed 4 tasks, the site has 3 pages"]


def test_the_table_has_a_line_for_each_thing_and_aligned_columns() -> None:
    crawled = Crawled()
    crawled.pages.counters.duplicates = 12345
    text = summary(crawled.ledger, crawled.pages, crawled.index, [crawled.host])
    lines, hosts = (part.splitlines() for part in text.split("\n\n"))

    assert {len(line) for line in lines} == {len(lines[0])}
    assert lines[0].split() == ["pages", "index"]
    assert "duplicates refused            12,345         0" in lines
    assert len(hosts[0]) == len(hosts[1])
    assert " ".join(hosts[1].split()) == "docs:80 0 of 1 0 of 4 -"
