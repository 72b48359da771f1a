"""What is left of deleted workers is removed in bounded steps, and is not brought back by what comes late."""

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store.tasks import CHUNK
from broker.store.transfer import ImportedWorker
from broker.sweeper import sweep
from tests.store.conftest import StoreFleet, new
from tests.stores import looking_into


async def test_what_a_worker_holds_among_many_is_taken_back_in_steps(fleet: StoreFleet) -> None:
    project = await fleet.project()
    leaving, other = await fleet.worker(project), await fleet.worker(project)
    for _ in range(6):
        await fleet.submit(project, other, *[new()] * CHUNK)
    for worker in (other, leaving) * 3:
        await fleet.take(project, worker, CHUNK - 1)

    assert not await fleet.store.worker_deletion.delete(leaving)

    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.assigned) == (3 * CHUNK + 3, 3 * CHUNK - 3)


async def test_many_workers_leave_in_one_round(fleet: StoreFleet, settings: Settings, redis_url: str) -> None:
    project = await fleet.project()
    producer, workers = await fleet.worker(project), await fleet.many_workers(700, project)
    await fleet.submit(project, producer, *[new()] * 350)
    for worker in workers[::2]:
        await fleet.take(project, worker)
    keys = fleet.store.keys
    for start in range(0, 700, 500):
        await fleet.store.calls.call("workers_delete", keys.directory, list(workers[start : start + 500]))

    for _ in range(2):
        await fleet.store.worker_deletion.go_on()

    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.assigned) == (350, 0)
    with looking_into(redis_url) as redis:
        assert not redis.exists(f"{settings.prefix}:{{directory}}:leaving-workers")
        assert redis.hlen(f"{keys.project(project)[0]}:access") == 1


async def test_what_it_closed_just_before_brings_no_total_of_a_deleted_worker_back(
    fleet: StoreFleet, settings: Settings, redis_url: str
) -> None:
    project = await fleet.project()
    leaving, other = await fleet.worker(project), await fleet.worker(project)
    await fleet.submit(project, other, *[new()] * 4)
    for worker, result, outcome in ((leaving, 1, "failed"), (leaving, 0, "closed"), (other, 0, "closed")):
        (task,) = await fleet.take(project, worker)
        assert await fleet.release(project, worker, task.id, result) == outcome

    await fleet.store.worker_deletion.delete(leaving)
    await fleet.store.counting.closed(project)
    await sweep(fleet.store)

    total, rows = await fleet.store.worker_stats.most(0, 10, "closed")
    with looking_into(redis_url) as redis:
        assert redis.zcard(f"{settings.prefix}:{{directory}}:worker-failed") == 0
    assert (total, [(row.worker.id, row.closed) for row in rows]) == (1, [(other, 1)])
    assert (await fleet.store.monitoring.stats(project)).counters["closed"] == 2


async def test_an_import_brings_no_deleted_worker_back(fleet: StoreFleet) -> None:
    old = [ImportedWorker(id, "w", 1, 0, "0" * 64, 5) for id in (1, 2)]
    assert await fleet.store.imports.workers(old, 2) == [1, 1]
    await fleet.store.worker_deletion.delete(2)

    assert await fleet.store.imports.workers(old, 2) == [0, 0]
    assert (await fleet.store.workers.get([2])) == [None]
    assert await fleet.worker() == 3


async def test_nobody_grants_a_deleted_worker_access(fleet: StoreFleet) -> None:
    project, worker = await fleet.project(), await fleet.worker()
    await fleet.store.workers.request_access(project, worker, assign=True, submit=True)
    await fleet.store.worker_deletion.delete(worker)

    with pytest.raises(BrokerError) as refused:
        await fleet.store.workers.grant(project, worker)
    assert refused.value.code == "not_found"


DAY = 86_400


async def test_all_that_have_been_silent_for_a_time_are_deleted(fleet: StoreFleet) -> None:
    project = await fleet.project()
    silent, here, late, young = [await fleet.worker(project) for _ in range(4)]
    (never_came,) = await fleet.store.imports.workers([ImportedWorker(5, "w", 1, 0, "0" * 64, 5)], 5)
    assert never_came
    await fleet.submit(project, silent, new())
    await fleet.take(project, silent)
    await seen(fleet, silent, late)
    fleet.passes(DAY)
    await seen(fleet, late)
    young = await fleet.worker(project)
    await seen(fleet, here)
    fleet.passes(DAY + 180)
    await seen(fleet, here)

    assert await fleet.store.worker_deletion.delete_silent(2 * DAY) == (2, False)

    # The other one was created two days ago, and was never here.
    left = [worker.id for worker in await fleet.store.workers.get(range(1, 8)) if worker]
    assert left == [here, late, 5, young]
    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.assigned) == (1, 0)
    assert await fleet.store.worker_deletion.delete_silent(2 * DAY) == (0, False)
    assert await fleet.store.worker_deletion.delete_silent(DAY) == (2, False)


async def seen(fleet: StoreFleet, *workers: int) -> None:
    pairs = [part for worker in workers for part in (worker, "")]
    await fleet.store.calls.call("workers_seen", fleet.store.keys.directory, [fleet.store.now, *pairs])


async def test_thousands_that_are_silent_are_deleted_in_steps(fleet: StoreFleet) -> None:
    project = await fleet.project()
    here = await fleet.worker(project)
    for _ in range(1300):
        await fleet.store.workers.create("w")
    fleet.passes(2 * DAY)
    await seen(fleet, here)

    assert await fleet.store.worker_deletion.delete_silent(DAY) == (1300, False)
    assert [row.worker.id for row in (await fleet.store.worker_stats.most(0, 10, "closed"))[1]] == [here]


async def test_what_a_call_for_silent_workers_has_left_a_sweep_does(
    fleet: StoreFleet, settings: Settings, redis_url: str
) -> None:
    for _ in range(1300):
        await fleet.store.workers.create("w")
    fleet.passes(2 * DAY)
    directory = fleet.store.keys.directory
    await fleet.store.calls.call("silent_begin", directory, [fleet.store.now, DAY])
    assert await fleet.store.calls.call("silent_step", directory, [fleet.store.now, CHUNK, ""]) == [CHUNK, 1]

    await sweep(fleet.store)
    # The call may be at it still.
    assert any(await fleet.store.workers.get(range(501, 1001)))
    fleet.passes(10)
    await sweep(fleet.store)

    assert not any(await fleet.store.workers.get(range(501, 1001)))
    assert not any(await fleet.store.workers.get(range(1001, 1301)))
    for _ in range(3):
        await sweep(fleet.store)
    with looking_into(redis_url) as redis:
        directory_key = f"{settings.prefix}:{{directory}}"
        assert not redis.exists(f"{directory_key}:silent", f"{directory_key}:leaving-workers")
