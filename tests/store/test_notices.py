"""When a project's events happen, and that each is sent at least once: by the store's clock, which the test moves."""

import pytest

from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.notices import Notice
from broker.store.tasks import FAIL, SKIP
from broker.sweeper import sweep
from tests.store.conftest import NOON, StoreFleet, new

URL = "https://example.org/events"


async def taken(fleet: StoreFleet, store: Store | None = None) -> list[Notice]:
    """What a sweep has found to be sent now."""
    store = store or fleet.store
    await sweep(store)
    found = []
    while not store.notices.taken.empty():
        found.append(store.notices.taken.get_nowait())
    return found


async def told(fleet: StoreFleet) -> list[str]:
    """The events of a sweep, all of which are sent."""
    found = await taken(fleet)
    for notice in found:
        await fleet.store.notices.sent(notice)
    return [notice.event for notice in found]


async def work(fleet: StoreFleet, project: int, worker: int, result: int = 0) -> None:
    (task,) = await fleet.take(project, worker)
    await fleet.release(project, worker, task.id, result)


async def test_a_project_is_finished_when_nothing_is_left_after_something_was(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL)
    worker = await fleet.worker(project)
    assert await told(fleet) == []

    await fleet.submit(project, worker, new(), new(votes=2), new()._replace(start="+60000"))
    assert await told(fleet) == []
    for _ in range(2):
        await work(fleet, project, worker)
        assert await told(fleet) == []
    other = await fleet.worker(project)
    await work(fleet, project, other)
    # The delayed one is left.
    assert await told(fleet) == []
    fleet.passes(60)
    (task,) = await fleet.take(project, worker)
    assert await told(fleet) == []
    await fleet.release(project, worker, task.id)

    (notice,) = await taken(fleet)
    assert (notice.event, notice.project, notice.time, notice.tries) == ("finished", project, NOON // 1000 + 60, 0)
    assert notice.stats == {
        **dict.fromkeys(("waiting", "verifying", "delayed", "assigned", "failed"), 0),
        "counters": {"submitted": 3, "assigned": 4, "voted": 2, "closed": 3},
    }
    await fleet.store.notices.sent(notice)
    assert await told(fleet) == []


async def test_what_comes_and_goes_between_two_looks_is_finished_all_the_same(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL)
    worker = await fleet.worker(project)

    for _ in range(2):
        await fleet.submit(project, worker, new())
        await work(fleet, project, worker)
        assert await told(fleet) == ["finished"]
        assert await told(fleet) == []
    # Failed tasks are not waiting; when they are retried, something is again.
    await fleet.submit(project, worker, new())
    await work(fleet, project, worker, FAIL)
    assert await told(fleet) == ["finished"]
    await fleet.store.maintenance.run(project, "reset_failed")
    assert await told(fleet) == []
    await work(fleet, project, worker)
    assert await told(fleet) == ["finished"]


async def test_tasks_that_maintenance_puts_back_are_not_finished_meanwhile(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    await fleet.take(project, worker)
    await fleet.store.maintenance.begin_drain(project, "reclaim_assigned")

    await fleet.store.notices.take(project)
    assert fleet.store.notices.taken.empty()
    assert await told(fleet) == []
    await work(fleet, project, worker)
    assert await told(fleet) == ["finished"]


async def test_what_was_before_there_was_a_url_does_not_count(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_failed=1)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new(), new())
    await work(fleet, project, worker, FAIL)
    await work(fleet, project, worker)

    await fleet.store.projects.update(fleet.manager, project, {"notify_url": URL})
    assert await told(fleet) == []
    await fleet.store.projects.update(fleet.manager, project, {"notify_url": ""})
    await fleet.submit(project, worker, new())
    await work(fleet, project, worker)
    await fleet.store.projects.update(fleet.manager, project, {"notify_url": URL})
    assert await told(fleet) == []

    await fleet.store.projects.update(fleet.manager, project, {"notify_url": ""})
    await fleet.submit(project, worker, new())
    await fleet.store.projects.update(fleet.manager, project, {"notify_url": URL})
    assert await told(fleet) == []
    await work(fleet, project, worker)
    assert await told(fleet) == ["finished"]


async def test_another_url_takes_over_what_is_not_finished(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    await fleet.store.projects.update(fleet.manager, project, {"notify_url": URL + "/2", "notify_failed": 3})
    await work(fleet, project, worker)

    assert await told(fleet) == ["finished"]


async def test_it_is_failing_each_time_that_so_many_tasks_have_failed(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL, notify_failed=3)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[new()] * 12)
    told_after = []
    for _ in range(7):
        await work(fleet, project, worker, FAIL)
        told_after.append(await told(fleet))
    assert told_after == [[], [], ["failing"], [], [], ["failing"], []]

    for _ in range(4):
        await work(fleet, project, worker, FAIL)
    assert await told(fleet) == ["failing"]
    assert await told(fleet) == []


async def test_it_is_stalled_when_something_waits_and_nothing_is_assigned(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL, notify_stalled=60)
    worker = await fleet.worker(project)
    fleet.passes(3600)
    await fleet.submit(project, worker, new(), new())
    # It waits from now on, whatever was before.
    assert await told(fleet) == []
    fleet.passes(50)
    await fleet.take(project, worker)
    assert await told(fleet) == []
    fleet.passes(59)
    assert await told(fleet) == []
    fleet.passes(1)
    assert await told(fleet) == ["stalled"]
    fleet.passes(600)
    assert await told(fleet) == []

    (task,) = await fleet.take(project, worker)
    await fleet.release(project, worker, task.id, SKIP)
    assert await told(fleet) == []
    fleet.passes(60)
    assert await told(fleet) == ["stalled"]


async def test_nothing_is_stalled_while_nothing_waits(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL, notify_stalled=60)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new(), new()._replace(start="+3000000"))
    assert await told(fleet) == []
    await fleet.take(project, worker)
    for _ in range(3):
        fleet.passes(100)
        assert await told(fleet) == []


async def test_groups_that_rest_for_too_long_are_stalled(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL, notify_stalled=60, group_delay=3600)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *[new()._replace(group="a")] * 2)
    await fleet.take(project, worker)
    assert await told(fleet) == []
    fleet.passes(60)

    assert await told(fleet) == ["stalled"]


async def test_an_event_that_could_not_be_sent_is_tried_again_for_a_day(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    await work(fleet, project, worker)
    (first,) = await taken(fleet)

    waits, notice, begun = [], first, fleet.now
    while notice.tries >= 0:
        await fleet.store.notices.failed(notice)
        since, found = fleet.now, list[Notice]()
        while not found:
            # The directory knows when to look at it again.
            _, wait = await fleet.store.active.take(0)
            fleet.passes(max(wait or 0, 0.001))
            found = await taken(fleet)
        waits.append((fleet.now - since) / 1000)
        (notice,) = found
        assert (notice.id, notice.event, notice.time) == (first.id, "finished", first.time)
        assert notice.tries in {-1, len(waits)}
    assert waits[:4] == pytest.approx([1, 2, 4, 8], abs=0.1)
    assert max(waits) == pytest.approx(3600, abs=2)
    assert 86_400 <= (fleet.now - begun) / 1000 < 86_400 + 3602
    assert await taken(fleet) == []


async def test_an_event_that_a_process_took_and_never_sent_is_taken_by_another(
    fleet: StoreFleet, settings: Settings
) -> None:
    project = await fleet.project(notify_url=URL)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    await work(fleet, project, worker)
    (lost,) = await taken(fleet)

    other = open_store(settings)
    try:
        other.set_clock(fleet.now)
        assert await taken(fleet, other) == []
        fleet.passes(60)
        other.set_clock(fleet.now)
        assert await taken(fleet, other) == [lost]
        await other.notices.sent(lost)
        fleet.passes(60)
        assert await taken(fleet) == []
    finally:
        await other.close()


async def test_a_hundred_events_are_kept_and_the_next_one_happens_when_there_is_room(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL)
    worker = await fleet.worker(project)
    found: list[Notice] = []
    for _ in range(103):
        await fleet.submit(project, worker, new())
        await work(fleet, project, worker)
        found += await taken(fleet)
    assert len({notice.id for notice in found}) == len(found) == 100

    for notice in found[:5]:
        await fleet.store.notices.sent(notice)
    assert [notice.event for notice in await taken(fleet)] == ["finished"]


async def test_a_full_process_leaves_events_to_others(fleet: StoreFleet) -> None:
    projects = [await fleet.project(notify_url=URL) for _ in range(103)]
    worker = await fleet.worker(*projects)
    for project in projects:
        await fleet.submit(project, worker, new())
        await work(fleet, project, worker)
    assert len(await taken(fleet)) == 100
    assert len(await taken(fleet)) == 3


async def test_without_a_url_and_without_the_project_nothing_is_left(fleet: StoreFleet) -> None:
    for ends in ("url", "project"):
        project = await fleet.project(notify_url=URL, name=ends)
        worker = await fleet.worker(project)
        await fleet.submit(project, worker, new())
        await work(fleet, project, worker)
        (notice,) = await taken(fleet)
        if ends == "url":
            await fleet.store.projects.update(fleet.manager, project, {"notify_url": ""})
        else:
            await fleet.store.maintenance.delete(fleet.manager, project)
        fleet.passes(60)
        assert await taken(fleet) == []
        await fleet.store.notices.failed(notice)
        fleet.passes(3600)
        assert await taken(fleet) == []


async def test_a_clock_that_is_set_back_stalls_nothing_at_once(fleet: StoreFleet) -> None:
    project = await fleet.project(notify_url=URL, notify_stalled=60)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    assert await told(fleet) == []
    fleet.passes(-3600)
    assert await told(fleet) == []
    fleet.passes(59)
    assert await told(fleet) == []
    fleet.passes(1)
    assert await told(fleet) == ["stalled"]
