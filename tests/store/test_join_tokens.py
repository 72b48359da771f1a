"""What the store keeps of join tokens: their digests, until a given time, in the slot of their project."""

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store import Store
from tests.stores import keys_like, looking_into

NOON = 1_797_000_000_000
ADDRESS = "192.0.2.1"


async def a_project(store: Store, name: str = "p") -> int:
    managers = await store.managers.every()
    manager = managers[0] if managers else await store.managers.register("boss", "a long password", open_to_all=True)
    return await store.projects.create(manager.id, {"name": name})


async def a_worker(store: Store) -> int:
    return (await store.workers.create("w"))[0].id


async def test_a_token_is_nowhere_in_the_store(store: Store, settings: Settings, redis_url: str) -> None:
    project = await a_project(store)
    id, token = await store.joining.create_token(project, assign=True, submit=True, uses=3)
    await store.joining.join(project, await a_worker(store), token, ADDRESS)
    base = f"{settings.prefix}:{{project:{project}}}"

    with looking_into(redis_url) as redis:
        ((digest, text),) = redis.hgetall(f"{base}:join_tokens").items()
        assert (len(digest), text.split()[:3]) == (64, [str(id), "assign,submit", "2"])
        for key in keys_like(redis, f"{settings.prefix}:*"):
            assert token.encode() not in redis.dump(key)
            assert token not in key


async def test_a_token_expires_by_the_clock_of_the_store(store: Store) -> None:
    project = await a_project(store)
    first, second = await a_worker(store), await a_worker(store)
    store.set_clock(NOON)
    _, token = await store.joining.create_token(project, assign=True, submit=False, expires_in=60)

    store.set_clock(NOON + 59_999)
    assert [one.expires for one in await store.joining.tokens(project)] == [NOON // 1000 + 60]
    await store.joining.join(project, first, token, ADDRESS)

    store.set_clock(NOON + 60_000)
    assert await store.joining.tokens(project) == []
    with pytest.raises(BrokerError, match="expired"):
        await store.joining.join(project, second, token, ADDRESS)
    # It has what the token gave: after a restart it asks again.
    assert await store.joining.join(project, first, token, ADDRESS) == "assign"

    # Set back, the clock reaches the end a second time.
    store.set_clock(NOON)
    assert await store.joining.join(project, second, token, ADDRESS) == "assign"


async def test_what_has_expired_takes_no_room_and_no_id_comes_twice(
    store: Store, settings: Settings, redis_url: str
) -> None:
    project = await a_project(store)
    store.set_clock(NOON)
    ids = [(await store.joining.create_token(project, assign=True, submit=True, expires_in=1))[0] for _ in range(100)]
    with pytest.raises(BrokerError, match="100 join tokens"):
        await store.joining.create_token(project, assign=True, submit=True)

    store.set_clock(NOON + 1000)
    id, _ = await store.joining.create_token(project, assign=True, submit=True)

    assert id == max(ids) + 1
    with looking_into(redis_url) as redis:
        assert redis.hlen(f"{settings.prefix}:{{project:{project}}}:join_tokens") == 1


async def test_a_token_that_is_no_good_leaves_no_hint(store: Store) -> None:
    project, worker = await a_project(store), await a_worker(store)

    with pytest.raises(BrokerError, match="not one of this project"):
        await store.joining.join(project, worker, "x", ADDRESS)

    assert await store.workers.projects(worker) == set()


async def test_a_worker_that_is_gone_uses_nothing_up(store: Store) -> None:
    project = await a_project(store)
    _, token = await store.joining.create_token(project, assign=True, submit=True, uses=1)

    with pytest.raises(BrokerError, match="not those of a worker"):
        await store.joining.join(project, 99, token, ADDRESS)

    assert (await store.joining.tokens(project))[0].uses_left == 1
    assert await store.workers.access(project, 99) == ""


async def test_a_broken_entry_is_no_token(store: Store, settings: Settings, redis_url: str) -> None:
    project, worker = await a_project(store), await a_worker(store)
    _, token = await store.joining.create_token(project, assign=True, submit=True)
    key = f"{settings.prefix}:{{project:{project}}}:join_tokens"
    with looking_into(redis_url) as redis:
        (digest,) = redis.hkeys(key)
        redis.hset(key, digest, "nonsense")

    assert await store.joining.tokens(project) == []
    with pytest.raises(BrokerError, match="not one of this project"):
        await store.joining.join(project, worker, token, ADDRESS)
    await store.joining.create_token(project, assign=True, submit=True)
    with looking_into(redis_url) as redis:
        assert redis.hlen(key) == 1
