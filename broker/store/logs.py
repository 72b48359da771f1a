"""Log lines of workers, in capped streams, one per level."""

import orjson

from broker.store.calls import Calls
from broker.store.keys import Keys

LEVELS = {"trace": 7, "debug": 6, "info": 5, "warn": 4, "error": 3}

_LONGEST = 4096
"""Characters kept of a message or scope: 10,000 lines of a level then stay under 100 MB."""


class Logs:
    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys

    async def add(self, level: str, worker: int, scope: str, message: str, timestamp: int) -> None:
        """``timestamp`` in unix seconds, as the client gave it."""
        data = orjson.dumps({"scope": cut(scope), "worker": worker}).decode()
        await self._calls.call("log_add", self._keys.directory, [level, timestamp, cut(message), data])


def cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text) - _LONGEST} more characters)"
