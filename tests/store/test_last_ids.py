"""The end of a project's ids, and of its places in the queue."""

import logging
from collections.abc import Callable

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store.task_fields import TaskFields
from broker.store.tasks import project_of
from broker.store.transfer import DUPLICATE, IMPORTED, ImportedTask
from broker.sweeper import sweep
from tests.store.conftest import StoreFleet, new
from tests.stores import looking_into

LAST = 90_071_992_546
LAST_PLACE = 2**37 - 1


@pytest.fixture
def counted(redis_url: str, settings: Settings) -> Callable[[int, int], None]:
    """Lets a project have given this number last, as an id and as a place."""

    def counted(project: int, seq: int) -> None:
        with looking_into(redis_url) as redis:
            redis.hset(f"{settings.prefix}:{{project:{project}}}", mapping={"seq": seq, "place": seq})

    return counted


async def counters(fleet: StoreFleet, project: int) -> dict[str, int]:
    return (await fleet.store.monitoring.stats(project)).counters


async def test_the_last_task_of_a_project_can_be_released_and_one_more_is_refused(
    fleet: StoreFleet, counted: Callable[[int, int], None]
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    counted(project, LAST - 1)

    (last,) = await fleet.submit(project, worker, new(hash64=1))
    with pytest.raises(BrokerError) as refused:
        await fleet.submit(project, worker, new(hash64=2))

    assert refused.value.code == "too_large"
    assert refused.value.message.startswith("project: ")
    assert project_of(last or 0) == project
    await fleet.take(project, worker)
    assert await fleet.release(project, worker, last) == "closed"
    assert await counters(fleet, project) == {"submitted": 1, "assigned": 1, "closed": 1}
    # Nothing of the refused task was kept: not even its hash.
    counted(project, 0)
    assert await fleet.submit(project, worker, new(hash64=2)) != [None]


async def test_a_call_for_which_the_ids_are_not_enough_is_refused_whole(
    fleet: StoreFleet, counted: Callable[[int, int], None]
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    counted(project, LAST - 3)

    for tasks, whole in ((4, None), (3, 4)):
        with pytest.raises(BrokerError, match="no ids left"):
            await fleet.store.tasks.submit(project, worker, [new()] * tasks, whole=whole)
    with pytest.raises(BrokerError, match="no ids left"):
        await fleet.store.tasks.submit(project, worker, [new()] * 4, whole=0)

    assert await counters(fleet, project) == {}
    assert len(await fleet.submit(project, worker, new(), new(), new())) == 3


async def test_an_import_for_which_the_ids_are_not_enough_brings_nothing(
    fleet: StoreFleet, counted: Callable[[int, int], None]
) -> None:
    project = await fleet.project()
    tasks = [ImportedTask(n, "", (0, 0, 1), "", TaskFields("r", hash64=n)) for n in (1, 2, 3)]
    counted(project, LAST - 2)

    with pytest.raises(BrokerError) as refused:
        await fleet.store.imports.tasks(project, "tracker", tasks)
    assert refused.value.code == "too_large"
    with pytest.raises(BrokerError, match="no ids left"):
        await fleet.store.imports.tasks(project, "tracker", tasks[:1], above=LAST * 100_000 + 99_999)

    assert await counters(fleet, project) == {}
    assert await fleet.store.imports.tasks(project, "tracker", tasks[:2]) == [IMPORTED, IMPORTED]
    # What came before takes no ids.
    counted(project, LAST - 1)
    again = [*tasks[:2], tasks[2]._replace(fields=TaskFields("r", hash64=1))]
    assert (await fleet.store.imports.tasks(project, "tracker", again))[2] == DUPLICATE


async def test_a_chain_whose_target_has_no_ids_left_waits_and_says_so_once(
    fleet: StoreFleet, counted: Callable[[int, int], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "broker.store.chain")
    target = await fleet.project()
    project = await fleet.project(chain=target)
    worker = await fleet.worker(project, target)
    ids = await fleet.submit(project, worker, *(new(f"page {n}") for n in range(3)))
    await fleet.take(project, worker, 3)
    counted(target, LAST)

    for id in ids:
        assert await fleet.release(project, worker, id) == "closed"
        await fleet.store.chain.flush_if_possible(project)
    await sweep(fleet.store)

    assert [record.message for record in caplog.records] == [
        f"the chain of project {project} waits: project: it has no ids left for new tasks; use another project"
    ]
    assert await counters(fleet, target) == {}
    assert len((await fleet.store.chain.outbox(project, 10))[1]) == 3

    # A number that is set back by hand is the only way on, besides deleting the target.
    counted(target, 0)
    await sweep(fleet.store)
    assert [task.fields.recipe for task in await fleet.take(target, worker, 3)] == ["page 0", "page 1", "page 2"]
    assert (await fleet.store.chain.outbox(project, 10))[1] == []


async def test_a_deleted_project_whose_target_has_no_ids_left_waits_and_says_so_once(
    fleet: StoreFleet, counted: Callable[[int, int], None], caplog: pytest.LogCaptureFixture
) -> None:
    target = await fleet.project()
    project = await fleet.project(chain=target)
    worker = await fleet.worker(project, target)
    (id,) = await fleet.submit(project, worker, new("page"))
    await fleet.take(project, worker)
    counted(target, LAST)
    await fleet.release(project, worker, id)
    caplog.set_level(logging.INFO, "broker")

    await fleet.store.maintenance.delete(fleet.manager, project)
    for _ in range(3):
        await sweep(fleet.store)
    assert ["no ids left" in record.message for record in caplog.records] == [True]

    counted(target, 0)
    await sweep(fleet.store)
    assert [task.fields.recipe for task in await fleet.take(target, worker)] == ["page"]
    assert await fleet.store.projects.pending("deleted", 10) == []


async def test_what_goes_back_is_the_end_of_its_priority_when_the_ids_are_used_up(
    fleet: StoreFleet, counted: Callable[[int, int], None]
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    counted(project, LAST - 4)
    ids = await fleet.submit(project, worker, new(), new(), new(priority=-1), new(seconds=1))
    await fleet.take(project, worker, 2)

    assert await fleet.release(project, worker, ids[0], 2) == "returned"
    assert await fleet.release(project, worker, ids[1], 2) == "returned"

    assert [task.id for task in await fleet.take(project, worker, 4)] == [ids[3], ids[0], ids[1], ids[2]]
    fleet.passes(1)
    assert await fleet.store.tasks.reclaim(project, 10) == 1
    assert [task.id for task in await fleet.take(project, worker)] == [ids[3]]
    assert [await fleet.release(project, worker, id) for id in ids] == ["closed"] * 4


async def test_places_end_below_the_next_priority(fleet: StoreFleet, counted: Callable[[int, int], None]) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    low, *ids = await fleet.submit(project, worker, *(new(priority=p) for p in (-1, 0, 0, 0)))
    await fleet.take(project, worker, 3)
    counted(project, LAST_PLACE - 1)

    for id in reversed(ids):
        assert await fleet.release(project, worker, id, 2) == "returned"

    # They share the last place, in the order of their ids.
    assert [task.id for task in await fleet.take(project, worker, 9)] == [*ids, low]
    for id in (ids[0], low):
        assert await fleet.release(project, worker, id, 2) == "returned"
    assert [task.id for task in await fleet.take(project, worker, 9)] == [ids[0], low]


async def test_votes_are_asked_for_also_of_tasks_that_share_the_last_place(
    fleet: StoreFleet, counted: Callable[[int, int], None]
) -> None:
    project = await fleet.project()
    one, other, third = [await fleet.worker(project) for _ in range(3)]
    ids = await fleet.submit(project, one, *(new(votes=2, priority=p) for p in (1, 1, 1, 0, 0, 0)))
    counted(project, LAST_PLACE)
    await fleet.take(project, one, 3)
    for id in ids[:3]:
        await fleet.release(project, one, id)
    await fleet.take(project, other, 9)
    for id in ids[3:]:
        await fleet.release(project, other, id)
    for id in ids[:3]:
        await fleet.release(project, other, id, 2)

    assert [task.id for task in await fleet.take(project, one, 9)] == ids[3:]
    assert [task.id for task in await fleet.take(project, other, 9)] == ids[:3]
    for worker, ended in ((one, ids[3:]), (other, ids[:3])):
        assert [await fleet.release(project, worker, id, 2) for id in ended] == ["returned"] * 3
    assert [task.id for task in await fleet.take(project, third, 9)] == ids
