"""Makes every client of Redis, in one place: none of them ever repeats a command by itself.

redis-py would otherwise send a script up to eleven times when an answer is lost, and a task would be handed out twice.
"""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from broker.settings import Settings


def connect(settings: Settings) -> Redis:
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=settings.redis_connections,
        timeout=settings.redis_timeout,
        socket_timeout=settings.redis_timeout,
        socket_connect_timeout=settings.redis_timeout,
        retry=Retry(NoBackoff(), 0),
        # A script's reply is the same in RESP3, and the greeting one command shorter.
        protocol=2,
        decode_responses=True,
    )
    return Redis.from_pool(pool)
