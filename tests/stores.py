"""The stores on which the tests of the store and of the contract run: BROKER_TEST_STORE says on which."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis, RedisCluster

from broker import redis_url
from broker.settings import Settings
from broker.store.redis.embedded import EmbeddedStore
from tests.clusters import a_cluster
from tests.servers import AS_ADVISED, running, until_it_answers


def looking_into(url: str) -> Any:
    """redis-py's own, of the servers behind the URL; replies are text."""
    parsed = redis_url.parse(url)
    if parsed.kind == "cluster":
        return RedisCluster.from_url(parsed.of(parsed.nodes[0]), decode_responses=True)
    return Redis.from_url(url, decode_responses=True)


def commands_of(redis: Any) -> list[dict[str, dict[str, int]]]:
    """What each server says about the commands that it ran, those inside scripts as well."""
    if isinstance(redis, RedisCluster):
        return list(redis.info("commandstats", target_nodes=RedisCluster.PRIMARIES).values())
    return [redis.info("commandstats")]


def flags_of(redis: Any, commands: Sequence[str]) -> dict[str, set[str]]:
    """What a server says of these commands: ``write``, ``denyoom`` (refused at maxmemory), and more."""
    one: Any = redis
    if isinstance(redis, RedisCluster):
        one = redis.get_primaries()[0].redis_connection  # type: ignore[no-untyped-call]
    return {about[0].upper(): set(about[2]) for about in one.execute_command("COMMAND INFO", *commands)}


def keys_like(redis: Any, pattern: str) -> list[str]:
    """On all servers."""
    everywhere = {"target_nodes": RedisCluster.PRIMARIES} if isinstance(redis, RedisCluster) else {}
    return list(redis.keys(pattern, **everywhere))


@contextmanager
def _embedded(folder: Path) -> Iterator[str]:
    embedded = EmbeddedStore(Settings(data_dir=str(folder)))
    embedded.start()
    until_it_answers(embedded.url)
    yield embedded.url
    embedded.stop()


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """Debian's."""
    program = shutil.which("redis-server")
    assert program, "there is no redis-server on PATH"
    path = folder / "redis.sock"
    with running([program, *AS_ADVISED, "--port", "0", "--unixsocket", str(path)], folder):
        until_it_answers(f"unix://{path}")
        yield f"unix://{path}"


@contextmanager
def _node(folder: Path) -> Iterator[str]:
    with a_cluster(folder, primaries=1, replicas=0) as nodes:
        yield nodes.url


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    with a_cluster(folder, primaries=3, replicas=1) as nodes:
        yield nodes.url


STORES: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "embedded": _embedded,
    "redis": _redis,
    "node": _node,
    "cluster": _cluster,
}
"""Each starts one in a directory, and gives its URL: ``node`` is a cluster of one."""


def lose_record(redis: Any, prefix: str, task: int) -> str:
    """Removes the record of a task, as an eviction may. Returns the base of its project's keys."""
    n, project = divmod(task, 100_000)
    base = f"{prefix}:{{project:{project}}}"
    redis.hdel(f"{base}:tasks:{n // 32}", str(n))
    redis.delete(f"{base}:recipe:{task}")
    return base
