"""Tasks whose record the store has lost, by an eviction or a hand in redis-cli: they are dropped, the others go on."""

from collections.abc import Callable

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store.tasks import CHUNK
from tests.store.conftest import StoreFleet, new
from tests.stores import keys_like, looking_into, lose_record


@pytest.fixture
def lose(redis_url: str, settings: Settings) -> Callable[..., None]:
    def lose(*tasks: int | None, votes: bool = False) -> None:
        with looking_into(redis_url) as redis:
            for task in tasks:
                base = lose_record(redis, settings.prefix, task or 0)
                if votes:
                    redis.delete(f"{base}:votes:{task}", f"{base}:tally:{task}")

    return lose


@pytest.fixture
def left(redis_url: str, settings: Settings) -> Callable[[int | None], list[str]]:
    """What the store still has of a task: keys, and sets that name it."""

    def left(task: int | None) -> list[str]:
        base = f"{settings.prefix}:{{project:{(task or 0) % 100_000}}}"
        with looking_into(redis_url) as redis:
            keys = [key for name in ("task", "votes", "tally") for key in keys_like(redis, f"{base}:{name}:{task}")]
            n = (task or 0) // 100_000
            keys += [field for field in redis.hkeys(f"{base}:tasks:{n // 32}") if field.split(":")[0] == str(n)]
            keys += ["holders"] if redis.hexists(f"{base}:holders", str(task)) else []
            for name in ("queue", "verifying", "assigned", "failed"):
                keys += [name for member in redis.zrange(f"{base}:{name}", 0, -1) if member.startswith(str(task))]
            return [*keys, *(["voted"] if redis.sismember(f"{base}:voted", str(task)) else [])]

    return left


async def orphaned(fleet: StoreFleet, project: int) -> int:
    return (await fleet.store.monitoring.stats(project)).counters.get("orphaned", 0)


async def test_a_get_of_many_leaves_out_those_that_are_lost_and_takes_the_next(
    fleet: StoreFleet, lose: Callable[..., None], left: Callable[[int | None], list[str]]
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    ids = await fleet.submit(project, worker, *(new() for _ in range(8)))
    lose(ids[0], ids[2], ids[3])

    assert [task.id for task in await fleet.take(project, worker, 4)] == [ids[1], ids[4], ids[5], ids[6]]

    assert await orphaned(fleet, project) == 3
    assert [left(ids[n]) for n in (0, 2, 3)] == [[], [], []]
    assert [task.id for task in await fleet.take(project, worker, 4)] == [ids[7]]
    assert await orphaned(fleet, project) == 3


async def test_a_get_goes_past_lost_tasks_that_wait_for_votes(
    fleet: StoreFleet, lose: Callable[..., None], left: Callable[[int | None], list[str]]
) -> None:
    project = await fleet.project()
    voter, other = await fleet.worker(project), await fleet.worker(project)
    voted = await fleet.submit(project, voter, *(new(votes=2) for _ in range(4)))
    for task in await fleet.take(project, voter, 4):
        await fleet.release(project, voter, task.id)
    fresh = await fleet.submit(project, voter, *(new() for _ in range(4)))
    lose(voted[0], *fresh[:3])
    lose(voted[2], votes=True)

    assert [task.id for task in await fleet.take(project, other, 2)] == [voted[1], voted[3]]
    assert [task.id for task in await fleet.take(project, other)] == [fresh[3]]

    assert await orphaned(fleet, project) == 5
    assert [left(task) for task in (voted[0], voted[2], *fresh[:3])] == [[], [], [], [], []]


@pytest.mark.parametrize("verifying", [False, True])
async def test_a_get_drops_a_bounded_number_and_the_next_one_goes_on(
    fleet: StoreFleet, lose: Callable[..., None], verifying: bool
) -> None:
    project = await fleet.project()
    voter, worker = await fleet.worker(project), await fleet.worker(project)
    if verifying:
        await fleet.submit(project, voter, new(votes=2, priority=-1))
        await fleet.release(project, voter, (await fleet.take(project, voter))[0].id)
    lost = [task for _ in range(3) for task in await fleet.submit(project, worker, *[new()] * CHUNK)]
    (kept,) = await fleet.submit(project, worker, new())
    lose(*lost)

    assert await fleet.take(project, worker) == []
    assert await orphaned(fleet, project) == 1000
    assert [task.id for task in await fleet.take(project, worker)] == [kept]
    assert await orphaned(fleet, project) == 1500


async def test_a_lost_task_does_not_come_back_in_a_batch_that_the_bytes_end(
    fleet: StoreFleet, lose: Callable[..., None]
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    ids = await fleet.submit(project, worker, new("x" * 2000), new(), new("y"))
    lose(ids[1])

    first = await fleet.store.tasks.assign(project, worker, 3, 60, bytes=1000)

    assert [task.id for task in first.tasks] == [ids[0]]
    assert [task.id for task in await fleet.take(project, worker, 3)] == [ids[2]]
    assert await orphaned(fleet, project) == 1


async def test_a_get_reclaims_past_lost_tasks(fleet: StoreFleet, lose: Callable[..., None]) -> None:
    project = await fleet.project()
    slow, quick = await fleet.worker(project), await fleet.worker(project)
    ids = await fleet.submit(project, slow, *(new(seconds=n) for n in range(1, 26)))
    await fleet.take(project, slow, 25)
    lose(*ids[:23])
    fleet.passes(25)

    assert [task.id for task in await fleet.take(project, quick)] == [ids[23]]

    counters = (await fleet.store.monitoring.stats(project)).counters
    assert (counters["orphaned"], counters["reclaimed"]) == (23, 2)


@pytest.mark.parametrize("result", [0, 1, 2], ids=["ok", "fail", "skip"])
@pytest.mark.parametrize("votes", [1, 2])
async def test_a_release_of_a_lost_task_changes_nothing_else(
    fleet: StoreFleet, lose: Callable[..., None], left: Callable[[int | None], list[str]], result: int, votes: int
) -> None:
    target = await fleet.project()
    project = await fleet.project(chain=target)
    worker = await fleet.worker(project)
    lost, kept = await fleet.submit(project, worker, new(votes=votes, hash64=7), new())
    await fleet.take(project, worker, 2)
    lose(lost)

    released = await fleet.store.tasks.release(project, worker, [(lost or 0, result, 0), (kept or 0, 0, 0)])

    assert (released.outcomes, released.chained) == (["not_held", "closed"], 1)
    assert left(lost) == []
    counters = (await fleet.store.monitoring.stats(project)).counters
    assert counters == {"submitted": 2, "assigned": 2, "closed": 1, "orphaned": 1}
    # Only the record knew its hash.
    assert await fleet.submit(project, worker, new(hash64=7)) == [None]
    await fleet.store.maintenance.run(project, "hard_reset")
    assert await fleet.submit(project, worker, new(hash64=7)) != [None]


async def test_the_sweeper_drops_lost_tasks_and_reclaims_the_others(
    fleet: StoreFleet, lose: Callable[..., None], redis_url: str, settings: Settings
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    ids = await fleet.submit(project, worker, *(new(seconds=1) for _ in range(3)))
    await fleet.take(project, worker, 3)
    lose(ids[0])
    with looking_into(redis_url) as redis:
        redis.zadd(f"{settings.prefix}:{{project:{project}}}:assigned", {"not:a:task": 1})
    fleet.passes(1)

    assert await fleet.store.tasks.reclaim(project, 10) == 4

    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.assigned) == (2, 0)
    assert (stats.counters["reclaimed"], stats.counters["orphaned"]) == (2, 2)


@pytest.mark.parametrize("operation", ["reset_failed", "reclaim_assigned"])
async def test_maintenance_drops_lost_tasks_and_puts_the_others_back(
    fleet: StoreFleet, lose: Callable[..., None], left: Callable[[int | None], list[str]], operation: str
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    lost, kept = await fleet.submit(project, worker, new(votes=2), new())
    for task in await fleet.take(project, worker, 2):
        if operation == "reset_failed":
            await fleet.release(project, worker, task.id, 1)
    lose(lost)

    assert await fleet.store.maintenance.run(project, operation) == 2

    assert left(lost) == []
    assert [task.id for task in await fleet.take(project, worker, 2)] == [kept]
    counters = (await fleet.store.monitoring.stats(project)).counters
    assert (counters["orphaned"], counters.get("reclaimed", 0)) == (1, int(operation == "reclaim_assigned"))


async def test_a_lost_task_is_none_for_those_who_look(fleet: StoreFleet, lose: Callable[..., None]) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    ids = await fleet.submit(project, worker, *(new() for _ in range(6)))
    await fleet.take(project, worker, 4)
    for id in ids[:2]:
        await fleet.release(project, worker, id, 1)
    lose(ids[0], ids[2], ids[4])
    tasks, views = fleet.store.tasks, fleet.store.project_tasks

    shown = {state: await views.page(project, state, 0, 10, longest=0) for state in ("failed", "assigned", "queue")}

    assert {state: [row.id for row in rows] for state, (_, rows) in shown.items()} == {
        "failed": [ids[1]],
        "assigned": [ids[3]],
        "queue": [ids[5]],
    }
    assert [row.id for _, row in (await fleet.store.imports.walk(project, 1)).tasks] == [ids[1], ids[3], ids[5]]
    assert [task.id for task in (await tasks.held(project, worker, "0", 10))[1].tasks] == [ids[3]]
    fleet.passes(5)
    assert await fleet.store.monitoring.oldest(project) == (None, None)
    for id in (ids[0], ids[2], ids[4]):
        with pytest.raises(BrokerError) as refused:
            await views.get(project, id or 0)
        assert refused.value.code == "not_found"
    assert await orphaned(fleet, project) == 0


async def test_a_manager_drops_lost_tasks_by_retry_and_remove(
    fleet: StoreFleet, lose: Callable[..., None], left: Callable[[int | None], list[str]]
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    failed, waits = await fleet.submit(project, worker, new(), new())
    await fleet.take(project, worker)
    await fleet.release(project, worker, failed, 1)
    lose(failed, waits)

    with pytest.raises(BrokerError) as refused:
        await fleet.store.project_tasks.retry(project, failed or 0)
    assert refused.value.code == "not_found"
    await fleet.store.project_tasks.remove(project, waits or 0)

    assert (left(failed), left(waits)) == ([], [])
    counters = (await fleet.store.monitoring.stats(project)).counters
    assert (counters["orphaned"], counters.get("removed", 0)) == (2, 0)
