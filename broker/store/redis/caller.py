"""The one way into Redis: ``call(script, keys, args)``.

Refusals of a script become :class:`BrokerError`; whatever keeps the store from answering becomes :class:`Unavailable`.
A call is never repeated, except as EVAL when the server says that it does not know the script: then nothing ran.
"""

import logging
from collections.abc import Awaitable, Sequence
from time import perf_counter
from typing import Any, Protocol

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from broker.errors import BrokerError, Unavailable, refusal
from broker.store.redis.metrics import Seen
from broker.store.redis.scripts import Script

log = logging.getLogger(__name__)

Argument = str | int | float
Arguments = list[Argument]
# What a server says when it cannot answer now, though the call is right.
_PASSING = (
    *("LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY", "OOM"),
    *("CLUSTERDOWN", "TRYAGAIN", "ASK"),
)


def info_fields(text: str) -> dict[str, str]:
    """What a server says of itself in answer to INFO."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class Client(Protocol):
    """What carries commands: :class:`~broker.store.redis.pipeline.Pipeline` or its ``Cluster``."""

    def execute_command(self, *command: Argument) -> Awaitable[Any]: ...

    async def everywhere(self, *command: Argument) -> list[Any]: ...

    async def new_connection(self) -> AbstractConnection: ...

    async def aclose(self) -> None: ...


class Calls:
    """Calls scripts by name on one client."""

    def __init__(self, client: Client, scripts: dict[str, Script], seen: Seen) -> None:
        self._client = client
        self._scripts = scripts
        self._seen = seen

    async def call(self, script: str, keys: Sequence[str], args: Sequence[Argument] = ()) -> Any:
        """The script's reply. Raises :class:`BrokerError` when it refuses, :class:`Unavailable` without an answer."""
        known = self._scripts[script]
        begun = perf_counter()
        try:
            try:
                return await self._client.execute_command("EVALSHA", known.sha, len(keys), *keys, *args)
            except NoScriptError:
                return await self._client.execute_command("EVAL", known.source, len(keys), *keys, *args)
        except (RedisError, OSError) as error:
            raise self._counted(_translated(script, error)) from error
        finally:
            self._seen.calls.observe(perf_counter() - begun)

    async def info(self, section: str) -> list[str]:
        """What each server that holds some of the store says of itself, as INFO has it; none if it does not tell us."""
        try:
            return await self._client.everywhere("INFO", section)
        except ResponseError:
            return []
        except (RedisError, OSError) as error:
            raise self._counted(_translated("INFO", error)) from error

    def _counted(self, error: BrokerError) -> BrokerError:
        if isinstance(error, Unavailable):
            self._seen.unanswered.add()
        return error

    async def new_connection(self) -> AbstractConnection:
        """One for what is no script. Raises what redis-py raises."""
        return await self._client.new_connection()

    async def close(self) -> None:
        await self._client.aclose()


def _translated(script: str, error: Exception) -> BrokerError:
    text = str(error)
    if isinstance(error, OutOfMemoryError):
        return Unavailable("The store is full: nothing new can be taken until tasks are closed")
    if isinstance(error, ResponseError):
        refused = refusal(text)
        if refused is not None:
            return refused
        if not text.startswith(_PASSING):
            log.error("script %s: %s", script, text)
    return Unavailable("The store cannot answer now")
