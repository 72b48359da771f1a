"""Workers that were seen are noted in memory and written in batches; their records do not change."""

import asyncio
from collections.abc import Sequence

import pytest

from broker.errors import Unavailable
from broker.settings import Settings
from broker.store import Store
from broker.store.presence import Info, Presence
from tests.stores import looking_into

NOON = 1_797_000_000_000
MINUTE = NOON // 60_000 * 60


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def seen(store: Store, *workers: int) -> list[tuple[int | None, str | None, str | None]]:
    return [(row.seen, row.info.version, row.info.host) for row in await store.worker_stats.of(workers)]


async def a_worker(store: Store) -> int:
    return (await store.workers.create("w"))[0].id


async def test_nothing_is_written_before_its_time_and_no_version_is_raised(
    store: Store, settings: Settings, redis_url: str
) -> None:
    store.set_clock(NOON)
    worker, secret = await store.workers.create("w")
    await store.workers.authenticate(worker.id, secret.encode())
    with looking_into(redis_url) as redis:
        before = redis.get(f"{settings.prefix}:{{directory}}:version")

        store.presence.note(worker.id, b"version=1; host=h")
        assert await seen(store, worker.id) == [(None, None, None)]
        await store.presence.write()

        assert await seen(store, worker.id) == [(MINUTE, "1", "h")]
        assert redis.get(f"{settings.prefix}:{{directory}}:version") == before


async def test_a_worker_that_stays_is_written_twice_a_minute_and_a_new_word_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, written = Clock(), list[Sequence[object]]()
    presence = Presence(store.calls, store.keys, clock)
    presence.now = str(NOON)
    worker, call = await a_worker(store), store.calls.call

    async def counted(script: str, keys: tuple[str, str], args: list[int | str | float]) -> object:
        written.append(args[1:])
        return await call(script, keys, args)

    monkeypatch.setattr(store.calls, "call", counted)
    for second in range(60):
        clock.now = second
        presence.note(worker, b"host=a" if second < 40 else b"host=b")
        presence.note(worker, None)
        await presence.write()

    assert written == [[worker, "host=a"], [worker, "host=a"], [worker, "host=b"]]


async def test_many_workers_are_written_500_at_a_time(store: Store, settings: Settings, redis_url: str) -> None:
    store.set_clock(NOON)
    with looking_into(redis_url) as redis:
        for worker in range(1, 1202):
            redis.hset(f"{settings.prefix}:{{directory}}:worker:{worker}", "alias", "w")
            store.presence.note(worker, b"host=h%d" % worker)

        await store.presence.write()

        assert redis.zcard(f"{settings.prefix}:{{directory}}:worker-seen") == 1201
        assert redis.hget(f"{settings.prefix}:{{directory}}:worker-info", "1201") == "host=h1201"


async def test_a_worker_that_is_gone_is_not_noted(store: Store, settings: Settings, redis_url: str) -> None:
    store.presence.note(99, b"host=h")
    await store.presence.write()

    with looking_into(redis_url) as redis:
        for name in ("worker-seen", "worker-info", "worker:99"):
            assert not redis.exists(f"{settings.prefix}:{{directory}}:{name}")


async def test_what_a_store_that_is_away_does_not_take_is_written_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.set_clock(NOON)
    worker, other, call = await a_worker(store), await a_worker(store), store.calls.call
    store.presence.note(worker, b"host=old")

    async def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(store.calls, "call", away)
    with pytest.raises(Unavailable):
        await store.presence.write()
    store.presence.note(worker, b"host=new")
    store.presence.note(other, None)
    monkeypatch.setattr(store.calls, "call", call)
    await store.presence.write()

    assert await seen(store, worker, other) == [(MINUTE, None, "new"), (MINUTE, None, None)]


async def test_a_process_that_stops_writes_what_it_has_seen(store: Store) -> None:
    store.set_clock(NOON)
    worker = await a_worker(store)
    running = asyncio.create_task(store.presence.run())
    await asyncio.sleep(0)
    store.presence.note(worker, None)

    running.cancel()
    await asyncio.wait([running])

    assert await seen(store, worker) == [(MINUTE, None, None)]


async def test_a_clock_that_is_set_back_is_followed(store: Store) -> None:
    worker = await a_worker(store)
    for now in (NOON, NOON - 3_600_000):
        store.set_clock(now)
        clock = Presence(store.calls, store.keys)
        clock.now = store.now
        clock.note(worker, None)
        await clock.write()

        assert await seen(store, worker) == [(now // 60_000 * 60, None, None)]


@pytest.mark.parametrize(
    ("text", "info"),
    [(None, Info()), ("", Info()), ("a", Info()), ("version=1", Info("1")), ("host=h; version=", Info(None, "h"))],
)
def test_what_a_worker_says_is_read(text: str | None, info: Info) -> None:
    assert Info.read(text) == info
    assert Info.read(info.text) == info
