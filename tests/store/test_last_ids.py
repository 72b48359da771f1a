"""The end of a project's ids, and of its places in the queue, which are counted by the same number."""

import logging
from collections.abc import Callable

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store.task_fields import TaskFields
from broker.store.tasks import project_of
from broker.store.transfer import DUPLICATE, IMPORTED, ImportedTask
from broker.sweeper import sweep
from tests.store.conftest import Yard, new
from tests.stores import looking_into

LAST = 90_071_992_546
LAST_PLACE = 2**37 - 1


@pytest.fixture
def counted(redis_url: str, settings: Settings) -> Callable[[int, int], None]:
    """Lets a project have given this number last."""

    def counted(project: int, seq: int) -> None:
        with looking_into(redis_url) as redis:
            redis.hset(f"{settings.prefix}:{{project:{project}}}", "seq", seq)

    return counted


async def counters(yard: Yard, project: int) -> dict[str, int]:
    return (await yard.store.monitoring.stats(project)).counters


async def test_the_last_task_of_a_project_can_be_released_and_one_more_is_refused(
    yard: Yard, counted: Callable[[int, int], None]
) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    counted(project, LAST - 1)

    (last,) = await yard.submit(project, worker, new(hash64=1))
    with pytest.raises(BrokerError) as refused:
        await yard.submit(project, worker, new(hash64=2))

    assert refused.value.code == "too_large"
    assert refused.value.message.startswith("project: ")
    assert project_of(last or 0) == project
    await yard.take(project, worker)
    assert await yard.release(project, worker, last) == "closed"
    assert await counters(yard, project) == {"submitted": 1, "assigned": 1, "closed": 1}
    # Nothing of the refused task was kept: not even its hash.
    counted(project, 0)
    assert await yard.submit(project, worker, new(hash64=2)) != [None]


async def test_a_call_for_which_the_ids_are_not_enough_is_refused_whole(
    yard: Yard, counted: Callable[[int, int], None]
) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    counted(project, LAST - 3)

    for tasks, whole in ((4, None), (3, 4)):
        with pytest.raises(BrokerError, match="no ids left"):
            await yard.store.tasks.submit(project, worker, [new()] * tasks, whole=whole)
    with pytest.raises(BrokerError, match="no ids left"):
        await yard.store.tasks.submit(project, worker, [new()] * 4, whole=0)

    assert await counters(yard, project) == {}
    assert len(await yard.submit(project, worker, new(), new(), new())) == 3


async def test_an_import_for_which_the_ids_are_not_enough_brings_nothing(
    yard: Yard, counted: Callable[[int, int], None]
) -> None:
    project = await yard.project()
    tasks = [ImportedTask(n, "", 0, "", TaskFields("r", hash64=n)) for n in (1, 2, 3)]
    counted(project, LAST - 2)

    with pytest.raises(BrokerError) as refused:
        await yard.store.imports.tasks(project, "tracker", tasks)
    assert refused.value.code == "too_large"
    with pytest.raises(BrokerError, match="no ids left"):
        await yard.store.imports.tasks(project, "tracker", tasks[:1], above=LAST * 100_000 + 99_999)

    assert await counters(yard, project) == {}
    assert await yard.store.imports.tasks(project, "tracker", tasks[:2]) == [IMPORTED, IMPORTED]
    # What came before takes no ids.
    counted(project, LAST - 1)
    again = [*tasks[:2], tasks[2]._replace(fields=TaskFields("r", hash64=1))]
    assert (await yard.store.imports.tasks(project, "tracker", again))[2] == DUPLICATE


async def test_a_chain_whose_target_has_no_ids_left_waits_and_says_so_once(
    yard: Yard, counted: Callable[[int, int], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "broker.store.chain")
    target = await yard.project()
    project = await yard.project(chain=target)
    worker = await yard.worker(project, target)
    ids = await yard.submit(project, worker, *(new(f"page {n}") for n in range(3)))
    await yard.take(project, worker, 3)
    counted(target, LAST)

    for id in ids:
        assert await yard.release(project, worker, id) == "closed"
        await yard.store.chain.flush_if_possible(project)
    await sweep(yard.store)

    assert [record.message for record in caplog.records] == [
        f"the chain of project {project} waits: project: it has no ids left for new tasks; use another project"
    ]
    assert await counters(yard, target) == {}
    assert len((await yard.store.chain.outbox(project, 10))[1]) == 3

    # A number that is set back by hand is the only way on, besides deleting the target.
    counted(target, 0)
    await sweep(yard.store)
    assert [task.fields.recipe for task in await yard.take(target, worker, 3)] == ["page 0", "page 1", "page 2"]
    assert (await yard.store.chain.outbox(project, 10))[1] == []


async def test_a_deleted_project_whose_target_has_no_ids_left_waits_and_says_so_once(
    yard: Yard, counted: Callable[[int, int], None], caplog: pytest.LogCaptureFixture
) -> None:
    target = await yard.project()
    project = await yard.project(chain=target)
    worker = await yard.worker(project, target)
    (id,) = await yard.submit(project, worker, new("page"))
    await yard.take(project, worker)
    counted(target, LAST)
    await yard.release(project, worker, id)
    caplog.set_level(logging.INFO, "broker")

    await yard.store.maintenance.delete(yard.manager, project)
    for _ in range(3):
        await sweep(yard.store)
    assert ["no ids left" in record.message for record in caplog.records] == [True]

    counted(target, 0)
    await sweep(yard.store)
    assert [task.fields.recipe for task in await yard.take(target, worker)] == ["page"]
    assert await yard.store.projects.pending("deleted", 10) == []


async def test_what_goes_back_is_the_end_of_its_priority_when_the_ids_are_used_up(
    yard: Yard, counted: Callable[[int, int], None]
) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    counted(project, LAST - 4)
    ids = await yard.submit(project, worker, new(), new(), new(priority=-1), new(seconds=1))
    await yard.take(project, worker, 2)

    assert await yard.release(project, worker, ids[0], 2) == "returned"
    assert await yard.release(project, worker, ids[1], 2) == "returned"

    assert [task.id for task in await yard.take(project, worker, 4)] == [ids[3], ids[0], ids[1], ids[2]]
    yard.passes(1)
    assert await yard.store.tasks.reclaim(project, 10) == 1
    assert [task.id for task in await yard.take(project, worker)] == [ids[3]]
    assert [await yard.release(project, worker, id) for id in ids] == ["closed"] * 4


async def test_places_end_below_the_next_priority(yard: Yard, counted: Callable[[int, int], None]) -> None:
    project = await yard.project()
    worker = await yard.worker(project)
    low, *ids = await yard.submit(project, worker, *(new(priority=p) for p in (-1, 0, 0, 0)))
    await yard.take(project, worker, 3)
    counted(project, LAST_PLACE - 1)

    for id in reversed(ids):
        assert await yard.release(project, worker, id, 2) == "returned"

    # They share the last place, in the order of their ids.
    assert [task.id for task in await yard.take(project, worker, 9)] == [*ids, low]
    for id in (ids[0], low):
        assert await yard.release(project, worker, id, 2) == "returned"
    assert [task.id for task in await yard.take(project, worker, 9)] == [ids[0], low]


async def test_votes_are_asked_for_also_of_tasks_that_share_the_last_place(
    yard: Yard, counted: Callable[[int, int], None]
) -> None:
    project = await yard.project()
    one, other, third = [await yard.worker(project) for _ in range(3)]
    ids = await yard.submit(project, one, *(new(votes=2, priority=p) for p in (1, 1, 1, 0, 0, 0)))
    counted(project, LAST_PLACE)
    await yard.take(project, one, 3)
    for id in ids[:3]:
        await yard.release(project, one, id)
    await yard.take(project, other, 9)
    for id in ids[3:]:
        await yard.release(project, other, id)
    for id in ids[:3]:
        await yard.release(project, other, id, 2)

    assert [task.id for task in await yard.take(project, one, 9)] == ids[3:]
    assert [task.id for task in await yard.take(project, other, 9)] == ids[:3]
    for worker, ended in ((one, ids[3:]), (other, ids[:3])):
        assert [await yard.release(project, worker, id, 2) for id in ended] == ["returned"] * 3
    assert [task.id for task in await yard.take(project, third, 9)] == ids
