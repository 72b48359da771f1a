"""Makes every connection to Redis, in one place: none of them ever repeats a command by itself.

redis-py would otherwise send a script up to eleven times when an answer is lost, and a task would be handed out twice.
"""

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from broker.settings import Settings


def pool(settings: Settings) -> ConnectionPool:
    return ConnectionPool.from_url(
        settings.redis_url,
        socket_timeout=settings.redis_timeout,
        socket_connect_timeout=settings.redis_timeout,
        retry=Retry(NoBackoff(), 0),
        # A script's reply is the same in RESP3, and the greeting one command shorter.
        protocol=2,
        decode_responses=True,
    )


def connect(settings: Settings) -> Redis:
    """A client for what is no script: the checks of the start."""
    return Redis.from_pool(pool(settings))
