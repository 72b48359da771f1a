"""Rules of the queue that need a clock, a count of steps, or a look below HTTP."""

from typing import Any

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store import Store
from broker.store.tasks import CHUNK
from broker.sweeper import BATCH, sweep, sweep_if_claimed
from tests.store.conftest import Yard, new
from tests.stores import commands_of, keys_like, looking_into


def calls_of(redis: Any, command: str) -> int:
    return sum(stats.get(f"cmdstat_{command}", {}).get("calls", 0) for stats in commands_of(redis))


async def test_a_rate_admits_what_it_says_and_tells_how_long_to_wait(yard: Yard) -> None:
    project = await yard.project(submit_rate=2.0)
    worker = await yard.worker(project)
    await yard.submit(project, worker, new())

    with pytest.raises(BrokerError) as refused:
        await yard.submit(project, worker, new())
    assert (refused.value.code, refused.value.delay) == ("rate_limited", 0.5)

    yard.passes(0.499)
    with pytest.raises(BrokerError):
        await yard.submit(project, worker, new())
    yard.passes(0.001)
    await yard.submit(project, worker, new())


async def test_a_high_rate_lets_a_hundredth_of_a_second_through_at_once(yard: Yard) -> None:
    project = await yard.project(submit_rate=5000.0)
    worker = await yard.worker(project)

    for _ in range(50):
        await yard.submit(project, worker, new())

    with pytest.raises(BrokerError) as refused:
        await yard.submit(project, worker, new())
    assert refused.value.delay == 0.0002


async def test_a_batch_is_charged_for_what_was_accepted(yard: Yard) -> None:
    project = await yard.project(submit_rate=10.0)
    worker = await yard.worker(project)
    await yard.submit(project, worker, *(new(hash64=n) for n in range(1, 21)), *(new(hash64=n) for n in range(1, 21)))

    with pytest.raises(BrokerError) as refused:
        await yard.submit(project, worker, new())
    assert refused.value.delay == 2.0


async def test_a_duplicate_and_an_empty_get_cost_nothing(yard: Yard) -> None:
    project = await yard.project(submit_rate=1.0, assign_rate=1.0)
    worker = await yard.worker(project)
    await yard.submit(project, worker, new(hash64=5))
    yard.passes(1)

    for _ in range(3):
        assert await yard.submit(project, worker, new(hash64=5)) == [None]
    assert await yard.submit(project, worker, new(hash64=6)) != [None]

    assert len(await yard.take(project, worker, 5)) == 2
    yard.passes(2)
    for _ in range(3):
        assert await yard.take(project, worker) == []


async def test_a_changed_rate_begins_at_once(yard: Yard) -> None:
    project = await yard.project(submit_rate=0.001)
    worker = await yard.worker(project)
    await yard.submit(project, worker, new())

    await yard.store.projects.update(yard.manager, project, {"motd": "the rate stays"})
    with pytest.raises(BrokerError):
        await yard.submit(project, worker, new())

    await yard.store.projects.update(yard.manager, project, {"submit_rate": 100.0})
    await yard.submit(project, worker, new())


@pytest.mark.parametrize("back", [2, 3600])
async def test_a_rate_forgets_what_is_owed_when_the_clock_is_set_back(yard: Yard, back: int) -> None:
    project = await yard.project(submit_rate=0.01, assign_rate=0.01)
    worker = await yard.worker(project)
    await yard.submit(project, worker, *(new() for _ in range(CHUNK)))
    await yard.take(project, worker, 5)

    yard.passes(-back)
    await yard.submit(project, worker, new())
    await yard.take(project, worker)

    # From then on the rate counts as ever.
    for seconds in (0, 99.999):
        yard.passes(seconds)
        with pytest.raises(BrokerError, match="Too many requests"):
            await yard.submit(project, worker, new())
        with pytest.raises(BrokerError, match="Too many requests"):
            await yard.take(project, worker)
    yard.passes(0.001)
    await yard.submit(project, worker, new())
    await yard.take(project, worker)


async def test_a_later_chunk_counts_anew_when_the_clock_was_set_back_before_it(yard: Yard) -> None:
    project = await yard.project(submit_rate=10.0)
    worker = await yard.worker(project)
    await yard.submit(project, worker, *(new() for _ in range(CHUNK)))

    yard.passes(-3600)
    await yard.store.tasks.submit(project, worker, [new()] * 20, whole=0)

    with pytest.raises(BrokerError) as refused:
        await yard.submit(project, worker, new())
    assert refused.value.delay == 2.0


async def test_a_clock_that_is_corrected_by_less_than_a_second_forgives_nothing(yard: Yard) -> None:
    project = await yard.project(submit_rate=10.0)
    worker = await yard.worker(project)
    await yard.submit(project, worker, *(new() for _ in range(CHUNK)))
    for _ in range(2):
        await yard.store.tasks.submit(project, worker, [new()] * CHUNK, whole=0)

    yard.passes(-1)
    with pytest.raises(BrokerError) as refused:
        await yard.submit(project, worker, new())

    assert refused.value.delay == 3 * CHUNK / 10 + 1


@pytest.mark.parametrize("rate", [1e-300, 5e-324, 1e300])
async def test_absurd_rates_do_no_harm(yard: Yard, rate: float) -> None:
    project = await yard.project(submit_rate=rate, assign_rate=rate)
    worker = await yard.worker(project)

    await yard.submit(project, worker, *(new() for _ in range(CHUNK)))
    assert len(await yard.take(project, worker, CHUNK)) == CHUNK


async def test_the_hash_of_a_closed_task_counts_as_long_as_the_project_says(yard: Yard) -> None:
    project = await yard.project(remember_closed=60)
    worker = await yard.worker(project)
    (id,) = await yard.submit(project, worker, new(hash64=7))
    await yard.take(project, worker)
    await yard.release(project, worker, id)

    yard.passes(59)
    assert await yard.submit(project, worker, new(hash64=7)) == [None]
    yard.passes(1)
    assert await yard.submit(project, worker, new(hash64=7)) != [None]
    assert await yard.store.tasks.forget(project, BATCH) == 1


async def test_a_hash_remembered_for_ever_goes_when_the_project_stops_remembering(yard: Yard) -> None:
    project = await yard.project(remember_closed=-1)
    worker = await yard.worker(project)
    (id,) = await yard.submit(project, worker, new(hash64=7))
    await yard.take(project, worker)
    await yard.release(project, worker, id)
    yard.passes(10**9)
    assert await yard.submit(project, worker, new(hash64=7)) == [None]
    assert not (await yard.store.tasks.due(project)).forgotten

    await yard.store.projects.update(yard.manager, project, {"remember_closed": 0})

    assert await yard.submit(project, worker, new(hash64=7)) != [None]
    assert await yard.store.tasks.forget(project, BATCH) == 1


async def test_how_long_a_hash_is_remembered_follows_the_project(yard: Yard) -> None:
    project = await yard.project(remember_closed=-1)
    worker = await yard.worker(project)
    (id,) = await yard.submit(project, worker, new(hash64=7))
    await yard.take(project, worker)
    await yard.release(project, worker, id)
    yard.passes(30)

    await yard.store.projects.update(yard.manager, project, {"remember_closed": 60})
    assert await yard.submit(project, worker, new(hash64=7)) == [None]
    yard.passes(30)
    assert await yard.submit(project, worker, new(hash64=7)) != [None]


async def test_an_overdue_task_comes_back_without_a_retry_and_the_late_release_changes_nothing(yard: Yard) -> None:
    project = await yard.project()
    slow, quick = await yard.worker(project), await yard.worker(project)
    (id,) = await yard.submit(project, slow, new(seconds=10))
    await yard.take(project, slow)

    yard.passes(9.999)
    assert await yard.take(project, quick) == []
    yard.passes(0.001)
    (task,) = await yard.take(project, quick)

    assert (task.id, task.retries) == (id, 0)
    assert await yard.release(project, slow, id) == "not_held"
    assert await yard.release(project, quick, id) == "closed"


async def test_a_task_without_a_time_of_its_own_is_held_for_the_default(yard: Yard) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    await yard.submit(project, worker, new())
    await yard.take(project, worker)

    yard.passes(3599)
    assert await yard.store.tasks.reclaim(project, BATCH) == 0
    yard.passes(1)
    assert await yard.store.tasks.reclaim(project, BATCH) == 1


async def test_the_sweeper_reclaims_in_bounded_steps_until_none_is_left(yard: Yard) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    await yard.submit(project, worker, *(new(seconds=1) for _ in range(BATCH * 2 + 1)))
    await yard.take(project, worker, CHUNK)
    yard.passes(1)

    assert await yard.store.tasks.reclaim(project, BATCH) == BATCH
    assert (await yard.store.monitoring.stats(project)).assigned == BATCH + 1
    await sweep(yard.store)
    assert (await yard.store.monitoring.stats(project)).waiting == BATCH * 2 + 1


async def test_a_round_that_another_process_has_claimed_is_left_to_it(yard: Yard) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    await yard.submit(project, worker, new(seconds=1))
    await yard.take(project, worker)
    yard.passes(1)
    assert await yard.store.claim("sweep", 60_000) is True

    await sweep_if_claimed(yard.store, 1)

    assert (await yard.store.monitoring.stats(project)).assigned == 1


async def test_a_lone_worker_walks_its_own_votes_once(yard: Yard, redis_url: str) -> None:
    project = await yard.project()
    voter, other = await yard.worker(project), await yard.worker(project)
    for _ in range(6):
        await yard.submit(project, voter, *(new(votes=2) for _ in range(CHUNK)))
    while held := await yard.take(project, voter, CHUNK):
        await yard.store.tasks.release(project, voter, [(task.id, 0, 0) for task in held])

    with looking_into(redis_url) as redis:
        # The scan that found nothing took at most 1,000 steps a call, and remembered how far it came.
        for _ in range(3):
            await yard.take(project, voter)
        before = calls_of(redis, "zrange")
        assert await yard.take(project, voter) == []
        # The queue, the jump, the end, and once more the overdue ones.
        assert calls_of(redis, "zrange") - before <= 4

    assert len(await yard.take(project, other, CHUNK)) == CHUNK


async def test_what_is_known_of_a_workers_votes_is_forgotten_after_a_day(
    yard: Yard, redis_url: str, settings: Settings
) -> None:
    project = await yard.project()
    voter = await yard.worker(project)
    ids = await yard.submit(project, voter, new(votes=2), new(votes=2, priority=1))
    await yard.take(project, voter, 2)
    key = f"{settings.prefix}:{{project:{project}}}:seen:{voter}"

    with looking_into(redis_url) as redis:
        for id in ids:
            await yard.release(project, voter, id)
            assert await yard.take(project, voter) == []
            assert 86_400 - 60 < redis.ttl(key) <= 86_400
            # Each vote that it comes to begins the day anew.
            redis.expire(key, 3600)


async def test_a_get_that_finds_nothing_reclaims_ten_tasks_and_hands_them_out(yard: Yard) -> None:
    project = await yard.project()
    slow, quick = await yard.worker(project), await yard.worker(project)
    ids = await yard.submit(project, slow, *(new(seconds=n) for n in range(1, 13)))
    await yard.take(project, slow, 12)
    yard.passes(12)

    assert [task.id for task in await yard.take(project, quick, 12)] == ids[:10]
    stats = await yard.store.monitoring.stats(project)
    assert (stats.waiting, stats.assigned, stats.counters["reclaimed"]) == (0, 12, 10)

    assert [task.id for task in await yard.take(project, quick)] == ids[10:11]
    stats = await yard.store.monitoring.stats(project)
    assert (stats.waiting, stats.assigned, stats.counters["reclaimed"]) == (1, 11, 12)


async def test_a_scan_of_votes_is_bounded(yard: Yard, redis_url: str, settings: Settings) -> None:
    project = await yard.project()
    voter = await yard.worker(project)
    for _ in range(4):
        await yard.submit(project, voter, *(new(votes=2) for _ in range(CHUNK)))
    while held := await yard.take(project, voter, CHUNK):
        await yard.store.tasks.release(project, voter, [(task.id, 0, 0) for task in held])

    with looking_into(redis_url) as redis:
        redis.delete(f"{settings.prefix}:{{project:{project}}}:seen:{voter}")
        before = calls_of(redis, "zrange")
        assert await yard.take(project, voter) == []
        assert calls_of(redis, "zrange") - before <= 1003


async def test_a_batch_of_large_recipes_stops_at_eight_mebibytes(yard: Yard) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    for _ in range(12):
        await yard.submit(project, worker, new("x" * (1 << 20)))

    assert len(await yard.take(project, worker, 12)) == 8
    assert len(await yard.take(project, worker, 12)) == 4


async def test_a_batch_that_asks_for_votes_as_well_stops_at_the_bytes(yard: Yard) -> None:
    project = await yard.project()
    voter, worker = await yard.worker(project), await yard.worker(project)
    voted = await yard.submit(project, voter, *(new("x" * 400, votes=2, priority=p) for p in (1, 0, 0)))
    for task in await yard.take(project, voter, 3):
        await yard.release(project, voter, task.id)
    recipes = [new("x" * 400, priority=2), new("x" * 400, priority=1), new("x" * 2000, priority=1)]
    fresh = await yard.submit(project, voter, *recipes)
    batches = [[fresh[0], voted[0]], [fresh[1]], [fresh[2]], voted[1:], []]

    for batch in batches:
        taken = await yard.store.tasks.assign(project, worker, 10, 3600, bytes=1000)
        assert [task.id for task in taken.tasks] == batch


async def test_a_recipe_over_the_limit_of_a_batch_is_still_handed_out(yard: Yard) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    await yard.submit(project, worker, new("x" * 2000), new("y"))

    first = await yard.store.tasks.assign(project, worker, 10, 60, bytes=1000)

    assert [len(task.fields.recipe) for task in first.tasks] == [2000]


async def test_places_and_ids_stay_exact_up_to_the_end_of_a_project(
    yard: Yard, redis_url: str, settings: Settings
) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    last = 90_000_000_000
    with looking_into(redis_url) as redis:
        redis.hset(f"{settings.prefix}:{{project:{project}}}", "seq", last)

    ids = await yard.submit(
        project, worker, new(priority=-32768), new(priority=32767), new(priority=32767), new(priority=-32768)
    )

    assert ids == [(last + n) * 100_000 + project for n in range(1, 5)]
    taken = [task.id for task in await yard.take(project, worker, 10)]
    assert taken == [ids[1], ids[2], ids[0], ids[3]]


async def test_nothing_is_made_again_in_a_project_that_is_not_there(
    store: Store, redis_url: str, settings: Settings
) -> None:
    for call in (
        store.tasks.submit(9, 1, [new()]),
        store.tasks.assign(9, 1, 1, 60),
        store.tasks.held(9, 1, "0", 10),
        store.monitoring.stats(9),
        store.workers.request_access(9, 1, assign=True, submit=False),
        store.workers.access(9, 1),
        store.chain.deliver(9, 1, 1, []),
    ):
        with pytest.raises(BrokerError) as refused:
            await call
        assert refused.value.code == "not_found"
    assert (await store.tasks.release(9, 1, [(100_009, 0, 0)])).outcomes == ["not_held"]
    assert await store.tasks.extend(9, 1, [100_009], 5) == [False]
    assert await store.tasks.reclaim(9, 10) == 0
    assert await store.tasks.forget(9, 10) == 0

    with looking_into(redis_url) as redis:
        assert keys_like(redis, f"{settings.prefix}:{{project:9}}*") == []
