"""The fingerprints of scrapy-redis, for a crawl that began with it."""

import hashlib
import json

from scrapy import Request
from w3lib.url import canonicalize_url


class ScrapyRedisFingerprinter:
    """A REQUEST_FINGERPRINTER_CLASS that agrees with the dupefilter of scrapy-redis 0.9."""

    def fingerprint(self, request: Request) -> bytes:
        return scrapy_redis_fingerprint(request.url, request.method, request.body)


def scrapy_redis_fingerprint(url: str, method: str, body: bytes) -> bytes:
    data = {"method": method, "url": canonicalize_url(url), "body": body.hex()}
    return hashlib.sha1(json.dumps(data, sort_keys=True).encode(), usedforsecurity=False).digest()
