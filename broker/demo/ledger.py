"""What the workers saw, what the broker counted, and whether both agree with the site."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from broker.client import Stats


@dataclass
class Closed:
    """How often the release of a page closed its task, and how many needed two votes."""

    times: Counter[str] = field(default_factory=Counter)
    by_two_votes: int = 0

    def add(self, url: str, votes: int) -> None:
        self.times[url] += 1
        self.by_two_votes += votes > 1


@dataclass
class Ledger:
    """What the workers saw."""

    pages: Closed = field(default_factory=Closed)
    index: Closed = field(default_factory=Closed)
    failed: int = 0
    abandoned: int = 0
    duplicates: int = 0
    words: int = 0
    lost: int = 0  # answers that nobody saw because a connection was lost


def discrepancies(expected: set[str], ledger: Ledger, pages: Stats, index: Stats) -> Iterator[str]:
    """Everything that does not balance, one line each; nothing when each expected page was closed once in both."""
    yield from _project("pages", expected, ledger.pages.times, pages, ledger.lost)
    yield from _project("index", expected, ledger.index.times, index, ledger.lost)
    refused = pages.counters.duplicates
    if ledger.duplicates != refused and not (ledger.lost and ledger.duplicates < refused):
        yield f"pages: the broker refused {refused} duplicates, the workers were told of {ledger.duplicates}"
    if pages.counters.reclaimed < ledger.abandoned:
        yield f"pages: {ledger.abandoned} tasks were abandoned, but {pages.counters.reclaimed} reclaimed"


def _project(name: str, expected: set[str], closed: Counter[str], stats: Stats, lost: int) -> Iterator[str]:
    missing = expected - closed.keys()
    # The release that closed a page may be one whose answer was lost: then only the broker knows.
    if len(missing) > lost:
        yield f"{name}: {_some(missing)} not closed"
    if unknown := closed.keys() - expected:
        yield f"{name}: {_some(unknown)} closed, but not of the site"
    if repeated := [url for url, times in closed.items() if times > 1]:
        yield f"{name}: {_some(repeated)} closed more than once"
    if stats.counters.closed != len(expected):
        yield f"{name}: the broker closed {stats.counters.closed} tasks, the site has {len(expected)} pages"
    for state in ("waiting", "verifying", "assigned", "failed"):
        if count := getattr(stats, state):
            yield f"{name}: {count} still {state}"


def _some(urls: Iterable[str]) -> str:
    first, *others = sorted(urls)
    return f"{first} and {len(others)} more" if others else first


def table(ledger: Ledger, pages: Stats, index: Stats) -> str:
    """A line for each thing that happened, a column for each project."""
    rows = [
        ("closed", pages.counters.closed, index.counters.closed),
        ("  by two workers' votes", ledger.pages.by_two_votes, ledger.index.by_two_votes),
        ("assigned", pages.counters.assigned, index.counters.assigned),
        ("failed on purpose", ledger.failed, 0),
        ("abandoned on purpose", ledger.abandoned, 0),
        ("reclaimed", pages.counters.reclaimed, index.counters.reclaimed),
        ("duplicates refused", pages.counters.duplicates, index.counters.duplicates),
        ("left over", pages.unfinished + pages.failed, index.unfinished + index.failed),
    ]
    lines = [f"{name:<26}{in_pages:>10,}{in_index:>10,}" for name, in_pages, in_index in rows]
    return "\n".join([f"{'':<26}{'pages':>10}{'index':>10}", *lines])
