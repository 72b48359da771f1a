"""When each worker was last seen, and its version and host.

A worker's call notes this in memory, which costs nearly nothing. Each process writes what is new every few seconds, in
batches. A process that dies loses what it has not written.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from broker.errors import BrokerError
from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls
from broker.store.shared_read import rest

log = logging.getLogger(__name__)

_EVERY = 2.0
"""Seconds between two writes."""

_AGAIN = 30.0
"""Seconds after which an active worker is written again: times are to the minute."""

_PAIRS = 500

_DUTY = 0.1
"""Share of the time for writing."""

_LAST_WRITE = 1.0
"""Seconds for the last write of a process."""

LONGEST_INFO = 200
_INFO = re.compile(rb"[ -~]+")


class Info(NamedTuple):
    """The contents of ``X-Worker-Info``."""

    version: str | None = None
    host: str | None = None

    @classmethod
    def read(cls, text: str | None) -> "Info":
        found: dict[str, str] = {}
        for part in (text or "").split(";"):
            name, _, value = part.partition("=")
            found.setdefault(name.strip().lower(), value.strip())
        return cls(found.get("version") or None, found.get("host") or None)

    @property
    def text(self) -> str:
        given = {name: value for name, value in self._asdict().items() if value}
        return "; ".join(f"{name}={value}" for name, value in given.items())


class Presence:
    def __init__(self, calls: Calls, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._calls = calls
        self._keys = keys
        self._clock = clock
        self.now = ""
        self._seen: dict[int, bytes] = {}
        """Workers seen since the last write, and their ``X-Worker-Info``."""
        self._written: dict[int, bytes] = {}
        """The same for workers that were written recently."""
        self._forget = 0.0
        """When ``_written`` is cleared."""

    def note(self, worker: int, info: bytes | None) -> None:
        """Notes a call of the worker. ``info``: the raw header, if any."""
        if info and len(info) <= LONGEST_INFO:
            self._seen[worker] = info
        else:
            self._seen.setdefault(worker, b"")

    async def run(self) -> None:
        """Writes what is new every few seconds, until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(_EVERY)
                try:
                    await self.write()
                except BrokerError as error:
                    log.debug("cannot write which workers were seen: %s", error.code)
        finally:
            try:
                async with asyncio.timeout(_LAST_WRITE):
                    await self.write()
            except (BrokerError, TimeoutError):
                log.debug("the workers seen last were not written")

    async def write(self) -> None:
        """Writes what is new now. Raises ``unavailable``: the rest is written the next time."""
        if self._clock() >= self._forget:
            self._written.clear()
            self._forget = self._clock() + _AGAIN
        seen, self._seen = self._seen, {}
        new = [(worker, info) for worker, info in seen.items() if self._is_new(worker, info)]
        for start in range(0, len(new), _PAIRS):
            begun, some = time.monotonic(), new[start : start + _PAIRS]
            args: Arguments = [part for worker, info in some for part in (worker, _said(info))]
            try:
                await self._calls.call("workers_seen", self._keys.directory, [self.now, *args])
            except BaseException:
                self._seen = dict(new[start:]) | self._seen
                raise
            self._written.update(some)
            if start + _PAIRS < len(new):
                await rest(begun, _DUTY)

    def _is_new(self, worker: int, info: bytes) -> bool:
        written = self._written.get(worker)
        return written is None or (info not in {b"", written})


def _said(header: bytes) -> str:
    """The header as it is stored; '' if it is not valid."""
    return Info.read(header.decode("ascii")).text if _INFO.fullmatch(header) else ""
