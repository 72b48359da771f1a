"""Closed tasks arrive in the chained project once, also when a failover has taken the last changes of a store back."""

import pytest

from broker.settings import Settings
from broker.store.chain import BATCH
from tests.store.conftest import StoreFleet, fleet, new
from tests.stores import keys_like, looking_into

__all__ = ["fleet"]  # a fixture


class Slot:
    """The keys of a project as a replica has them that has not seen the last changes."""

    def __init__(self, redis_url: str, settings: Settings, project: int) -> None:
        self._url = redis_url
        self._pattern = f"{settings.prefix}:{{project:{project}}}*"
        with looking_into(redis_url) as redis:
            for key in keys_like(redis, self._pattern):
                redis.copy(key, f"kept:{key}")

    def fail_over(self) -> None:
        with looking_into(self._url) as redis:
            for key in keys_like(redis, self._pattern):
                redis.delete(key)
            for key in keys_like(redis, f"kept:{self._pattern}"):
                redis.rename(key, key.removeprefix("kept:"))


class Chained:
    """Two projects: what the first closes goes on to the second."""

    def __init__(self, fleet: StoreFleet, source: int, target: int, worker: int) -> None:
        self.fleet, self.source, self.target, self.worker = fleet, source, target, worker

    async def close(self, *recipes: str) -> None:
        await self.fleet.submit(self.source, self.worker, *map(new, recipes))
        for task in await self.fleet.take(self.source, self.worker, len(recipes)):
            assert await self.fleet.release(self.source, self.worker, task.id) == "closed"

    async def arrived(self) -> list[str]:
        return [task.fields.recipe for task in await self.fleet.take(self.target, self.worker, 500)]

    async def counters(self) -> dict[str, int]:
        return (await self.fleet.store.monitoring.stats(self.target)).counters


@pytest.fixture
async def chained(fleet: StoreFleet) -> Chained:
    target = await fleet.project()
    source = await fleet.project(chain=target)
    return Chained(fleet, source, target, await fleet.worker(source, target))


async def test_after_a_failover_of_the_source_new_tasks_arrive_though_its_clock_is_behind(
    chained: Chained, redis_url: str, settings: Settings
) -> None:
    flush = chained.fleet.store.chain.flush
    await chained.close("before")
    await flush(chained.source)
    slot = Slot(redis_url, settings, chained.source)
    for n in range(5):
        await chained.close(f"lost {n}")
        await flush(chained.source)
    assert await chained.arrived() == ["before", *(f"lost {n}" for n in range(5))]

    slot.fail_over()
    chained.fleet.passes(-3600)
    await chained.close(*(f"new {n}" for n in range(10)))
    await flush(chained.source)

    assert await chained.arrived() == [f"new {n}" for n in range(10)]
    assert "repeated" not in await chained.counters()


async def test_an_entry_that_comes_back_after_its_delivery_is_not_taken_twice(
    chained: Chained, redis_url: str, settings: Settings
) -> None:
    await chained.close("one", "two")
    slot = Slot(redis_url, settings, chained.source)
    await chained.fleet.store.chain.flush(chained.source)
    slot.fail_over()
    await chained.close("three")

    await chained.fleet.store.chain.flush(chained.source)

    assert await chained.arrived() == ["one", "two", "three"]
    assert (await chained.counters())["repeated"] == 2


async def test_a_delivery_that_comes_late_changes_nothing(chained: Chained) -> None:
    chain = chained.fleet.store.chain
    await chained.close("one")
    read, entries = await chain.outbox(chained.source, BATCH)
    await chained.close("two")
    await chain.flush(chained.source)

    late = await chain.deliver(chained.target, chained.source, read, entries)

    assert late == (0, 0, read + 1)
    assert await chained.arrived() == ["one", "two"]


async def test_a_long_outbox_arrives_in_order_and_once(chained: Chained) -> None:
    recipes = [str(n) for n in range(2 * BATCH + 50)]
    await chained.close(*recipes)

    await chained.fleet.store.chain.flush(chained.source)
    await chained.fleet.store.chain.flush(chained.source)

    assert await chained.arrived() == recipes


async def test_tasks_that_went_to_two_projects_in_turn_arrive_in_each(chained: Chained) -> None:
    other = await chained.fleet.project()
    await chained.fleet.store.workers.request_access(other, chained.worker, assign=True, submit=False)
    await chained.fleet.store.workers.grant(other, chained.worker)
    for n in range(6):
        chain = other if n % 2 else chained.target
        await chained.fleet.store.projects.update(chained.fleet.manager, chained.source, {"chain": chain})
        await chained.close(str(n))

    await chained.fleet.store.chain.flush(chained.source)

    assert await chained.arrived() == ["0", "2", "4"]
    assert [task.fields.recipe for task in await chained.fleet.take(other, chained.worker, 10)] == ["1", "3", "5"]
