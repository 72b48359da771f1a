"""What is asked of a store before the broker serves from it."""

from collections.abc import Iterator

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, ResponseError, TimeoutError

from broker.errors import BrokerError, StartError
from broker.settings import Settings
from broker.store import open_store
from broker.store.connection import connect
from broker.store.keys import LAYOUT

_LONG_RECIPE = 1024
"""Bytes of a value that a hash still keeps in its compact form, as the embedded store is set."""


class StoreAway(Exception):
    """The store does not answer now; it may later."""


async def check(settings: Settings) -> tuple[list[str], bool]:
    """Warnings for the operator, and whether anybody has an account yet.

    Raises :class:`StartError` for a store that the broker must not use, :class:`StoreAway` for one that is not there.
    """
    client = connect(settings)
    try:
        # The server first: a script on one that is too old would fail with less to say.
        info = await client.info()
        _version(info)
        doubts = list(_doubts(info, await _config(client), settings.durability))
        layout, accounts = await open_store(settings, client).directory.layout()
    except AuthenticationError as error:
        raise StartError(f"--redis-url: the store refuses to let us in: {error}") from None
    except (ConnectionError, TimeoutError, OSError) as error:
        raise StoreAway(str(error)) from None
    except BrokerError as error:
        raise StoreAway(error.message) from None
    except RedisError as error:
        raise StartError(f"--redis-url: {error}") from None
    finally:
        await client.aclose()
    if layout > LAYOUT:
        raise StartError(f"the data has key layout {layout}, made by a newer broker; this one knows {LAYOUT}")
    if layout < LAYOUT:
        raise StartError(f"the data has key layout {layout}, made by an older broker; this one needs {LAYOUT}")
    return doubts, accounts


async def _config(client: Redis) -> dict[str, str]:
    try:
        found = await client.config_get("maxmemory-policy", "appendfsync", "hash-max-listpack-value")
    except ResponseError:
        # Hosted stores often let nobody ask.
        return {}
    return {str(name): str(value) for name, value in found.items()}


def _version(info: dict[str, object]) -> None:
    name, oldest = ("Valkey", (7, 2)) if info.get("server_name") == "valkey" else ("Redis", (7, 0))
    text = str(info.get(f"{name.lower()}_version", "0"))
    if tuple(int(part) for part in text.split(".")[:2] if part.isdigit()) < oldest:
        raise StartError(f"--redis-url: {name} {text} is too old: Redis 7.0 or Valkey 7.2 are the oldest that will do")


def _doubts(info: dict[str, object], config: dict[str, str], durability: str) -> Iterator[str]:
    """What an operator should know of this store."""
    if config.get("maxmemory-policy", "noeviction") != "noeviction":
        yield f"the store may throw tasks away: its maxmemory-policy is {config['maxmemory-policy']}, set noeviction"
    if not info.get("aof_enabled"):
        yield "the store keeps no append-only file: what was acknowledged may be lost with it; set appendonly yes"
    elif durability == "always" and config.get("appendfsync", "always") != "always":
        yield f"BROKER_DURABILITY is always, but the store's appendfsync is {config['appendfsync']}"
    if int(config.get("hash-max-listpack-value", _LONG_RECIPE)) < _LONG_RECIPE:
        yield f"longer recipes take twice the memory: set the store's hash-max-listpack-value to {_LONG_RECIPE}"
