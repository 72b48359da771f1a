"""The overview of all projects: what it shows, and how it stays cheap."""

import asyncio
import gc
import time
from dataclasses import replace

import pytest

from broker.settings import Settings
from broker.store import Store, monitoring
from broker.store.shared_read import SharedRead
from tests.store.conftest import StoreFleet, new


async def test_the_oldest_waiting_task_is_found_among_the_first_of_each_priority(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)

    async def oldest() -> int | None:
        return (await fleet.store.monitoring.oldest(project)).waiting

    assert await oldest() is None
    await fleet.submit(project, worker, new(priority=-5), new(priority=-5))
    fleet.passes(60)
    await fleet.submit(project, worker, new(priority=32767), new(priority=0))
    fleet.passes(5)
    assert await oldest() == 65

    held = await fleet.take(project, worker, 3)
    assert [task.fields.priority for task in held] == [32767, 0, -5]
    # The second of the lowest priority is as old as the first was.
    assert await oldest() == 65
    await fleet.take(project, worker)
    assert await oldest() is None
    assert await fleet.release(project, worker, held[0].id, result=2) == "returned"
    assert await oldest() == 5


async def test_only_the_ten_highest_priorities_are_looked_at(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new(priority=-1))
    fleet.passes(60)
    await fleet.submit(project, worker, *(new(priority=n) for n in range(10)))

    assert (await fleet.store.monitoring.oldest(project)).waiting == 0


async def test_one_look_serves_all_who_ask_meanwhile(fleet: StoreFleet) -> None:
    for _ in range(3):
        await fleet.project()
    calls = fleet.store.metrics.calls
    before = sum(calls.total.buckets)

    looks = await asyncio.gather(*(fleet.store.overview.get() for _ in range(20)))

    assert all(look is looks[0] for look in looks)
    ids, stats, sums = 1, 3, 2
    assert sum(calls.total.buckets) - before == ids + stats + sums


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, metrics_projects=3)


async def count(fleet: StoreFleet) -> None:
    await fleet.store.counting.note()
    await fleet.store.counting.round(10)


async def test_of_more_projects_than_are_shown_those_are_that_have_most_to_do(fleet: StoreFleet) -> None:
    projects = [await fleet.project() for _ in range(6)]
    hidden = await fleet.project(hidden=True)
    worker = await fleet.worker(*projects, hidden)
    for tasks, project in enumerate([*projects, hidden]):
        await fleet.submit(project, worker, *(new() for _ in range(tasks)))
    await count(fleet)

    look = await fleet.store.overview.get()

    assert look.projects == 7
    # A hidden one takes no place of those that everybody may see.
    assert [count.project.id for count in look.counts] == [hidden, *projects[:2:-1]]
    assert [count.stats.waiting for count in look.counts] == [6, 5, 4, 3]
    assert (look.shown.waiting, look.hidden.waiting) == (15, 6)
    assert (look.shown.counters, look.hidden.counters) == ({"submitted": 15}, {"submitted": 6})


async def test_sums_follow_a_project_that_is_hidden_shown_or_deleted(fleet: StoreFleet) -> None:
    project, other = await fleet.project(), await fleet.project()
    worker = await fleet.worker(project, other)
    for each in (project, other):
        await fleet.submit(each, worker, new(), new())

    async def sums() -> list[tuple[int, int]]:
        await count(fleet)
        look = await fleet.store.overview.get()
        return [(stats.waiting, stats.counters.get("submitted", 0)) for stats in (look.shown, look.hidden)]

    assert await sums() == [(4, 4), (0, 0)]
    await fleet.store.projects.update(fleet.manager, project, {"hidden": True})
    assert await sums() == [(2, 2), (2, 2)]
    await fleet.submit(project, worker, new())
    assert await sums() == [(2, 2), (3, 3)]
    await fleet.store.projects.update(fleet.manager, project, {"hidden": False})
    assert await sums() == [(5, 5), (0, 0)]
    await fleet.store.maintenance.delete(fleet.manager, project)
    # A total never goes back.
    assert await sums() == [(2, 5), (0, 0)]


async def test_the_sums_tell_states_from_totals_of_the_same_name(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, *(new() for _ in range(10)))
    for task in await fleet.take(project, worker, 5):
        await fleet.release(project, worker, task.id, result=1)
    await fleet.store.maintenance.run(project, "reset_failed")
    await fleet.take(project, worker, 3)
    await count(fleet)

    sums = await fleet.store.overview.sum(hidden=False)

    assert (sums.waiting, sums.assigned, sums.failed) == (7, 3, 0)
    assert (sums.counters["assigned"], sums.counters["failed"]) == (8, 5)
    assert sums == await fleet.store.monitoring.stats(project)


async def test_an_answer_is_never_older_than_its_question(fleet: StoreFleet) -> None:
    for known in range(3):
        assert (await fleet.store.overview.get()).projects == known
        await fleet.project()


async def test_a_look_tells_how_full_the_store_is(store: Store) -> None:
    memory = (await store.overview.get()).memory

    assert memory is not None
    assert memory.used > 1 << 20


def test_of_several_servers_the_fullest_counts() -> None:
    def info(used: int, limit: int) -> str:
        return f"# Memory\r\nused_memory:{used}\r\nmaxmemory:{limit}\r\nmem_allocator:jemalloc-5.3\r\n"

    assert monitoring.fullest([info(50, 100), info(9, 10), info(500, 1000)]) == (9, 10)
    assert monitoring.fullest([info(50, 0), info(70, 0)]) == (70, 0)
    assert monitoring.fullest([]) is None


async def test_recent_snapshots_are_kept_for_twenty_seconds_and_no_longer(
    fleet: StoreFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects = [await fleet.project() for _ in range(3)]

    def kept() -> int:
        gc.collect()
        return sum(isinstance(one, SharedRead) for one in gc.get_objects())

    before = kept()
    for second in range(0, 200, 10):
        monkeypatch.setattr(time, "time", lambda now=second: 1_700_000_000 + now)
        for project in projects:
            assert await fleet.store.monitoring.recent(project, 7200) == []

    assert kept() == before + len(projects)
