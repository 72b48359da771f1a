"""Connections to Redis, and everything that talks to it.

No connection repeats a command by itself. redis-py would otherwise send a script up to eleven times when an answer is
lost, and a task would be assigned twice.
"""

from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from broker import redis_url
from broker.counters import Counter, Counters
from broker.redis_url import RedisUrl
from broker.settings import Settings
from broker.store.redis.cluster import Cluster
from broker.store.redis.connection import Connector, greet
from broker.store.redis.pipeline import Pipeline

_OF_SENTINELS = "sentinel_"
"""Prefix of options in the URL that are for the sentinels: ``?sentinel_password=...``."""


def connect(settings: Settings, writes: Counter | None = None, *, tell: bool = True) -> Pipeline | Cluster:
    """A client for the store of these settings, which counts its writes; nothing is sent yet.

    ``tell``: whether to log when the store cannot be reached, and when it can be reached again.
    """
    writes = writes or Counter(Counters())
    url = redis_url.parse(settings.redis_url)
    timeout = settings.redis_timeout

    def to(pool: ConnectionPool, name: str) -> Pipeline:
        return Pipeline(Connector(pool, name, tell=tell), timeout, writes)

    if url.kind == "cluster":
        return Cluster(url.nodes, lambda node: to(_pool(url.of(node), timeout), f"the store's node {node}"))
    if url.kind == "sentinel":
        return to(_watched(url, timeout), "the store")
    return to(_pool(url.of(), timeout), "the store")


def _pool(url: str, timeout: float) -> ConnectionPool:
    return ConnectionPool.from_url(url, **_options(timeout))


def _watched(url: RedisUrl, timeout: float) -> ConnectionPool:
    """Each connection asks the sentinels for the primary first."""
    sentinels, theirs, servers = watched(url)
    manager = Sentinel(sentinels, sentinel_kwargs={**theirs, **_options(timeout)})  # type: ignore[no-untyped-call]
    return _SentinelPool(url.service, manager, **servers, **_options(timeout))  # type: ignore[no-untyped-call]


def watched(url: RedisUrl) -> tuple[list[tuple[str, int]], dict[str, Any], dict[str, Any]]:
    """Host and port of each sentinel, and redis-py's options for the sentinels and for the servers that they watch."""
    servers: dict[str, Any] = dict(parse_url(url.of("host")))
    del servers["host"]
    servers["ssl"] = servers.pop("connection_class", None) is SSLConnection
    theirs = {
        name.removeprefix(_OF_SENTINELS): servers.pop(name) for name in list(servers) if name.startswith(_OF_SENTINELS)
    }
    tls = {name: value for name, value in servers.items() if name.startswith("ssl")}
    return [redis_url.split(node) for node in url.nodes], {**tls, **theirs}, servers


class _SentinelPool(SentinelConnectionPool):
    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


def _options(timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "redis_connect_func": greet,
        # Scripts reply the same in RESP3, and RESP2 needs one command less to connect.
        "protocol": 2,
        "decode_responses": True,
    }
