"""The hash of a request says what Scrapy's fingerprint says, however often its URL has been seen."""

from typing import Any

import pytest
from scrapy import Request
from scrapy.utils.request import RequestFingerprinter

from broker.scrapy.fingerprints import Hashes, ScrapyRedisFingerprinter

URL = "http://example.org/a?x=1&y=2#top"


class Counted(RequestFingerprinter):
    calls = 0

    def fingerprint(self, request: Request) -> bytes:
        self.calls += 1
        return super().fingerprint(request)


@pytest.mark.parametrize(
    "request_of",
    [
        {},
        {"method": "POST"},
        {"method": "HEAD"},
        {"body": b"x=1"},
        {"meta": {"verbatim_url": True}},
        {"meta": {"depth": 3}},
        {"headers": {"Accept": "text/html"}},
    ],
)
def test_a_hash_is_that_of_the_fingerprint_also_when_the_url_was_seen_before(request_of: dict[str, Any]) -> None:
    hashes, request = Hashes(RequestFingerprinter()), Request(URL, **request_of)
    expected = int.from_bytes(RequestFingerprinter().fingerprint(request)[:8], "big", signed=True)

    assert hashes.hash64(Request(URL)) == hashes.hash64(Request("http://example.org/a?y=2&x=1"))
    assert [hashes.hash64(request), hashes.hash64(request.copy())] == [expected, expected]


def test_a_url_that_was_seen_is_not_fingerprinted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scrapys, made = RequestFingerprinter.fingerprint, list[str]()

    def noted(self: RequestFingerprinter, request: Request) -> bytes:
        made.append(request.url)
        return scrapys(self, request)

    monkeypatch.setattr(RequestFingerprinter, "fingerprint", noted)
    hashes = Hashes(RequestFingerprinter())

    for _ in range(3):
        hashes.hash64(Request(URL))

    assert made == [Request(URL).url]


@pytest.mark.parametrize("fingerprinter", [Counted(), ScrapyRedisFingerprinter()])
def test_fingerprints_of_a_projects_own_may_depend_on_anything(fingerprinter: Any) -> None:
    hashes = Hashes(fingerprinter)
    assert len({hashes.hash64(Request(URL)) for _ in range(3)}) == 1
    assert getattr(fingerprinter, "calls", 3) == 3
