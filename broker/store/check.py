"""Checks a store before the broker serves from it."""

from collections.abc import Iterator, Mapping

from redis.exceptions import (
    AuthenticationError,
    ClusterError,
    ConnectionError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from broker import redis_url
from broker.errors import BrokerError, StartError
from broker.settings import Settings
from broker.store import open_store
from broker.store.redis import connect
from broker.store.redis.cluster import Cluster
from broker.store.redis.connection import message
from broker.store.redis.keys import LAYOUT
from broker.store.redis.pipeline import Pipeline
from broker.store.redis.scripts import info_fields

_COMPACT = {
    "hash-max-listpack-value": (1024, "283 instead of 333 bytes for a task with a recipe of 100 bytes"),
    "hash-max-listpack-entries": (128, "21 instead of up to 80 bytes for a hash that is remembered for a time"),
    "set-max-intset-entries": (512, "11 instead of up to 80 bytes for a hash that is remembered for ever"),
}
"""Settings with which a server stores the broker's data compactly: the value, and what it saves (docs/operating.md)."""


class StoreAway(Exception):
    """The store does not answer now; it may later."""


async def check(settings: Settings) -> tuple[list[str], bool]:
    """Warnings for the operator, and whether anybody has an account yet.

    Raises :class:`StartError` for a store that the broker must not use, :class:`StoreAway` for one that is not there.
    """
    # The caller logs errors itself: it may try again and again.
    client = connect(settings, tell=False)
    try:
        # The servers first: on one that is too old, a script would fail with a worse message.
        doubts: dict[str, None] = {}
        # Not strict: slots may move to another server between the two calls.
        for text, config in zip(await client.everywhere("INFO"), await _configs(client), strict=False):
            info = info_fields(text)
            _fits(info, settings)
            doubts |= dict.fromkeys(_doubts(info, config, settings.durability))
        layout, accounts = await open_store(settings, client).layout()
    except AuthenticationError as error:
        raise StartError(f"the store refused the login: {error}", setting="redis_url") from None
    except (ConnectionError, TimeoutError, ClusterError, OSError) as error:
        raise StoreAway(message(error)) from None
    except BrokerError as error:
        raise StoreAway(error.message) from None
    except RedisError as error:
        raise StartError(str(error), setting="redis_url") from None
    finally:
        await client.aclose()
    if layout > LAYOUT:
        raise StartError(f"the data has key layout {layout}, made by a newer broker; this one knows {LAYOUT}")
    if layout < LAYOUT:
        raise StartError(
            f"the data has key layout {layout}, made by an older broker; this one needs {LAYOUT}: "
            "start that broker once more, export its projects with `broker export`, and import the files into a new one"
        )
    return list(doubts), accounts


async def _configs(client: Pipeline | Cluster) -> list[dict[str, str]]:
    """The settings of each server."""
    try:
        found = await client.everywhere("CONFIG", "GET", "appendfsync", *_COMPACT)
    except ResponseError:
        # Hosted stores often refuse CONFIG.
        return [{} for _ in await client.everywhere("PING")]
    return [dict(zip(pairs[::2], pairs[1::2], strict=True)) for pairs in found]


def _fits(info: Mapping[str, str], settings: Settings) -> None:
    name, oldest = ("Valkey", (7, 2)) if info.get("server_name") == "valkey" else ("Redis", (7, 0))
    text = info.get(f"{name.lower()}_version", "0")
    if tuple(int(part) for part in text.split(".")[:2] if part.isdigit()) < oldest:
        raise StartError(f"{name} {text} is too old: use Redis 7.0 or Valkey 7.2, or newer", setting="redis_url")
    if info.get("cluster_enabled") == "1" and redis_url.parse(settings.redis_url).kind != "cluster":
        raise StartError("this is a node of a cluster: begin the URL with redis+cluster://", setting="redis_url")
    policy = _policy(info)
    if policy.startswith("allkeys-"):
        raise StartError(
            f"the store deletes tasks when its memory is full, because its maxmemory-policy is {policy}: "
            "set maxmemory-policy noeviction",
            setting="redis_url",
        )


def _policy(info: Mapping[str, str]) -> str:
    """What a server deletes when its memory is full."""
    return info.get("maxmemory_policy", "noeviction")


def _doubts(info: Mapping[str, str], config: Mapping[str, str], durability: str) -> Iterator[str]:
    """Warnings for the operator."""
    if _policy(info) != "noeviction":
        # volatile-*: deletes only keys that expire.
        yield (
            "the store deletes sessions and counts of wrong passwords when its memory is full, because its "
            "maxmemory-policy is "
            f"{_policy(info)}: set maxmemory-policy noeviction"
        )
    if info.get("aof_enabled") != "1":
        yield "the store has no append-only file, so a restart loses acknowledged changes: set appendonly yes"
    elif durability == "always" and config.get("appendfsync", "always") != "always":
        yield f"BROKER_DURABILITY is always, but the store's appendfsync is {config['appendfsync']}"
    low = {name: wanted for name, wanted in _COMPACT.items() if int(config.get(name, wanted[0])) < wanted[0]}
    if low:
        advice = " and ".join(f"{name} {value}" for name, (value, _) in low.items())
        savings = "; ".join(saved for _, saved in low.values())
        yield f"the store needs more memory than necessary: set {advice} ({savings})"
