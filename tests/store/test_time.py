"""Delays, retries that wait, tasks that are reclaimed too often or never agreed on, and rounds."""

from typing import Any

import pytest

from broker.store.task_fields import Row, Task, TaskError, TaskFields
from broker.store.tasks import result_of
from broker.sweeper import sweep
from tests.store.conftest import NOON, StoreFleet, new

OK, FAIL, SKIP = 0, 1, 2


async def shown(fleet: StoreFleet, project: int, task: int | None) -> tuple[str, Row]:
    return await fleet.store.project_tasks.get(project, task or 0)


async def ids(fleet: StoreFleet, project: int, worker: int, count: int = 1) -> list[int]:
    return [task.id for task in await fleet.take(project, worker, count)]


async def report(fleet: StoreFleet, project: int, worker: int, task: int | None, *result: Any, vote: int = 0) -> str:
    releases = [(task or 0, result_of(*result), vote)]
    return (await fleet.store.tasks.release(project, worker, releases)).outcomes[0]


async def fail(fleet: StoreFleet, project: int, worker: int) -> None:
    (task,) = await fleet.take(project, worker)
    await report(fleet, project, worker, task.id, FAIL)


@pytest.fixture(params=["", "a.org"], ids=["alone", "in a group"])
def group(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_delayed_task_is_given_out_from_its_time_on(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    in_a_while, at_a_time, now = await fleet.submit(
        project,
        worker,
        TaskFields("a", group=group, start="+1500"),
        TaskFields("b", group=group, start=f"={NOON + 3000}"),
        TaskFields("c", group=group, start=f"={NOON}"),
    )

    assert await ids(fleet, project, worker, 3) == [now]
    assert [(await shown(fleet, project, task))[0] for task in (in_a_while, at_a_time)] == ["delayed"] * 2
    assert (await shown(fleet, project, at_a_time))[1].score == NOON + 3000
    assert (await fleet.store.monitoring.stats(project)).delayed == 2
    fleet.passes(1.499)
    assert await ids(fleet, project, worker, 3) == []
    fleet.passes(0.001)
    assert await ids(fleet, project, worker, 3) == [in_a_while]
    fleet.passes(1.5)
    assert await ids(fleet, project, worker, 3) == [at_a_time]
    assert (await fleet.store.monitoring.stats(project)).delayed == 0


async def test_tasks_that_are_due_are_given_out_by_priority_among_what_waits(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    low, high, waiting = await fleet.submit(
        project,
        worker,
        TaskFields("low", priority=-1, start="+10"),
        TaskFields("high", priority=1, start="+20"),
        new("waiting"),
    )
    fleet.passes(1)

    assert await ids(fleet, project, worker, 3) == [high, waiting, low]


async def test_the_sweeper_puts_what_is_due_where_it_waits(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *(TaskFields("r", group=group, start="+10") for _ in range(700)))
    assert not (await fleet.store.active.due(project)).promote
    fleet.passes(1)
    assert (await fleet.store.active.due(project)).promote

    await sweep(fleet.store)

    stats = await fleet.store.monitoring.stats(project)
    assert (stats.waiting, stats.delayed) == (700, 0)


async def test_a_delayed_task_has_its_hash_and_can_be_removed_and_reset(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    delayed = TaskFields("r", hash64=5, start="+1000")
    (task,) = await fleet.submit(project, worker, delayed)

    assert await fleet.submit(project, worker, delayed) == [None]
    await fleet.store.project_tasks.remove(project, task or 0)
    assert await fleet.submit(project, worker, delayed) != [None]
    assert await fleet.store.maintenance.run(project, "hard_reset") == 1
    await sweep(fleet.store)
    assert await fleet.submit(project, worker, delayed) != [None]
    fleet.passes(1)
    assert len(await ids(fleet, project, worker, 10)) == 1


async def test_a_project_says_how_long_a_failed_task_waits_and_that_doubles(fleet: StoreFleet) -> None:
    project = await fleet.project(retry_delay=10.0, retry_delay_max=35.0)
    worker = await fleet.worker(project)
    (task,) = await fleet.submit(project, worker, TaskFields("r", max_retries=9))

    for delay in (10, 20, 35, 35):
        await fail(fleet, project, worker)
        until = (await shown(fleet, project, task))[1].score - fleet.now
        assert delay * 1000 <= until <= delay * 1100
        fleet.passes(until / 1000)


async def test_without_a_longest_delay_it_does_not_double(fleet: StoreFleet) -> None:
    project = await fleet.project(retry_delay=10.0)
    worker = await fleet.worker(project)
    (task,) = await fleet.submit(project, worker, TaskFields("r", max_retries=9))

    for _ in range(3):
        await fail(fleet, project, worker)
        assert (await shown(fleet, project, task))[1].score - fleet.now <= 11_000
        fleet.passes(11)


@pytest.mark.parametrize("result", [FAIL, SKIP])
async def test_a_release_may_say_how_long_its_task_waits(fleet: StoreFleet, group: str, result: int) -> None:
    project = await fleet.project(retry_delay=1.0)
    worker = await fleet.worker(project)
    (task,) = await fleet.submit(project, worker, TaskFields("r", max_retries=9, group=group))
    await fleet.take(project, worker)

    assert await report(fleet, project, worker, task, result, 2.5) == "returned"

    assert (await shown(fleet, project, task))[0] == "delayed"
    fleet.passes(2.499)
    assert await ids(fleet, project, worker) == []
    fleet.passes(0.001)
    assert await ids(fleet, project, worker) == [task]


async def test_a_failed_task_goes_to_another_worker_first(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project(retry_delay=10.0)
    one, other = await fleet.worker(project), await fleet.worker(project)
    failed, second = await fleet.submit(project, one, *(TaskFields("r", max_retries=9, group=group) for _ in "ab"))
    await fail(fleet, project, one)
    fleet.passes(11)

    assert await ids(fleet, project, one) == [second]
    assert await ids(fleet, project, other) == [failed]


async def test_a_lone_worker_gets_its_failed_task_when_nothing_else_is_there(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project(retry_delay=10.0)
    worker = await fleet.worker(project)
    failed, second = await fleet.submit(project, worker, *(TaskFields("r", max_retries=9, group=group) for _ in "ab"))
    await fail(fleet, project, worker)
    fleet.passes(11)

    assert await ids(fleet, project, worker) == [second]
    assert await ids(fleet, project, worker) == [failed]


async def test_a_failed_task_keeps_its_place_while_it_is_left_to_others_and_comes_back_after_a_while(
    fleet: StoreFleet, group: str
) -> None:
    project = await fleet.project(retry_delay=10.0)
    worker = await fleet.worker(project)
    (failed,) = await fleet.submit(project, worker, TaskFields("r", max_retries=9, priority=1, group=group))
    await fail(fleet, project, worker)
    others = await fleet.submit(project, worker, *(TaskFields("r", group=group) for _ in range(3)))
    fleet.passes(11)

    assert await ids(fleet, project, worker, 2) == others[:2]
    fleet.passes(11)
    assert await ids(fleet, project, worker) == [failed]


async def test_no_more_than_16_tasks_of_a_get_are_left_to_others(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project(retry_delay=10.0)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *(TaskFields("r", max_retries=9, group=group) for _ in range(20)))
    for task in await fleet.take(project, worker, 20):
        await report(fleet, project, worker, task.id, FAIL)
    fleet.passes(12)
    await sweep(fleet.store)

    assert len(await ids(fleet, project, worker, 20)) == 4


async def test_without_a_retry_delay_the_order_is_what_it_was(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    failed, second = await fleet.submit(project, worker, *(TaskFields("r", max_retries=9) for _ in "ab"))
    await fail(fleet, project, worker)

    assert await ids(fleet, project, worker, 2) == [second, failed]


async def test_a_voted_task_that_is_left_to_others_is_found_later(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project(retry_delay=10.0)
    voter, worker = await fleet.worker(project), await fleet.worker(project)
    fields = TaskFields("r", max_retries=9, verification_count=3, group=group)
    first, second = await fleet.submit(project, voter, fields, fields)
    for task in await fleet.take(project, voter, 2):
        await fleet.release(project, voter, task.id, vote=7)
    await fail(fleet, project, worker)
    fleet.passes(11)

    assert await ids(fleet, project, worker) == [second]
    await fleet.release(project, worker, second, vote=7)
    assert await ids(fleet, project, worker) == [first]


async def test_a_task_that_is_reclaimed_too_often_has_failed(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project(max_reclaims=2)
    worker = await fleet.worker(project)
    poison, other = await fleet.submit(
        project, worker, TaskFields("poison", priority=1, max_assign_time=10, group=group), new("other", seconds=99)
    )
    for reclaims in (1, 2):
        assert await ids(fleet, project, worker) == [poison]
        fleet.passes(10)
        await sweep(fleet.store)
        assert (await shown(fleet, project, poison))[1].reclaims == reclaims
    assert await ids(fleet, project, worker, 2) == [poison, other]
    fleet.passes(10)
    await sweep(fleet.store)

    state, row = await shown(fleet, project, poison)
    assert state == "failed"
    assert row.error == TaskError("its workers never reported back", worker, fleet.now // 1000)
    counters = (await fleet.store.monitoring.stats(project)).counters
    assert (counters["reclaimed"], counters["failed"]) == (3, 1)
    await fleet.store.project_tasks.retry(project, poison or 0)
    assert (await shown(fleet, project, poison))[1].reclaims == 0


async def test_giving_back_counts_as_a_reclaim_and_a_manager_s_reclaim_does_not(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker, other = await fleet.worker(project), await fleet.worker(project)
    (task,) = await fleet.submit(project, worker, new())
    await fleet.take(project, worker)

    assert await fleet.store.tasks.give_back(project, other, [task or 0]) == [False]
    assert await fleet.store.tasks.give_back(project, worker, [task or 0, task or 0, 5]) == [True, False, False]
    assert (await shown(fleet, project, task))[1].reclaims == 1
    await fleet.take(project, worker)
    await fleet.store.maintenance.run(project, "reclaim_assigned")
    await fleet.take(project, worker)
    await fleet.store.project_tasks.reclaim(project, worker)
    assert (await shown(fleet, project, task))[1].reclaims == 1
    assert (await fleet.store.monitoring.stats(project)).waiting == 1


@pytest.mark.parametrize("most", [1, 3])
async def test_votes_that_do_not_agree_fail_a_task(fleet: StoreFleet, group: str, most: int) -> None:
    """``max_votes`` of 1 counts as 2, the verification count."""
    project = await fleet.project(max_votes=most)
    workers = [await fleet.worker(project) for _ in range(3)]
    (task,) = await fleet.submit(project, workers[0], TaskFields("r", verification_count=2, group=group))
    outcomes = []
    for vote, worker in enumerate(workers[: max(most, 2)]):
        await fleet.take(project, worker)
        outcomes.append(await fleet.release(project, worker, task, vote=vote))

    assert outcomes == ["voted"] * (max(most, 2) - 1) + ["failed"]
    state, row = await shown(fleet, project, task)
    assert (state, row.vote_count) == ("failed", max(most, 2))
    assert row.error == TaskError(f"no 2 of {max(most, 2)} agree", None, fleet.now // 1000)
    await fleet.store.maintenance.run(project, "reset_failed")
    state, row = await shown(fleet, project, task)
    assert (state, row.vote_count, row.error) == ("queue", 0, None)


async def test_votes_of_a_task_that_a_worker_failed_stay_when_it_is_retried(fleet: StoreFleet) -> None:
    project = await fleet.project(max_votes=5)
    one, other = await fleet.worker(project), await fleet.worker(project)
    (task,) = await fleet.submit(project, one, TaskFields("r", verification_count=2))
    await fleet.take(project, one)
    await fleet.release(project, one, task, vote=1)
    await fail(fleet, project, other)

    await fleet.store.project_tasks.retry(project, task or 0)

    assert (await shown(fleet, project, task))[1].vote_count == 1


async def closed_again(fleet: StoreFleet, project: int, worker: int, seconds: float) -> Task:
    (task,) = await fleet.take(project, worker)
    assert await report(fleet, project, worker, task.id, OK, seconds) == "closed"
    return task


async def test_a_task_comes_again_in_its_next_round(fleet: StoreFleet, group: str) -> None:
    project = await fleet.project(remember_closed=100)
    worker = await fleet.worker(project)
    fields = TaskFields("x" * 2000, hash64=5, max_retries=3, group=group)
    (id,) = await fleet.submit(project, worker, fields)
    await fail(fleet, project, worker)

    first = await closed_again(fleet, project, worker, 60)

    assert (first.id, first.round, first.retries) == (id, 1, 1)
    state, row = await shown(fleet, project, id)
    assert (state, row.round, row.retries, row.error) == ("delayed", 2, 0, None)
    assert row.created == NOON // 1000
    assert await fleet.submit(project, worker, fields) == [None]
    fleet.passes(59.999)
    assert await ids(fleet, project, worker) == []
    fleet.passes(0.001)
    (second,) = await fleet.take(project, worker)
    assert (second.id, second.round, second.retries, second.fields.recipe) == (id, 2, 0, fields.recipe)
    assert await fleet.release(project, worker, id) == "closed"
    assert (await fleet.store.monitoring.stats(project)).counters["closed"] == 2
    assert await ids(fleet, project, worker) == []


async def test_the_votes_of_a_round_end_with_it(fleet: StoreFleet) -> None:
    project = await fleet.project()
    one, other = await fleet.worker(project), await fleet.worker(project)
    (task,) = await fleet.submit(project, one, TaskFields("r", verification_count=2))
    await fleet.take(project, one)
    assert await report(fleet, project, one, task, OK, 60, vote=7) == "voted"
    await fleet.take(project, other)
    assert await report(fleet, project, other, task, OK, 60, vote=7) == "closed"

    fleet.passes(60)

    assert (await shown(fleet, project, task))[1].vote_count == 0
    assert await ids(fleet, project, one) == [task]


async def test_each_round_is_chained(fleet: StoreFleet, group: str) -> None:
    target = await fleet.project()
    project = await fleet.project(chain=target)
    worker = await fleet.worker(project, target)
    await fleet.submit(project, worker, TaskFields("r", group=group, max_retries=5, priority=3))
    await fail(fleet, project, worker)
    await closed_again(fleet, project, worker, 1)
    fleet.passes(1)
    await closed_again(fleet, project, worker, 1)
    await fleet.store.chain.flush(project)

    copies = await fleet.take(target, worker, 5)

    assert [(copy.round, copy.retries, copy.fields) for copy in copies] == 2 * [
        (1, 0, TaskFields("r", group=group, max_retries=5, priority=3))
    ]


async def test_a_get_may_hold_its_tasks_for_less_than_they_say(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new(seconds=10), new(seconds=100), new())

    held = await fleet.store.tasks.assign(project, worker, 3, 3600, hold=50)

    deadlines = [(await shown(fleet, project, task.id))[1].score - fleet.now for task in held.tasks]
    assert deadlines == [10_000, 50_000, 50_000]


async def test_a_clock_that_is_set_back_starts_nothing_twice_and_strands_nothing(fleet: StoreFleet) -> None:
    project = await fleet.project(retry_delay=10.0)
    worker, other = await fleet.worker(project), await fleet.worker(project)
    await sweep(fleet.store)
    delayed, failed = await fleet.submit(
        project, worker, TaskFields("r", start="+60000"), TaskFields("r", max_retries=9)
    )
    await fail(fleet, project, worker)
    fleet.passes(-3600)
    await sweep(fleet.store)

    assert await ids(fleet, project, other, 2) == []
    fleet.passes(3611)
    assert await ids(fleet, project, worker, 2) == [failed]
    fleet.passes(60)
    assert await ids(fleet, project, worker, 2) == [delayed]


async def test_a_clock_that_is_set_forward_makes_them_due(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    (task,) = await fleet.submit(project, worker, TaskFields("r", start="+60000"))

    fleet.passes(3600)

    assert await ids(fleet, project, worker, 2) == [task]
    fleet.passes(-3600)
    assert await ids(fleet, project, worker, 2) == []


async def test_the_oldest_waiting_task_may_have_votes_and_a_delayed_one_counts_from_its_time(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    (task, _) = await fleet.submit(
        project, worker, TaskFields("r", verification_count=2), TaskFields("r", start="+5000")
    )
    await fleet.take(project, worker)
    await fleet.release(project, worker, task, vote=1)

    fleet.passes(3)
    assert await fleet.store.monitoring.oldest(project) == (3, None)
    fleet.passes(5)
    assert await fleet.store.monitoring.oldest(project) == (8, 3)
