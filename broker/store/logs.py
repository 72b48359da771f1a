"""Log lines of workers and of the broker itself, in capped streams, one per level."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import orjson

from broker.store.redis.keys import Keys
from broker.store.redis.scripts import Arguments, Calls

LEVELS = {"trace": 7, "debug": 6, "info": 5, "warn": 4, "error": 3}

UNUSED_LEVELS = {1, 2}
"""More severe than "error": clients ask for them, nobody writes them."""

_LONGEST = 4096
"""Bytes kept of a message: 10,000 lines of a level then stay under 100 MB."""

_LONGEST_SCOPE = 256
"""Bytes; a control character takes six in JSON."""

_MOST = 10_000
"""Log lines kept of a level, about."""

_PAGE = 500

_LOOKED_AT = 500
"""The newest lines of each level that are searched for those of a worker. They take the store about 1 ms."""

_AT_A_TIME = 100


class Line(NamedTuple):
    timestamp: int
    message: str
    data: str
    """A JSON object: ``scope``; ``worker``, the id of the worker that sent it; ``request``, the id of the request that
    wrote it."""


class Logs:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys

    async def add(
        self,
        level: str,
        timestamp: int,
        message: str,
        scope: str,
        *,
        worker: int | None = None,
        request: str | None = None,
    ) -> None:
        """``timestamp``: unix seconds, for a worker's line as the client sent it. Long texts are cut."""
        data: dict[str, object] = {"scope": cut(scope, _LONGEST_SCOPE)}
        if worker is not None:
            data["worker"] = worker
        if request is not None:
            data["request"] = request
        fields = ("timestamp", timestamp, "message", cut(message), "data", orjson.dumps(data).decode())
        await self._calls.command("XADD", self._keys.logs(level), "MAXLEN", "~", _MOST, "*", *fields)

    async def newest_first(self, level: str) -> AsyncIterator[Line]:
        """By the time at which they were received."""
        before = "+"
        while True:
            page = await self._calls.command("XREVRANGE", self._keys.logs(level), before, "-", "COUNT", _PAGE)
            for id, (_, timestamp, _, message, _, data) in page:
                yield Line(int(timestamp), message, data)
                before = f"({id}"
            if len(page) < _PAGE:
                return

    async def of_worker(self, worker: int, limit: int) -> list[tuple[str, Line]]:
        """The newest ``limit`` lines of a worker, each with its level, ordered by the timestamps that it sent."""
        args: Arguments = [worker, limit, _LOOKED_AT, _AT_A_TIME, *LEVELS]
        rows = await self._calls.call("worker_lines", self._keys.directory, args)
        lines = [(level, Line(int(timestamp), message, data)) for level, timestamp, message, data in rows]
        return sorted(lines, key=lambda row: -row[1].timestamp)[:limit]


def cut(text: str, longest: int = _LONGEST) -> str:
    """``text``, cut after ``longest`` bytes, with the number of bytes that were cut."""
    encoded = text.encode()
    if len(encoded) <= longest:
        return text
    return f"{encoded[:longest].decode(errors='ignore')}... ({len(encoded) - longest} more bytes)"
