"""Log lines of workers and of the broker itself, in capped streams, one per level."""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import orjson

from broker.store.calls import Arguments, Calls
from broker.store.keys import Keys

LEVELS = {"trace": 7, "debug": 6, "info": 5, "warn": 4, "error": 3}

_LONGEST = 4096
"""Characters kept of a message or scope: 10,000 lines of a level then stay under 100 MB."""


_PAGE = 500


class Line(NamedTuple):
    timestamp: int
    message: str
    data: str
    """A JSON object: scope, and of a worker's line its id."""


class Logs:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys

    async def add(self, level: str, timestamp: int, message: str, data: Mapping[str, object]) -> None:
        """``timestamp`` in unix seconds: of a worker's line as the client gave it."""
        args: Arguments = [level, timestamp, cut(message), orjson.dumps(data).decode()]
        await self._calls.call("log_add", self._keys.directory, args)

    async def newest_first(self, level: str) -> AsyncIterator[Line]:
        """In the order in which they came."""
        before = "+"
        while True:
            page = await self._calls.call("log_page", self._keys.directory, [level, before, _PAGE])
            for id, timestamp, message, data in page:
                yield Line(int(timestamp), message, data)
                before = f"({id}"
            if len(page) < _PAGE:
                return


def cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text) - _LONGEST} more characters)"
