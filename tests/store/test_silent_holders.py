"""Workers that hold tasks and have not been here for a while."""

from tests.store.conftest import StoreFleet, new


async def test_those_are_counted_that_hold_tasks_and_the_last_that_was_here_is_named(fleet: StoreFleet) -> None:
    store, project = fleet.store, await fleet.project()
    first, second, idle, alive = [await fleet.worker(project) for _ in range(4)]

    async def silent() -> tuple[int, int, int | None]:
        await store.counting.note()
        await store.counting.round(10)
        found = await store.worker_stats.silent_holders(fleet.now / 1000 - 300)
        return found.workers, found.tasks, found.last and found.last.worker.id

    async def here(*workers: int) -> None:
        for worker in workers:
            store.presence.note(worker, b"")
        await store.presence.write()

    fleet.passes(0)
    await fleet.submit(project, first, *(new() for _ in range(9)))
    for worker, count in ((first, 3), (alive, 4)):
        await fleet.take(project, worker, count)
    held = await fleet.take(project, second, 2)
    assert await silent() == (0, 0, None)
    await here(first)
    fleet.passes(120)
    await here(second, idle)
    fleet.passes(240)
    await here(alive)

    assert await silent() == (1, 3, first)
    fleet.passes(120)
    assert await silent() == (2, 5, second)
    for task in held:
        await fleet.release(project, second, task.id)
    assert await silent() == (1, 3, first)
