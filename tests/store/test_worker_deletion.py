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

    total, rows = await fleet.store.worker_stats.most(0, 10, holding=False)
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
