"""A process dies between two calls of the store, at each place where it can. The sweeper must then repair it."""

import random
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import pytest

from broker.errors import BrokerError
from broker.settings import Settings
from broker.store import Store
from broker.store.maintenance import Matching
from broker.store.project_tasks import TaskFilter
from broker.store.redis.keys import Keys
from broker.store.task_fields import TaskFields
from broker.sweeper import sweep
from tests.faults.dying_process import dies
from tests.stores import keys_like, looking_into

ENOUGH = 7
"""More calls than any operation below makes, except the deletion of a project."""


async def cut_short(settings: Settings, calls: int, doing: Callable[[Store], Awaitable[object]]) -> bool:
    """Whether it was; the last of the ENOUGH is not."""
    cut = await dies(settings, calls, doing)
    assert not cut or calls < ENOUGH - 1
    return cut


def task(recipe: str = "r", hash64: int | str = "", votes: int = 1) -> TaskFields:
    return TaskFields(recipe, verification_count=votes, hash64=hash64)


async def a_manager(store: Store) -> int:
    return (await store.managers.register("boss", "a long password", open_to_all=True)).id


async def a_project(store: Store, manager: int, name: str, *workers: int, **fields: Any) -> int:
    project = await store.projects.create(manager, {"name": name, **fields})
    for worker in workers:
        await store.workers.request_access(project, worker, assign=True, submit=True)
        await store.workers.grant(project, worker)
    return project


@pytest.mark.parametrize("calls", range(ENOUGH))
async def test_a_project_that_is_made_reaches_its_scripts(store: Store, settings: Settings, calls: int) -> None:
    manager = await a_manager(store)

    cut = await cut_short(settings, calls, lambda dying: dying.projects.create(manager, {"name": "p", "public": True}))
    await sweep(store)

    ids = [project async for project, _, _ in store.projects.ids()]
    assert len(ids) == (0 if cut and calls == 0 else 1)
    for project in ids:
        assert (await store.tasks.assign(project, 1, 1, 60)).revision == 1
    assert await store.projects.pending("unpushed", 10) == []
    assert cut is (calls < 6)


@pytest.mark.parametrize("calls", range(ENOUGH))
async def test_a_change_of_a_project_reaches_its_scripts(store: Store, settings: Settings, calls: int) -> None:
    project = await a_project(store, manager := await a_manager(store), "p", public=True)

    cut = await cut_short(settings, calls, lambda dying: dying.projects.update(manager, project, {"paused": True}))
    await sweep(store)

    decided = (await store.projects.get(project)).fields["paused"] == "1"
    assert decided is not (cut and calls == 0)
    if decided:
        with pytest.raises(BrokerError, match="paused"):
            await store.tasks.assign(project, 1, 1, 60)


@pytest.mark.parametrize("calls", range(ENOUGH))
async def test_a_worker_that_was_granted_access_finds_the_project(store: Store, settings: Settings, calls: int) -> None:
    worker = (await store.workers.create("w"))[0].id
    project = await a_project(store, await a_manager(store), "p")
    await store.workers.request_access(project, worker, assign=True, submit=True)

    await cut_short(settings, calls, lambda dying: dying.workers.grant(project, worker))

    if await store.workers.access(project, worker):
        assert await store.workers.projects(worker) == {project}
    await store.workers.grant(project, worker)
    assert await store.workers.access(project, worker) == "assign,submit"


@pytest.mark.parametrize("calls", range(ENOUGH))
async def test_workers_that_are_accepted_together_find_the_project(
    store: Store, settings: Settings, calls: int
) -> None:
    workers = [(await store.workers.create("w"))[0].id for _ in range(3)]
    project = await a_project(store, await a_manager(store), "p")
    for worker in workers:
        await store.workers.request_access(project, worker, assign=True, submit=False)

    cut = await cut_short(settings, calls, lambda dying: dying.joining.accept_all(project))

    for worker in workers:
        if await store.workers.access(project, worker):
            assert await store.workers.projects(worker) == {project}
    assert await store.joining.accept_all(project) == (3 if cut and calls < 4 else 0)
    assert {await store.workers.access(project, worker) for worker in workers} == {"assign"}


@pytest.mark.parametrize("calls", range(ENOUGH))
async def test_a_worker_that_joins_with_a_token_finds_the_project_and_takes_one_use(
    store: Store, settings: Settings, calls: int
) -> None:
    worker = (await store.workers.create("w"))[0].id
    project = await a_project(store, await a_manager(store), "p")
    _, token = await store.joining.create_token(project, assign=True, submit=False, uses=1)

    await cut_short(settings, calls, lambda dying: dying.joining.join(project, worker, token, "192.0.2.1"))

    (left,) = await store.joining.tokens(project)
    has = await store.workers.access(project, worker)
    assert (has, left.uses_left) == (("assign", 0) if calls > 3 else ("", 1))
    if has:
        assert await store.workers.projects(worker) == {project}
    # The worker asks again.
    assert await store.joining.join(project, worker, token, "192.0.2.1") == "assign"
    assert await store.workers.projects(worker) == {project}
    assert (await store.joining.tokens(project))[0].uses_left == 0


@pytest.mark.parametrize("calls", range(ENOUGH))
async def test_a_closed_task_reaches_the_chained_project_once(store: Store, settings: Settings, calls: int) -> None:
    worker = (await store.workers.create("w"))[0].id
    target = await a_project(store, manager := await a_manager(store), "target", worker)
    source = await a_project(store, manager, "source", worker, chain=target)
    (id,) = await store.tasks.submit(source, worker, [task("crawl", 7)])
    await store.tasks.assign(source, worker, 1, 60)

    async def release(dying: Store) -> None:
        await dying.tasks.release(source, worker, [(id or 0, 0, 0)])
        await dying.chain.flush(source)

    cut = await cut_short(settings, calls, release)
    await sweep(store)
    await sweep(store)

    arrived = (await store.tasks.assign(target, worker, 10, 60)).tasks
    assert [one.fields.recipe for one in arrived] == ([] if cut and calls == 0 else ["crawl"])


async def test_flushes_that_die_anywhere_and_overlap_deliver_each_task_once(store: Store, settings: Settings) -> None:
    worker = (await store.workers.create("w"))[0].id
    manager = await a_manager(store)
    targets = [await a_project(store, manager, f"target {n}", worker) for n in range(2)]
    source = await a_project(store, manager, "source", worker)
    choose = random.Random(7)
    expected: dict[int, list[str]] = {target: [] for target in targets}

    for step in range(150):
        target = choose.choice(targets)
        await store.projects.update(manager, source, {"chain": target})
        recipes = [f"{step}-{n}" for n in range(choose.randint(1, 4))]
        await store.tasks.submit(source, worker, [task(recipe) for recipe in recipes])
        held = (await store.tasks.assign(source, worker, 10, 60)).tasks
        await store.tasks.release(source, worker, [(one.id, 0, 0) for one in held])
        expected[target] += recipes
        for _ in range(choose.randint(0, 2)):
            await dies(settings, choose.randint(0, 5), lambda dying: dying.chain.flush(source))
    await store.chain.flush(source)

    for target in targets:
        arrived: list[str] = []
        while chunk := (await store.tasks.assign(target, worker, 500, 60)).tasks:
            arrived += [one.fields.recipe for one in chunk]
        assert arrived == expected[target]


@pytest.mark.parametrize("calls", range(12))
async def test_a_deleted_project_is_gone_from_everywhere(
    store: Store, settings: Settings, redis_url: str, calls: int
) -> None:
    worker = (await store.workers.create("w"))[0].id
    project = await a_project(store, manager := await a_manager(store), "p", worker)
    source = await a_project(store, manager, "source", worker, chain=project)
    await store.tasks.submit(project, worker, [task(hash64=n) for n in range(3)])
    await store.tasks.assign(project, worker, 1, 60)
    await store.joining.create_token(project, assign=True, submit=True)
    await store.workers.request_access(
        project, other := (await store.workers.create("w"))[0].id, assign=True, submit=True
    )
    await store.workers.revoke(project, other)

    cut = await dies(settings, calls, lambda dying: dying.maintenance.delete(manager, project))
    await sweep(store)

    if cut and calls == 0:
        assert (await store.monitoring.stats(project)).waiting == 2
        return
    assert not await store.projects.exists(project)
    assert (await store.projects.get(source)).fields["chain"] == "0"
    assert await store.projects.pending("deleted", 10) == []
    with looking_into(redis_url) as redis:
        assert keys_like(redis, f"{settings.prefix}:{{project:{project}}}*") == [
            f"{settings.prefix}:{{project:{project}}}"
        ]
        assert 0 < redis.ttl(f"{settings.prefix}:{{project:{project}}}") <= 86_400
    assert await a_project(store, manager, "p") > source


@pytest.mark.parametrize("calls", range(9))
async def test_a_deleted_worker_holds_nothing_anywhere(
    store: Store, settings: Settings, redis_url: str, calls: int
) -> None:
    workers = [(await store.workers.create("w"))[0].id for _ in range(2)]
    leaving, other = workers
    manager = await a_manager(store)
    granted, asked = await a_project(store, manager, "p", *workers), await a_project(store, manager, "q", other)
    await store.tasks.submit(granted, other, [task() for _ in range(3)])
    for worker in workers:
        await store.tasks.assign(granted, worker, 1, 60)
    await store.workers.request_access(asked, leaving, assign=True, submit=True)

    cut = await dies(settings, calls, lambda dying: dying.worker_deletion.delete(leaving))
    await sweep(store)

    stats = await store.monitoring.stats(granted)
    if cut and calls == 0:
        assert (stats.waiting, stats.assigned) == (1, 2)
        return
    assert cut is (calls < 7)
    assert (await store.workers.get([leaving]))[0] is None
    assert (stats.waiting, stats.assigned) == (2, 1)
    assert (await store.tasks.held(granted, other, "0", 10))[1].tasks
    with looking_into(redis_url) as redis:
        directory = f"{settings.prefix}:{{directory}}"
        assert not redis.exists(f"{directory}:leaving-workers", f"{directory}:worker:{leaving}:projects")
        for project in (granted, asked):
            for access in ("access", "requests"):
                assert not redis.hexists(f"{settings.prefix}:{{project:{project}}}:{access}", str(leaving))


@pytest.mark.parametrize("operation", ["reset_failed", "reclaim_assigned", "hard_reset"])
@pytest.mark.parametrize("calls", range(5))
async def test_maintenance_that_began_is_finished(store: Store, settings: Settings, calls: int, operation: str) -> None:
    worker = (await store.workers.create("w"))[0].id
    project = await a_project(store, await a_manager(store), "p", worker)
    await store.tasks.submit(project, worker, [task() for _ in range(700)])
    for _ in range(2):
        await store.tasks.assign(project, worker, 350, 60)
    _, held = await store.tasks.held(project, worker, "0", 1000)
    await store.tasks.release(project, worker, [(one.id, 1, 0) for one in held.tasks[:100]])
    before = await store.monitoring.stats(project)
    assert (before.assigned, before.failed) == (600, 100)

    cut = await dies(settings, calls, lambda dying: dying.maintenance.run(project, operation))
    await sweep(store)

    after = await store.monitoring.stats(project)
    states = (after.waiting, after.assigned, after.failed)
    expected = {"reset_failed": (100, 600, 0), "reclaim_assigned": (600, 0, 100), "hard_reset": (0, 0, 0)}
    assert states == ((0, 600, 100) if cut and calls == 0 else expected[operation])
    assert not (await store.active.due(project)).drains


@pytest.mark.parametrize("operation", get_args(Matching))
@pytest.mark.parametrize("calls", range(6))
async def test_a_call_for_tasks_that_match_is_finished_and_takes_no_others(
    store: Store, settings: Settings, calls: int, operation: Matching
) -> None:
    worker = (await store.workers.create("w"))[0].id
    project = await a_project(store, await a_manager(store), "p", worker)
    for _ in range(2):
        await store.tasks.submit(project, worker, [task(f"r{n % 2}") for n in range(500)])
        held = (await store.tasks.assign(project, worker, 500, 60)).tasks
        await store.tasks.release(project, worker, [(one.id, 1, 0) for one in held])

    filter = TaskFilter("failed", contains="r1")
    cut = await dies(settings, calls, lambda dying: dying.maintenance.run_matching(project, operation, filter))
    again = 0
    if cut and calls:
        # It has noted which tasks there were, and it meets each once.
        again = (await store.monitoring.stats(project)).waiting
        assert (again > 0) is (calls > 3 and operation == "retry_tasks")
        await store.tasks.submit(project, worker, [task("r1")] * 5)
        late = (await store.tasks.assign(project, worker, 500, 60)).tasks
        await store.tasks.release(project, worker, [(one.id, 1, 0) for one in late])
        assert len(late) == 5 + again
    await sweep(store)

    after = await store.monitoring.stats(project)
    assert not (await store.active.due(project)).drains
    done = 0 if cut and calls == 0 else 500
    assert after.waiting == (done - again if operation == "retry_tasks" else 0)
    assert after.failed == 1000 - done + again + (5 if cut and calls else 0)
    assert after.counters.get("removed", 0) == (done if operation == "remove_tasks" else 0)


@pytest.mark.parametrize(("calls", "taken"), [(0, 0), (1, 1), (2, 1), (3, 2)])
async def test_a_bulk_that_was_cut_short_can_be_sent_again(
    store: Store, settings: Settings, calls: int, taken: int
) -> None:
    worker = (await store.workers.create("w"))[0].id
    project = await a_project(store, await a_manager(store), "p", worker)
    chunks = [[task(hash64=n * 10 + i) for i in range(10)] for n in range(3)]

    async def bulk(dying: Store) -> list[int | None]:
        return [id for n, chunk in enumerate(chunks) for id in await dying.tasks.submit(project, worker, chunk)]

    await dies(settings, calls, bulk)
    again = await bulk(store)

    assert again.count(None) == taken * 10
    assert (await store.monitoring.stats(project)).waiting == 30


async def test_a_delivery_whose_target_is_not_pushed_yet_waits_for_it(store: Store, settings: Settings) -> None:
    worker = (await store.workers.create("w"))[0].id
    manager = await a_manager(store)
    await dies(settings, 1, lambda dying: dying.projects.create(manager, {"name": "target", "public": True}))
    (target,) = [project async for project, _, _ in store.projects.ids()]
    source = await a_project(store, manager, "source", worker, chain=target)
    (id,) = await store.tasks.submit(source, worker, [task()])
    await store.tasks.assign(source, worker, 1, 60)
    await store.tasks.release(source, worker, [(id or 0, 0, 0)])

    await store.chain.flush(source)

    assert len((await store.tasks.assign(target, worker, 10, 60)).tasks) == 1


@pytest.mark.parametrize("operation", ["hard_reset", "delete"])
async def test_what_earlier_maintenance_has_not_put_back_yet_is_deleted_as_well(
    store: Store, settings: Settings, redis_url: str, operation: str
) -> None:
    worker = (await store.workers.create("w"))[0].id
    project = await a_project(store, await a_manager(store), "p", worker)
    await store.tasks.submit(project, worker, [task(hash64=n) for n in range(10)])
    await store.tasks.assign(project, worker, 10, 60)
    assert await store.maintenance.begin_drain(project, "reclaim_assigned") == 10

    assert await store.maintenance.begin_drain(project, operation) == 10
    while (await store.maintenance.drain(project, 3))[1]:
        pass

    with looking_into(redis_url) as redis:
        keys = {key.partition("}")[2] for key in keys_like(redis, f"{settings.prefix}:{{project:{project}}}*")}
    assert not {key for key in keys if key.startswith((":task", ":queue", ":drain", ":holders", ":known"))}


async def test_a_deleted_project_hands_on_all_that_it_has_closed(
    store: Store, settings: Settings, redis_url: str
) -> None:
    worker = (await store.workers.create("w"))[0].id
    target = await a_project(store, manager := await a_manager(store), "target", worker)
    source = await a_project(store, manager, "source", worker, chain=target)
    closed = 0
    while closed < 10_500:
        await store.tasks.submit(source, worker, [task() for _ in range(500)])
        held = (await store.tasks.assign(source, worker, 500, 60)).tasks
        await store.tasks.release(source, worker, [(one.id, 0, 0) for one in held])
        closed += len(held)

    await store.maintenance.delete(manager, source)
    await sweep(store)

    assert (await store.monitoring.stats(target)).waiting == closed
    assert await store.projects.pending("deleted", 10) == []
    with looking_into(redis_url) as redis:
        assert keys_like(redis, f"{settings.prefix}:{{project:{source}}}*") == [
            f"{settings.prefix}:{{project:{source}}}"
        ]


async def test_a_late_copy_does_not_revive_a_project_that_was_deleted_before_its_first(
    store: Store, settings: Settings
) -> None:
    manager = await a_manager(store)
    await dies(settings, 1, lambda dying: dying.projects.create(manager, {"name": "p"}))
    (project,) = [project async for project, _, _ in store.projects.ids()]
    late = await store.projects.get(project)

    await store.maintenance.delete(manager, project)
    await store.calls.call("copy", Keys(settings.prefix).project(project), [late.revision, "paused", "0"])

    with pytest.raises(BrokerError, match="No such project"):
        await store.monitoring.stats(project)
