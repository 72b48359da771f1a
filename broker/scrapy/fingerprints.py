"""The hashes of requests, by the fingerprints that Scrapy makes, or that scrapy-redis made."""

import hashlib
import json

from scrapy import Request
from scrapy.utils.request import RequestFingerprinter, RequestFingerprinterProtocol
from w3lib.url import canonicalize_url

from broker.scrapy.local import Recent

_RECENT = 20_000
"""The number of URLs whose hash is remembered, at least; at most twice as many. Most links of a page are on other pages
as well, and Scrapy takes 25 us for each hash."""

_MORE_THAN_URL = {"verbatim_url"}
"""Keys of ``meta`` that Scrapy's own fingerprints depend on, besides the URL, the method and the body."""


class Hashes:
    def __init__(self, fingerprinter: RequestFingerprinterProtocol) -> None:
        self._fingerprinter = fingerprinter
        # Other fingerprinters may depend on more than the URL.
        self._by_url = type(fingerprinter) is RequestFingerprinter
        self._recent: Recent[str, int] = Recent(_RECENT)

    def hash64(self, request: Request) -> int:
        """The hash of the request's fingerprint."""
        if not self._by_url or request.method != "GET" or request.body or not _MORE_THAN_URL.isdisjoint(request.meta):
            return self._made(request)
        hash64 = self._recent.get(request.url)
        if hash64 is None:
            hash64 = self._recent[request.url] = self._made(request)
        return hash64

    def _made(self, request: Request) -> int:
        return hash_of(self._fingerprinter.fingerprint(request))


def hash_of(fingerprint: bytes) -> int:
    """The first 64 bits of a fingerprint, but never 0, which means no hash."""
    return int.from_bytes(fingerprint[:8], "big", signed=True) or 1


class ScrapyRedisFingerprinter:
    """A REQUEST_FINGERPRINTER_CLASS that agrees with the dupefilter of scrapy-redis 0.9."""

    def fingerprint(self, request: Request) -> bytes:
        return scrapy_redis_fingerprint(request.url, request.method, request.body)


def scrapy_redis_fingerprint(url: str, method: str, body: bytes) -> bytes:
    data = {"method": method, "url": canonicalize_url(url), "body": body.hex()}
    return hashlib.sha1(json.dumps(data, sort_keys=True).encode(), usedforsecurity=False).digest()
