"""Tasks that have groups: polite, and nothing withheld."""

import asyncio

import pytest

from broker.store.task_fields import TaskFields
from broker.store.transfer import ImportedTask
from tests.store.conftest import StoreFleet
from tests.store.group_walk import Walk
from tests.stores import looking_into, lose_record


async def walks(fleet: StoreFleet, url: str, seeds: range) -> None:
    workers = [await fleet.worker() for _ in range(7)]
    with looking_into(url) as redis:
        for seed in seeds:
            project = await fleet.project(public=True, name=f"walk {seed}")
            for worker in workers:
                await fleet.store.workers.request_access(project, worker, assign=True, submit=True)
                await fleet.store.workers.grant(project, worker)
            try:
                await Walk(seed, fleet.store, redis, project, workers).walk(120)
            except Exception as error:
                error.add_note(f"seed {seed}")
                raise


async def test_random_walks_are_polite_and_withhold_nothing(fleet: StoreFleet, redis_url: str) -> None:
    await walks(fleet, redis_url, range(4))


@pytest.mark.slow
async def test_many_random_walks_are_polite_and_withhold_nothing(fleet: StoreFleet, redis_url: str) -> None:
    await walks(fleet, redis_url, range(100, 300))


async def test_a_clock_that_is_set_back_lets_a_group_rest_no_longer_than_its_delay(fleet: StoreFleet) -> None:
    project = await fleet.project(group_delay=60)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[TaskFields("r", group="a") for _ in range(3)], TaskFields("r", group="b"))
    assert len(await fleet.take(project, worker, 10)) == 2

    fleet.passes(-3600)
    await fleet.store.tasks.rebase(project)

    fleet.passes(59)
    assert not await fleet.take(project, worker)
    fleet.passes(1)
    assert [task.fields.group for task in await fleet.take(project, worker, 10)] == ["a"]
    await fleet.submit(project, worker, TaskFields("r", group="b"))
    assert [task.fields.group for task in await fleet.take(project, worker, 10)] == ["b"]


@pytest.mark.parametrize("count", [100, 5_000])
async def test_a_get_costs_no_more_however_many_groups_rest(fleet: StoreFleet, redis_url: str, count: int) -> None:
    project = await fleet.project(group_delay=3600)
    worker = await fleet.worker(project)
    for start in range(0, count, 250):
        tasks = [TaskFields("r", group=f"host {start + n // 2}") for n in range(500)]
        await fleet.submit(project, worker, *tasks)
    while await fleet.take(project, worker, 500):
        pass
    await fleet.submit(project, worker, TaskFields("r", group="free"))

    with looking_into(redis_url) as redis:
        commands: list[int] = []
        for found in (1, 0):
            redis.config_resetstat()
            assert len(await fleet.take(project, worker)) == found
            stats = redis.info("commandstats")
            commands.append(sum(of["calls"] for name, of in stats.items() if name != "cmdstat_config|resetstat"))

    assert commands[0] < 35
    assert commands[1] < 20


@pytest.mark.parametrize("how", ["blocked", "emptied", "lost"])
async def test_ten_thousand_groups_that_start_nothing_cost_a_get_no_more_than_a_few(
    fleet: StoreFleet, redis_url: str, how: str
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    groups = [f"host {n}" for n in range(10_000)]
    for start in range(0, len(groups), 500):
        await fleet.submit(project, worker, *[TaskFields("r", group=group) for group in groups[start : start + 500]])
    (free,) = await fleet.submit(project, worker, TaskFields("r", group="free"))
    keys, prefix = fleet.store.keys.project(project), f"{fleet.store.keys.project(project)[0]}:wait:0:"

    with looking_into(redis_url) as redis:
        for start in range(0, len(groups), 100):
            some = groups[start : start + 100]
            if how == "blocked":
                await asyncio.gather(*(fleet.store.groups.set_limits(project, group, blocked_for=60) for group in some))
            elif how == "emptied":
                await asyncio.gather(*(fleet.store.maintenance.remove_group(project, group) for group in some))
            else:
                redis.delete(*(prefix + group for group in some))
        onward, ids, most = "1", list[str](), 0
        while onward and not ids:
            redis.config_resetstat()
            _, _, onward, *ids = await fleet.store.calls.call(
                "assign", keys, [worker, fleet.store.now, 1, 1, 60, onward]
            )
            stats = redis.info("commandstats")
            most = max(most, sum(of["calls"] for name, of in stats.items() if name != "cmdstat_config|resetstat"))

    assert ids[:1] == [str(free)]
    assert most < 100


async def test_the_oldest_task_that_waits_is_found_in_groups(fleet: StoreFleet) -> None:
    project = await fleet.project(group_limit=1)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[TaskFields("r", group="a") for _ in range(2)])
    fleet.passes(10)

    assert (await fleet.store.monitoring.oldest(project)).waiting == 10
    await fleet.take(project, worker)
    assert (await fleet.store.monitoring.oldest(project)).waiting == 10


async def test_a_get_finds_the_one_group_that_may_start_behind_many_that_are_full(fleet: StoreFleet) -> None:
    project = await fleet.project(group_limit=1, group_delay=1)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[TaskFields("r", group=f"host {n // 2}") for n in range(60)])
    assert len(await fleet.take(project, worker, 100)) == 30
    fleet.passes(1)
    await fleet.submit(project, worker, *[TaskFields("r", group="free") for _ in range(2)])
    (started,) = await fleet.take(project, worker)
    assert await fleet.release(project, worker, started.id) == "closed"
    fleet.passes(1)

    assert [task.fields.group for task in await fleet.take(project, worker)] == ["free"]
    assert not await fleet.take(project, worker)


@pytest.mark.parametrize("worked_off", [False, True])
@pytest.mark.parametrize("more_waits", [False, True])
async def test_a_group_rests_on_through_a_hard_reset(fleet: StoreFleet, worked_off: bool, more_waits: bool) -> None:
    project = await fleet.project(group_delay=60)
    worker = await fleet.worker(project)
    tasks = [TaskFields("r", group="a") for _ in range(2 if more_waits else 1)]
    await fleet.submit(project, worker, *tasks)
    await fleet.take(project, worker)
    await fleet.store.maintenance.begin_drain(project, "hard_reset")
    while worked_off and (await fleet.store.maintenance.drain(project, 500))[1]:
        pass

    await fleet.submit(project, worker, *tasks)

    assert not await fleet.take(project, worker)
    fleet.passes(60)
    assert len(await fleet.take(project, worker)) == 1


async def test_a_group_rests_for_tasks_with_votes_that_are_imported_while_a_reset_is_worked_off(
    fleet: StoreFleet,
) -> None:
    project = await fleet.project(group_delay=60)
    one, two = await fleet.worker(project), await fleet.worker(project)
    await fleet.submit(project, one, *[TaskFields("r", group="a") for _ in range(2)])
    await fleet.take(project, one)
    await fleet.store.maintenance.begin_drain(project, "hard_reset")

    voted = ImportedTask(1, "", (0, 0, 1), f"{one}:7", TaskFields("r", verification_count=2, group="a"))
    await fleet.store.imports.tasks(project, "dump", [voted])

    fleet.passes(59)
    assert not await fleet.take(project, two)
    fleet.passes(1)
    assert len(await fleet.take(project, two)) == 1


async def test_a_removal_that_a_hard_reset_overtakes_frees_no_hash_of_a_new_task(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    task = TaskFields("r", group="a", hash64="5")
    await fleet.submit(project, worker, task)
    keys = fleet.store.keys.project(project)
    assert await fleet.store.calls.call("remove_group", keys, [fleet.store.now, "a"]) == 1
    assert await fleet.store.maintenance.begin_drain(project, "hard_reset") == 0
    assert await fleet.store.tasks.submit(project, worker, [task]) != [None]

    while (await fleet.store.maintenance.drain(project, 1))[1]:
        pass

    assert await fleet.store.tasks.submit(project, worker, [task]) == [None]


@pytest.mark.parametrize("limited", ["before", "after"])
async def test_a_group_is_free_again_when_its_held_task_is_lost_with_all_that_named_it(
    fleet: StoreFleet, redis_url: str, limited: str
) -> None:
    project = await fleet.project(group_limit=1)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[TaskFields("r", group="a") for _ in range(2)])
    (held,) = await fleet.take(project, worker)
    with looking_into(redis_url) as redis:
        base = lose_record(redis, fleet.store.keys.project(project)[0].split(":")[0], held.id)
        redis.hdel(f"{base}:holders", str(held.id))
    assert not await fleet.take(project, worker)
    if limited == "after":
        # Meanwhile no group is full: what is lost is not looked for.
        await fleet.store.projects.update(None, project, {"group_limit": 0})
        await fleet.take(project, worker)

    fleet.passes(3600)
    await fleet.store.tasks.reclaim(project, 10)
    await fleet.store.tasks.promote(project, 10)
    await fleet.store.projects.update(None, project, {"group_limit": 1})

    assert [task.fields.group for task in await fleet.take(project, worker)] == ["a"]


async def test_a_group_counts_at_the_priority_of_the_task_that_this_worker_may_take(fleet: StoreFleet) -> None:
    project = await fleet.project(public=True)
    one, two = await fleet.worker(project), await fleet.worker(project)

    def voted(priority: int, group: str) -> TaskFields:
        return TaskFields("r", priority=priority, verification_count=3, group=group)

    ids = await fleet.submit(project, one, voted(5, "a"), voted(0, "a"), voted(3, "b"))
    for worker, mine in ((one, ids[:1]), (two, ids)):
        held = [task.id for task in await fleet.take(project, worker, 3)]
        for id in held:
            await fleet.release(project, worker, id, 0 if id in mine else 2, 1)

    assert [task.id for task in await fleet.take(project, one, 3)] == [ids[2], ids[1]]


async def test_a_group_that_rests_and_is_blocked_for_longer_says_when_the_block_ends(fleet: StoreFleet) -> None:
    project = await fleet.project(group_delay=60)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[TaskFields("r", group="a") for _ in range(2)])
    await fleet.take(project, worker)
    resting = await fleet.store.groups.get(project, "a")

    blocked = await fleet.store.groups.set_limits(project, "a", blocked_for=3600, by="manager 1")
    assert blocked.next == blocked.blocked_until
    fleet.passes(61)
    assert (await fleet.store.groups.get(project, "a")).next == blocked.blocked_until
    assert (await fleet.store.groups.set_limits(project, "a", blocked_for=30)).next == fleet.now / 1000 + 30
    assert resting.next == fleet.now / 1000 - 1


async def test_a_worker_alone_that_has_voted_in_more_groups_than_a_get_looks_at_is_told_so(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    tasks = [TaskFields("r", priority=n, verification_count=2, group=f"host {n}") for n in range(1200)]
    for start in range(0, 1200, 400):
        await fleet.submit(project, worker, *tasks[start : start + 400])
    while held := await fleet.take(project, worker, 400):
        await fleet.store.tasks.release(project, worker, [(task.id, 0, 1) for task in held])

    async with asyncio.timeout(20):
        assert not await fleet.take(project, worker)
