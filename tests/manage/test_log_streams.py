"""The streams that the logs are read from, below HTTP."""

import asyncio
import json
import logging
import secrets
import time

import pytest

from broker.server.logs import ToStore
from broker.settings import Settings
from broker.store import Store
from broker.store.logs import Line
from tests.manage.test_logs import HOSTILE
from tests.stores import looking_into


async def test_the_broker_s_own_records_are_kept_where_logs_reads_them(store: Store) -> None:
    own = logging.getLogger(f"broker.{secrets.token_hex(4)}")
    records = ToStore(store.logs)
    own.addHandler(records)
    keeping = asyncio.create_task(records.run())

    own.warning("the chain of project %d waits", 7)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        own.exception("sweep failed")
    errors: list[Line] = []
    async with asyncio.timeout(10):
        while not errors:
            errors = [line async for line in store.logs.newest_first("error")]
    warnings = [line async for line in store.logs.newest_first("warn")]
    keeping.cancel()
    own.removeHandler(records)

    assert [line.message for line in warnings] == ["the chain of project 7 waits"]
    assert json.loads(warnings[0].data) == {"scope": own.name}
    assert errors[0].message.startswith("sweep failed: ValueError(")
    assert abs(errors[0].timestamp - time.time()) < 60


async def test_about_the_last_ten_thousand_lines_of_each_level_are_kept(store: Store, settings: Settings) -> None:
    for start in range(0, 12_000, 100):
        lines = range(start, start + 100)
        await asyncio.gather(*(store.logs.add("info", n, f"line {n}", "s") for n in lines))
    await store.logs.add("error", 1, "an error", "s")

    kept = [line.timestamp async for line in store.logs.newest_first("info")]

    assert 10_000 <= len(kept) <= 10_200
    assert set(range(2000, 12_000)) <= set(kept)
    assert [line.message async for line in store.logs.newest_first("error")] == ["an error"]
    with looking_into(settings.redis_url) as redis:
        assert redis.xlen(f"{settings.prefix}:{{directory}}:logs:info") == len(kept)


@pytest.mark.parametrize("letter", ["x", "\N{BUG}", "\x00"], ids=["ascii", "four bytes", "control"])
async def test_the_longest_lines_stay_under_a_hundred_megabytes_a_level(
    store: Store, settings: Settings, letter: str
) -> None:
    for _ in range(100):
        await store.logs.add("warn", 1, letter * 1_000_000, letter * 1_000_000, worker=1)

    with looking_into(settings.redis_url) as redis:
        used = redis.memory_usage(f"{settings.prefix}:{{directory}}:logs:warn", samples=0)

    assert used is not None
    assert used < 100 * 10_000
