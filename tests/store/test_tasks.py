"""Rules of the queue that need a clock, a count of steps, or a look below HTTP."""

from typing import Any

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store import Store
from broker.store.redis.scripts import Arguments
from broker.store.task_fields import TaskFields
from broker.store.tasks import CHUNK, FAIL
from broker.sweeper import BATCH, look, sweep
from tests.store.conftest import StoreFleet, new
from tests.stores import commands_of, keys_like, looking_into


def calls_of(redis: Any, command: str) -> int:
    return sum(stats.get(f"cmdstat_{command}", {}).get("calls", 0) for stats in commands_of(redis))


def all_calls(redis: Any) -> int:
    return sum(command["calls"] for stats in commands_of(redis) for command in stats.values())


async def test_a_rate_admits_what_it_says_and_tells_how_long_to_wait(fleet: StoreFleet) -> None:
    project = await fleet.project(submit_rate=2.0)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())

    with pytest.raises(BrokerError) as refused:
        await fleet.submit(project, worker, new())
    assert (refused.value.code, refused.value.delay) == ("rate_limited", 0.5)

    fleet.passes(0.499)
    with pytest.raises(BrokerError):
        await fleet.submit(project, worker, new())
    fleet.passes(0.001)
    await fleet.submit(project, worker, new())


async def test_a_high_rate_lets_a_hundredth_of_a_second_through_at_once(fleet: StoreFleet) -> None:
    project = await fleet.project(submit_rate=5000.0)
    worker = await fleet.worker(project)

    for _ in range(50):
        await fleet.submit(project, worker, new())

    with pytest.raises(BrokerError) as refused:
        await fleet.submit(project, worker, new())
    assert refused.value.delay == 0.0002


async def test_a_batch_is_charged_for_what_was_accepted(fleet: StoreFleet) -> None:
    project = await fleet.project(submit_rate=10.0)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *(new(hash64=n) for n in range(1, 21)), *(new(hash64=n) for n in range(1, 21)))

    with pytest.raises(BrokerError) as refused:
        await fleet.submit(project, worker, new())
    assert refused.value.delay == 2.0


async def test_a_duplicate_and_an_empty_get_cost_nothing(fleet: StoreFleet) -> None:
    project = await fleet.project(submit_rate=1.0, assign_rate=1.0)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new(hash64=5))
    fleet.passes(1)

    for _ in range(3):
        assert await fleet.submit(project, worker, new(hash64=5)) == [None]
    assert await fleet.submit(project, worker, new(hash64=6)) != [None]

    assert len(await fleet.take(project, worker, 5)) == 2
    fleet.passes(2)
    for _ in range(3):
        assert await fleet.take(project, worker) == []


async def test_a_changed_rate_begins_at_once(fleet: StoreFleet) -> None:
    project = await fleet.project(submit_rate=0.001)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())

    await fleet.store.projects.update(fleet.manager, project, {"motd": "the rate stays"})
    with pytest.raises(BrokerError):
        await fleet.submit(project, worker, new())

    await fleet.store.projects.update(fleet.manager, project, {"submit_rate": 100.0})
    await fleet.submit(project, worker, new())


@pytest.mark.parametrize("back", [2, 3600])
async def test_a_rate_forgets_what_is_owed_when_the_clock_is_set_back(fleet: StoreFleet, back: int) -> None:
    project = await fleet.project(submit_rate=0.01, assign_rate=0.01)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *(new() for _ in range(CHUNK)))
    await fleet.take(project, worker, 5)

    fleet.passes(-back)
    await fleet.submit(project, worker, new())
    await fleet.take(project, worker)

    # From then on the rate counts as ever.
    for seconds in (0, 99.999):
        fleet.passes(seconds)
        with pytest.raises(BrokerError, match="Too many requests"):
            await fleet.submit(project, worker, new())
        with pytest.raises(BrokerError, match="Too many requests"):
            await fleet.take(project, worker)
    fleet.passes(0.001)
    await fleet.submit(project, worker, new())
    await fleet.take(project, worker)


async def test_a_later_chunk_counts_anew_when_the_clock_was_set_back_before_it(fleet: StoreFleet) -> None:
    project = await fleet.project(submit_rate=10.0)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *(new() for _ in range(CHUNK)))

    fleet.passes(-3600)
    await fleet.store.tasks.submit(project, worker, [new()] * 20, whole=0)

    with pytest.raises(BrokerError) as refused:
        await fleet.submit(project, worker, new())
    assert refused.value.delay == 2.0


async def test_a_clock_that_is_corrected_by_less_than_a_second_forgives_nothing(fleet: StoreFleet) -> None:
    project = await fleet.project(submit_rate=10.0)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *(new() for _ in range(CHUNK)))
    for _ in range(2):
        await fleet.store.tasks.submit(project, worker, [new()] * CHUNK, whole=0)

    fleet.passes(-1)
    with pytest.raises(BrokerError) as refused:
        await fleet.submit(project, worker, new())

    assert refused.value.delay == 3 * CHUNK / 10 + 1


@pytest.mark.parametrize("rate", [1e-300, 5e-324, 1e300])
async def test_absurd_rates_do_no_harm(fleet: StoreFleet, rate: float) -> None:
    project = await fleet.project(submit_rate=rate, assign_rate=rate)
    worker = await fleet.worker(project)

    await fleet.submit(project, worker, *(new() for _ in range(CHUNK)))
    assert len(await fleet.take(project, worker, CHUNK)) == CHUNK


async def test_the_hash_of_a_closed_task_counts_as_long_as_the_project_says(fleet: StoreFleet) -> None:
    project = await fleet.project(remember_closed=60)
    worker = await fleet.worker(project)
    for id in await fleet.submit(project, worker, new(hash64=7), new(hash64=8)):
        await fleet.take(project, worker)
        await fleet.release(project, worker, id)

    fleet.passes(59)
    assert await fleet.submit(project, worker, new(hash64=7)) == [None]
    fleet.passes(1)
    assert await fleet.submit(project, worker, new(hash64=7)) != [None]
    # The others are taken out when they have been late for an eighth of the time.
    fleet.passes(6)
    assert not (await fleet.store.active.due(project)).expired
    fleet.passes(1)
    assert (await fleet.store.active.due(project)).expired
    assert await fleet.store.tasks.expire_hashes(project, BATCH) == (1, False)
    assert not (await fleet.store.active.due(project)).expired


async def test_a_hash_remembered_for_ever_goes_when_the_project_stops_remembering(fleet: StoreFleet) -> None:
    project = await fleet.project(remember_closed=-1)
    worker = await fleet.worker(project)
    (id,) = await fleet.submit(project, worker, new(hash64=7))
    await fleet.take(project, worker)
    await fleet.release(project, worker, id)
    fleet.passes(10**9)
    assert await fleet.submit(project, worker, new(hash64=7)) == [None]
    assert not (await fleet.store.active.due(project)).expired

    await fleet.store.projects.update(fleet.manager, project, {"remember_closed": 0})

    assert await fleet.submit(project, worker, new(hash64=7)) != [None]
    assert (await fleet.store.active.due(project)).drains
    assert await fleet.store.maintenance.drain(project, BATCH) == (1, False)


async def test_how_long_a_hash_is_remembered_follows_the_project(fleet: StoreFleet) -> None:
    project = await fleet.project(remember_closed=-1)
    worker = await fleet.worker(project)
    (id,) = await fleet.submit(project, worker, new(hash64=7))
    await fleet.take(project, worker)
    await fleet.release(project, worker, id)
    fleet.passes(30)

    await fleet.store.projects.update(fleet.manager, project, {"remember_closed": 60})
    # It counts as if its task had closed at the change.
    fleet.passes(59)
    assert await fleet.submit(project, worker, new(hash64=7)) == [None]
    fleet.passes(1)
    assert await fleet.submit(project, worker, new(hash64=7)) != [None]


async def test_an_overdue_task_comes_back_without_a_retry_and_the_late_release_changes_nothing(
    fleet: StoreFleet,
) -> None:
    project = await fleet.project()
    slow, quick = await fleet.worker(project), await fleet.worker(project)
    (id,) = await fleet.submit(project, slow, new(seconds=10))
    await fleet.take(project, slow)

    fleet.passes(9.999)
    assert await fleet.take(project, quick) == []
    fleet.passes(0.001)
    (task,) = await fleet.take(project, quick)

    assert (task.id, task.retries) == (id, 0)
    assert await fleet.release(project, slow, id) == "not_held"
    assert await fleet.release(project, quick, id) == "closed"


async def test_a_task_without_a_time_of_its_own_is_held_for_the_default(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    await fleet.take(project, worker)

    fleet.passes(3599)
    assert await fleet.store.tasks.reclaim(project, BATCH) == 0
    fleet.passes(1)
    assert await fleet.store.tasks.reclaim(project, BATCH) == 1


async def test_the_sweeper_reclaims_in_bounded_steps_until_none_is_left(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *(new(seconds=1) for _ in range(BATCH * 2 + 1)))
    await fleet.take(project, worker, CHUNK)
    fleet.passes(1)

    assert await fleet.store.tasks.reclaim(project, BATCH) == BATCH
    assert (await fleet.store.monitoring.stats(project)).assigned == BATCH + 1
    await sweep(fleet.store)
    assert (await fleet.store.monitoring.stats(project)).waiting == BATCH * 2 + 1


async def test_a_project_that_another_process_looks_at_is_left_to_it_until_that_has_probably_died(
    fleet: StoreFleet,
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new(seconds=1))
    await fleet.take(project, worker)
    fleet.passes(1)
    assert (await fleet.store.active.take(10))[0] == [project]

    await look(fleet.store, 1)
    assert (await fleet.store.monitoring.stats(project)).assigned == 1

    fleet.passes(5)
    await look(fleet.store, 1)
    assert (await fleet.store.monitoring.stats(project)).assigned == 0


@pytest.mark.parametrize("grouped", [False, True])
async def test_a_lone_worker_never_walks_over_its_own_votes(
    fleet: StoreFleet, redis_url: str, settings: Settings, grouped: bool
) -> None:
    project = await fleet.project()
    voter, other = await fleet.worker(project), await fleet.worker(project)
    for start in range(0, 3_000, CHUNK):
        tasks = (new(votes=2, priority=n)._replace(group=f"host {n}" if grouped else "") for n in range(CHUNK))
        await fleet.submit(project, voter, *(task._replace(priority=task.priority + start) for task in tasks))
    while held := await fleet.take(project, voter, CHUNK):
        await fleet.store.tasks.release(project, voter, [(task.id, 0, 0) for task in held])

    async def commands_of_an_empty_get() -> int:
        before = all_calls(redis)
        assert await fleet.take(project, voter) == []
        return all_calls(redis) - before

    with looking_into(redis_url) as redis:
        assert await commands_of_an_empty_get() < 20
        redis.delete(f"{settings.prefix}:{{project:{project}}}:seen:{voter}")
        assert await commands_of_an_empty_get() > 3_000
        assert await commands_of_an_empty_get() < 20

    (late,) = await fleet.submit(project, other, new(votes=2))
    while late not in (taken := [task.id for task in await fleet.take(project, other, CHUNK)]):
        assert taken
    assert await fleet.release(project, other, late) == "voted"
    assert [task.id for task in await fleet.take(project, voter)] == [late]


@pytest.mark.parametrize("group", ["", "a"])
async def test_a_vote_does_not_hide_what_another_worker_has_voted_on_before(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project()
    one, other = await fleet.worker(project), await fleet.worker(project)
    await fleet.submit(project, one, *(new(votes=2)._replace(group=group) for _ in range(2)))
    (its,), (others,) = await fleet.take(project, one), await fleet.take(project, other)
    assert await fleet.release(project, other, others.id) == "voted"

    assert await fleet.release(project, one, its.id) == "voted"

    assert [task.id for task in await fleet.take(project, one, 2)] == [others.id]


@pytest.mark.parametrize("group", ["", "a"])
async def test_a_get_that_takes_something_better_does_not_hide_a_task_with_votes(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project()
    one, other = await fleet.worker(project), await fleet.worker(project)
    (voted,) = await fleet.submit(project, one, new(votes=2)._replace(group=group))
    await fleet.take(project, other)
    await fleet.release(project, other, voted)
    (better,) = await fleet.submit(project, one, new(priority=1))

    assert [task.id for task in await fleet.take(project, one)] == [better]

    assert [task.id for task in await fleet.take(project, one)] == [voted]


async def test_a_vote_on_a_task_whose_group_rests_is_counted(fleet: StoreFleet) -> None:
    project = await fleet.project(group_delay=60)
    worker = await fleet.worker(project)
    (task, _) = await fleet.submit(project, worker, *(new(votes=2)._replace(group="a") for _ in range(2)))
    await fleet.take(project, worker)

    assert await fleet.release(project, worker, task) == "voted"


async def test_what_is_known_of_a_workers_votes_is_forgotten_after_a_day(
    fleet: StoreFleet, redis_url: str, settings: Settings
) -> None:
    project = await fleet.project()
    voter = await fleet.worker(project)
    ids = await fleet.submit(project, voter, new(votes=2), new(votes=2, priority=1))
    await fleet.take(project, voter, 2)
    key = f"{settings.prefix}:{{project:{project}}}:seen:{voter}"

    with looking_into(redis_url) as redis:
        for id in ids:
            await fleet.release(project, voter, id)
            assert await fleet.take(project, voter) == []
            assert 86_400 - 60 < redis.ttl(key) <= 86_400
            # Each vote that it comes to begins the day anew.
            redis.expire(key, 3600)


async def test_a_get_that_finds_nothing_reclaims_ten_tasks_and_hands_them_out(fleet: StoreFleet) -> None:
    project = await fleet.project()
    slow, quick = await fleet.worker(project), await fleet.worker(project)
    ids = await fleet.submit(project, slow, *(new(seconds=n) for n in range(1, 13)))
    await fleet.take(project, slow, 12)
    fleet.passes(12)

    assert [task.id for task in await fleet.take(project, quick, 12)] == ids[:10]
    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.assigned, stats.counters["reclaimed"]) == (0, 12, 10)

    assert [task.id for task in await fleet.take(project, quick)] == ids[10:11]
    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.assigned, stats.counters["reclaimed"]) == (1, 11, 12)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("priorities", [1, 2_000])
async def test_a_walk_over_votes_takes_a_thousand_steps_a_call_and_finds_what_is_behind_them(
    fleet: StoreFleet, redis_url: str, settings: Settings, priorities: int, grouped: bool
) -> None:
    project = await fleet.project()
    voter, other = await fleet.worker(project), await fleet.worker(project)

    def task(n: int, priority: int) -> TaskFields:
        return new(votes=2, priority=priority)._replace(group=f"host {n % 7}" if grouped else "")

    await fleet.submit(project, other, task(3, -1))
    (last,) = await fleet.take(project, other)
    for start in range(0, 2_000, CHUNK):
        await fleet.submit(project, voter, *(task(n, n % priorities) for n in range(start, start + CHUNK)))
    while held := await fleet.take(project, voter, CHUNK):
        await fleet.store.tasks.release(project, voter, [(task.id, 0, 0) for task in held])
    assert await fleet.release(project, other, last.id) == "voted"

    async def walk() -> list[str]:
        """As a get does."""
        onward, ids = "1", list[str]()
        while onward and not ids:
            before = calls_of(redis, "zrange")
            args: Arguments = [voter, fleet.store.now, 1, 1 << 20, 60, onward]
            _, _, onward, *ids = await fleet.store.calls.call("assign", fleet.store.keys.project(project), args)
            assert calls_of(redis, "zrange") - before <= 1_010
        return ids[:1]

    with looking_into(redis_url) as redis:
        redis.delete(f"{settings.prefix}:{{project:{project}}}:seen:{voter}")
        assert await walk() == [str(last.id)]


async def test_a_batch_of_large_recipes_stops_at_eight_mebibytes(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    for _ in range(12):
        await fleet.submit(project, worker, new("x" * (1 << 20)))

    assert len(await fleet.take(project, worker, 12)) == 8
    assert len(await fleet.take(project, worker, 12)) == 4


async def test_a_batch_that_asks_for_votes_as_well_stops_at_the_bytes(fleet: StoreFleet) -> None:
    project = await fleet.project()
    voter, worker = await fleet.worker(project), await fleet.worker(project)
    voted = await fleet.submit(project, voter, *(new("x" * 400, votes=2, priority=p) for p in (1, 0, 0)))
    for task in await fleet.take(project, voter, 3):
        await fleet.release(project, voter, task.id)
    recipes = [new("x" * 400, priority=2), new("x" * 400, priority=1), new("x" * 2000, priority=1)]
    fresh = await fleet.submit(project, voter, *recipes)
    batches = [[fresh[0], voted[0]], [fresh[1]], [fresh[2]], voted[1:], []]

    for batch in batches:
        taken = await fleet.store.tasks.assign(project, worker, 10, 3600, bytes=1000)
        assert [task.id for task in taken.tasks] == batch


async def test_a_recipe_over_the_limit_of_a_batch_is_still_handed_out(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new("x" * 2000), new("y"))

    first = await fleet.store.tasks.assign(project, worker, 10, 60, bytes=1000)

    assert [len(task.fields.recipe) for task in first.tasks] == [2000]


async def test_places_and_ids_stay_exact_up_to_the_end_of_a_project(
    fleet: StoreFleet, redis_url: str, settings: Settings
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    last = 90_000_000_000
    with looking_into(redis_url) as redis:
        redis.hset(f"{settings.prefix}:{{project:{project}}}", "seq", last)

    ids = await fleet.submit(
        project, worker, new(priority=-32768), new(priority=32767), new(priority=32767), new(priority=-32768)
    )

    assert ids == [(last + n) * 100_000 + project for n in range(1, 5)]
    taken = [task.id for task in await fleet.take(project, worker, 10)]
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
    assert await store.tasks.expire_hashes(9, 10) == (0, False)

    with looking_into(redis_url) as redis:
        assert keys_like(redis, f"{settings.prefix}:{{project:9}}*") == []


async def test_a_text_that_no_script_reads_stays_with_its_task_and_its_group_is_still_its_group(
    fleet: StoreFleet,
) -> None:
    project = await fleet.project(group_limit=1)
    worker = await fleet.worker(project)
    first, second = (TaskFields("r\t@", priority=1, max_retries=9, group=f"g\t{text}") for text in ("1", "2"))
    lone = TaskFields("r\t@", max_retries=9, group="\t3")
    await fleet.submit(project, worker, first, second, lone)

    for turn, wanted in enumerate([first, second, first, second]):
        grouped, other = await fleet.take(project, worker, 3)
        assert [grouped.fields, other.fields] == [wanted, lone]
        assert [grouped.retries, other.retries] == [turn // 2, turn]
        await fleet.release(project, worker, grouped.id, FAIL)
        await fleet.release(project, worker, other.id, FAIL)
