"""What the directory knows of the projects that have something to do, whatever dies in between."""

import random

import pytest

from broker.settings import Settings
from broker.store import Store
from broker.store.task_fields import TaskFields
from broker.sweeper import ROUND, go_round, look, sweep
from tests.faults.dying_process import dies
from tests.store.conftest import StoreFleet, new


async def candidates(fleet: StoreFleet, worker: int) -> list[int]:
    return [one.project async for page in fleet.store.active.candidates(worker) for one in page]


async def test_a_get_of_any_project_asks_those_that_have_tasks_for_the_worker_the_best_first(fleet: StoreFleet) -> None:
    low, high, empty, secret = [await fleet.project(priority=n) for n in (1, 7, 9, 8)]
    public = await fleet.project(priority=3, public=True)
    worker, other = await fleet.worker(low, high, empty), await fleet.worker(secret, public)
    for project, who in ((low, worker), (high, worker), (secret, other), (public, other)):
        await fleet.submit(project, who, new())

    assert await candidates(fleet, worker) == [high, public, low]
    assert await candidates(fleet, other) == [secret, public]

    await fleet.store.projects.update(None, high, {"paused": True})
    await fleet.store.projects.update(None, low, {"priority": 5})
    assert await candidates(fleet, worker) == [low, public]
    await fleet.store.projects.update(None, high, {"paused": False})
    assert await candidates(fleet, worker) == [high, low, public]


async def test_a_worker_with_access_to_many_projects_finds_those_with_tasks_page_by_page(fleet: StoreFleet) -> None:
    projects = [await fleet.project(priority=n) for n in range(520)]
    worker = await fleet.worker(*projects)
    for project in projects:
        await fleet.submit(project, worker, new())

    assert await candidates(fleet, worker) == projects[::-1]


async def test_a_project_whose_tasks_are_all_held_is_asked_again_once_one_comes_back(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    (task,) = await fleet.take(project, worker)

    await fleet.store.active.found_nothing(project)
    assert await candidates(fleet, worker) == []

    assert await fleet.release(project, worker, task.id, 2) == "returned"
    assert await candidates(fleet, worker) == [project]


async def test_a_project_is_a_candidate_from_the_moment_on_at_which_a_delayed_task_may_be_had(
    fleet: StoreFleet,
) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, TaskFields("r", start="+60000"))
    await sweep(fleet.store)
    fleet.passes(59)
    assert await candidates(fleet, worker) == []

    fleet.passes(1)
    assert await candidates(fleet, worker) == [project]


async def test_a_note_that_comes_late_changes_nothing(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    epoch = await latest_epoch(fleet.store, project)
    (task,) = await fleet.take(project, worker)
    await fleet.release(project, worker, task.id)
    await fleet.store.active.look(project)
    assert await candidates(fleet, worker) == []

    await fleet.store.active.note(project, epoch)

    assert await candidates(fleet, worker) == []


async def test_a_rate_that_was_used_up_is_known_until_it_lets_one_through_or_changes(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    active = fleet.store.active

    async def limited() -> bool:
        return [[one.limit is not None for one in page] async for page in active.candidates(worker)] == [[True]]

    (found,) = [one async for page in active.candidates(worker) for one in page]
    active.limit(found, 1000)
    assert await limited()

    await fleet.store.projects.update(None, project, {"assign_rate": 5.0})
    assert not await limited()


async def test_a_project_that_has_nothing_to_do_is_looked_at_no_more(fleet: StoreFleet, settings: Settings) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    (task,) = await fleet.take(project, worker)
    await fleet.release(project, worker, task.id)
    for _ in range(3):
        # The last of them takes a last snapshot.
        await look(fleet.store, 1)
        fleet.passes(settings.snapshot_interval)
        await look(fleet.store, 1)

    fleet.passes(1_000_000)
    assert await fleet.store.active.take(10) == ([], None)
    snapshots = [one async for one in fleet.store.monitoring.snapshots(project, None, None)]
    assert snapshots[0].closed == 1


async def test_the_slow_round_comes_to_every_project(fleet: StoreFleet) -> None:
    projects = [await fleet.project() for _ in range(2 * ROUND + 3)]

    seen = [await fleet.store.active.next_of_round(ROUND) for _ in range(4)]

    assert {project for some in seen for project in some} == set(projects)


@pytest.mark.parametrize("seed", range(12))
async def test_after_any_crash_a_round_finds_each_project_with_something_to_do(
    fleet: StoreFleet, settings: Settings, seed: int
) -> None:
    choose = random.Random(seed)
    projects = [await fleet.project(retry_delay=float(n)) for n in range(3)]
    worker = await fleet.worker(*projects)

    async def step(store: Store) -> None:
        project = choose.choice(projects)
        match choose.randrange(6):
            case 0:
                await store.tasks.submit(project, worker, [TaskFields("r", start=choose.choice(["", "", "+2000"]))])
            case 1:
                await store.tasks.assign(project, worker, choose.randint(1, 2), choose.choice([1, 100]))
            case 2:
                _, held = await store.tasks.held(project, worker, "0", 10)
                for task in held.tasks[:1]:
                    await store.tasks.release(project, worker, [(task.id, choose.choice([0, 1, 2]), 0)])
            case 3:
                await store.active.found_nothing(project)
            case 4:
                await store.maintenance.run(project, choose.choice(["reset_failed", "reclaim_assigned"]))
            case _:
                await look(store, 1)

    async def step_now(dying: Store) -> None:
        dying.set_clock(fleet.now)
        await step(dying)

    for n in range(80):
        if choose.random() < 0.5:
            await dies(settings, choose.randint(0, 4), step_now)
        else:
            await step(fleet.store)
        fleet.passes(choose.choice([0, 0, 0.5, 3]))
        if n % 10 == 9:
            await go_round(fleet.store)
            await the_directory_knows_all(fleet, projects)


async def the_directory_knows_all(fleet: StoreFleet, projects: list[int]) -> None:
    active, _ = await fleet.store.active.ids()
    waiting, live = set[int](), set[int]()
    for project in projects:
        stats = await fleet.store.monitoring.stats(project)
        if stats.waiting:
            waiting.add(project)
        if stats.waiting or stats.assigned or stats.delayed:
            live.add(project)
    assert active == waiting
    fleet.passes(5)
    taken = (await fleet.store.active.take(10))[0]
    assert live <= set(taken)


async def latest_epoch(store: Store, project: int) -> int:
    return int(await store.calls.command("HGET", f"{store.keys.directory[0]}:epochs", project))
