"""Reads what scrapy-redis keeps of a crawl in its Redis: start pages, requests, and fingerprints of seen requests."""

import io
import json
import pickle
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from redis import Redis

from broker.scrapy.fingerprints import hash_of, scrapy_redis_fingerprint
from broker.scrapy.requests import NotCarried, encoded, group_of
from broker.store.task_fields import TaskFields

_PAGE = 1000
"""Entries that are read at a time."""

_NAMES = {"url", "callback", "errback", "method", "headers", "body", "cookies", "meta", "encoding", "priority"}
_NAMES |= {"dont_filter", "flags", "cb_kwargs", "_class"}


class Pickled(Exception):
    """There are pickled requests, and ``pickles`` is false."""


class Found(NamedTuple):
    """A request. ``fingerprint``: None if it is not filtered."""

    fields: TaskFields
    fingerprint: bytes | None


class Source:
    """The keys of one spider. ``pickles``: whether pickled requests are read."""

    def __init__(self, redis: "Redis", spider: str, *, pickles: bool) -> None:
        self._redis: Any = redis
        self._spider = spider
        self._pickles = pickles
        self.start_urls, self.requests, self.dupefilter = (
            f"{spider}:{name}" for name in ("start_urls", "requests", "dupefilter")
        )

    def count(self, key: str) -> int:
        kind = self._redis.type(key).decode()
        counts = {"list": "LLEN", "set": "SCARD", "zset": "ZCARD"}
        return int(self._redis.execute_command(counts[kind], key)) if kind in counts else 0

    def found(self, key: str) -> "Iterator[Found | str]":
        """The requests of a key in the order in which scrapy-redis takes them; a text says why one cannot be imported.

        Raises :class:`Pickled`.
        """
        for entry in self._entries(key):
            try:
                given = self._decoded(entry, start=key == self.start_urls)
                yield _request(self._spider, given)
            except (NotCarried, ValueError) as error:
                yield str(error)

    def fingerprints(self) -> Iterator[int]:
        """The fingerprints of the dupefilter as hashes of tasks. Some may come twice."""
        for entry in self._redis.sscan_iter(self.dupefilter, count=_PAGE):
            try:
                yield hash_of(bytes.fromhex(entry.decode()))
            except ValueError:
                continue

    def has_seen(self, fingerprint: bytes) -> bool:
        return bool(self._redis.sismember(self.dupefilter, fingerprint.hex()))

    def _entries(self, key: str) -> Iterator[bytes]:
        kind, count = self._redis.type(key).decode(), self.count(key)
        if kind == "set":
            yield from sorted(self._redis.smembers(key))
        for first in range(0, count, _PAGE):
            if kind == "zset":
                yield from self._redis.zrange(key, first, first + _PAGE - 1)
            elif kind == "list":
                # scrapy-redis pushes at the head.
                yield from reversed(self._redis.lrange(key, -first - _PAGE, -first - 1))

    def _decoded(self, entry: bytes, *, start: bool) -> dict[str, Any]:
        if start and not entry.lstrip().startswith(b"{"):
            return {"url": entry.decode().strip()}
        if entry.lstrip().startswith(b"{"):
            given = json.loads(entry)
        elif self._pickles:
            given = _unpickled(entry)
        else:
            raise Pickled
        if not isinstance(given, dict) or not isinstance(given.get("url"), str):
            raise ValueError("it is not a request")
        return given


class _Unpickler(pickle.Unpickler):
    """Reads plain data: nothing that the pickle names is imported or called."""

    def find_class(self, module: str, name: str) -> Any:
        raise ValueError(f"it contains a {module}.{name}")


def _unpickled(entry: bytes) -> Any:
    try:
        return _Unpickler(io.BytesIO(entry)).load()
    except ValueError:
        raise
    except Exception as error:  # of any kind, for bytes that are not a pickle
        raise ValueError(f"it is neither JSON nor a pickle: {error}") from None


def _request(spider: str, given: Mapping[str, Any]) -> Found:
    fields = {name: value for name, value in given.items() if name in _NAMES and value is not None}
    method, priority = str(fields.get("method") or "GET"), fields.get("priority") or 0
    body, headers = _bytes(fields.get("body") or b""), fields.get("headers") or {}
    if not (isinstance(headers, dict) and isinstance(priority, int)):
        raise ValueError("it is not a request")
    fields["body"] = body
    fields["headers"] = {_bytes(name): [_bytes(value) for value in _listed(values)] for name, values in headers.items()}
    host = urlsplit(given["url"]).hostname
    if not host:
        raise ValueError("its URL has no host")
    meta = fields.get("meta")
    slot = meta.get("download_slot", host) if isinstance(meta, dict) else host
    unique = None if fields.get("dont_filter") else scrapy_redis_fingerprint(given["url"], method, body)
    task = TaskFields(
        encoded(spider, fields),
        hash_of(unique) if unique else "",
        priority=max(-(2**15), min(priority, 2**15 - 1)),
        group=group_of(slot),
    )
    return Found(task, unique)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("it has a header or a body that is not text")
    return value.encode()


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values]
