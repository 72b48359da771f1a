"""Messages of the store reach waiting gets, whatever happens to the store and the connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis import RedisCluster

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.tasks import SKIP
from broker.store.waiting.waiter import Waiter
from tests.store.conftest import StoreFleet, new
from tests.stores import looking_into

pytestmark = pytest.mark.anyio

SOON = 5
"""Seconds; in this time only messages wake a waiter."""


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first look there is no other."""
    monkeypatch.setattr("broker.store.waiting.INTERVAL", 3600.0)


@pytest.fixture
async def open_yard(fleet: StoreFleet) -> StoreFleet:
    """Moves the clock: tasks are announced until a certain time only."""
    fleet.store.set_clock(None)
    return fleet


@pytest.fixture
async def other(settings: Settings) -> AsyncIterator[Store]:
    """The store as another process has it."""
    opened = open_store(settings)
    yield opened
    await opened.close()


async def woken(waiter: Waiter) -> bool:
    async with asyncio.timeout(SOON):
        return await waiter.woken() is not None


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what it waits for is no event of ours
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("seldom")
async def test_a_task_that_came_before_anybody_waited_wakes_the_first_waiter(open_yard: StoreFleet) -> None:
    project = await open_yard.project()
    worker = await open_yard.worker(project)
    await open_yard.submit(project, worker, new())

    assert await woken(await open_yard.store.waiters.enter(project))
    assert await woken(await open_yard.store.waiters.enter(0, [project]))


@pytest.mark.usefixtures("seldom")
async def test_a_task_wakes_one_in_each_process(open_yard: StoreFleet, other: Store) -> None:
    project = await open_yard.project()
    worker = await open_yard.worker(project)
    entered = [await store.waiters.enter(project) for store in (open_yard.store, other) for _ in range(2)]

    await open_yard.submit(project, worker, new())

    assert await woken(entered[0])
    assert await woken(entered[2])
    assert [waiter.wake is not None for waiter in entered] == [True, False, True, False]


@pytest.mark.usefixtures("seldom")
async def test_a_group_that_may_start_one_task_after_the_other_wakes_one_worker_after_the_other(
    open_yard: StoreFleet,
) -> None:
    project = await open_yard.project()
    worker = await open_yard.worker(project)
    entered = [await open_yard.store.waiters.enter(project) for _ in range(2)]
    await open_yard.submit(project, worker, *(new()._replace(group="a") for _ in range(2)))

    for waiter in entered:
        assert await woken(waiter)
        assert len(await open_yard.take(project, worker)) == 1


@pytest.mark.usefixtures("seldom")
async def test_a_get_where_workers_wait_finds_groups_whose_rest_is_over_and_wakes_nobody(
    open_yard: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.store.waiting._PROMOTE", 3600.0)
    project = await open_yard.project(group_delay=0.1)
    worker = await open_yard.worker(project)
    await open_yard.submit(project, worker, *(new()._replace(group=group) for group in ("a", "b", "c") * 2))
    assert len(await open_yard.take(project, worker, 3)) == 3
    waiter = await open_yard.store.waiters.enter(project)
    await asyncio.sleep(0.15)

    assert len(await open_yard.take(project, worker)) == 1
    assert len(await open_yard.take(project, worker, 3)) == 2
    assert waiter.wake is None


@pytest.mark.usefixtures("seldom")
async def test_as_many_workers_wake_in_all_processes_as_groups_may_start(open_yard: StoreFleet, other: Store) -> None:
    project = await open_yard.project(group_delay=2)
    worker = await open_yard.worker(project)
    groups = [f"host {n}" for n in range(8)]
    await open_yard.submit(project, worker, *(new()._replace(group=group) for group in groups * 2))
    assert len(await open_yard.take(project, worker, 8)) == 8
    entered = [await store.waiters.enter(project) for store in (open_yard.store, other) for _ in range(6)]

    await until(lambda: sum(waiter.wake is not None for waiter in entered) >= 8)

    await asyncio.sleep(0.1)
    assert sum(waiter.wake is not None for waiter in entered) == 8


@pytest.mark.usefixtures("seldom")
@pytest.mark.parametrize("returned", [False, True])
async def test_a_task_that_comes_while_its_group_rests_wakes_a_worker_when_the_rest_is_over(
    open_yard: StoreFleet, returned: bool
) -> None:
    project = await open_yard.project(group_delay=0.3)
    worker = await open_yard.worker(project)
    await open_yard.submit(project, worker, new()._replace(group="a"))
    (held,) = await open_yard.take(project, worker)
    waiter = await open_yard.store.waiters.enter(project)

    if returned:
        assert await open_yard.release(project, worker, held.id, SKIP) == "returned"
    else:
        await open_yard.submit(project, worker, new()._replace(group="a"))

    assert await woken(waiter)
    assert len(await open_yard.take(project, worker)) == 1


@pytest.mark.usefixtures("seldom")
async def test_a_start_is_told_only_when_no_other_group_may_start_earlier(
    open_yard: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await open_yard.project(group_delay=60)
    worker = await open_yard.worker(project)
    await open_yard.submit(project, worker, *(new()._replace(group=group) for group in ("a", "b", "c") * 2))
    told = list[str]()
    monkeypatch.setattr(open_yard.store.waiters._subscription, "_on_message", lambda _, message: told.append(message))
    await open_yard.store.waiters.enter(project)

    for _ in range(3):
        await open_yard.take(project, worker)
        await asyncio.sleep(0.01)
    await open_yard.submit(project, worker, new())
    await until(lambda: "1 0" in told)

    assert told == ["0 0 60000", "1 0"]


@pytest.mark.usefixtures("seldom")
async def test_word_comes_though_the_store_forgot_all_scripts_and_cut_the_connection(
    open_yard: StoreFleet, settings: Settings
) -> None:
    waiters = open_yard.store.waiters
    project = await open_yard.project()
    worker = await open_yard.worker(project)
    waiter = await waiters.enter(project)
    with looking_into(settings.redis_url) as redis:
        redis.script_flush()
        for server in redis.nodes_manager.nodes_cache.values() if isinstance(redis, RedisCluster) else [None]:
            of_it: dict[str, Any] = {} if server is None else {"target_nodes": server}
            redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub", **of_it)

    await until(lambda: not waiters._subscription.active.is_set())
    await until(waiters._subscription.active.is_set)
    await open_yard.submit(project, worker, new())

    assert await woken(waiter)


async def test_a_look_finds_what_was_not_told(open_yard: StoreFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.store.waiting.Waiters._on_message", lambda *_: None)
    project = await open_yard.project()
    worker = await open_yard.worker(project)
    waiter = await open_yard.store.waiters.enter(project)

    await open_yard.submit(project, worker, new())

    assert await woken(waiter)


async def test_a_project_that_is_gone_is_heard_of_and_leaves_nothing_behind(open_yard: StoreFleet) -> None:
    queues = open_yard.store.waiters.queues
    with pytest.raises(BrokerError, match="No such project"):
        await open_yard.store.waiters.enter(99)
    assert not queues.in_project

    project = await open_yard.project(assign_rate=0.001)
    worker = await open_yard.worker(project)
    await open_yard.submit(project, worker, new(), new())
    await open_yard.take(project, worker)
    entered = [await open_yard.store.waiters.enter(project) for _ in range(3)]
    for waiter in entered:
        if waiter.wake:
            queues.refused(waiter, waiter.wake, BrokerError("rate_limited", "Too fast", delay=1000))
    await open_yard.store.maintenance.delete(open_yard.manager, project)

    assert [await woken(waiter) for waiter in entered] == [True] * 3
    for waiter in entered:
        queues.leave(waiter)
    assert not queues.in_project

    await until(lambda: not queues.projects)
