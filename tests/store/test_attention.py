"""Which projects need attention, of all that a manager may see, however many there are."""

from broker.store.projects import MANAGE_ACCESS, READ
from broker.store.task_fields import TaskFields
from tests.store.conftest import StoreFleet, new


async def count(fleet: StoreFleet) -> None:
    await fleet.store.counting.note()
    await fleet.store.counting.round(10)


async def found(fleet: StoreFleet, manager: int | None = None) -> list[tuple[str, int, tuple[int, int, int]]]:
    """Kind, project, numbers."""
    await count(fleet)
    listed = await fleet.store.attention.list(manager or fleet.manager, 100)
    assert listed.total == len(listed.rows)
    return [(one.kind, one.project, one.numbers) for one in listed.rows]


async def fails(fleet: StoreFleet, project: int, worker: int, failed: int, closed: int = 0) -> None:
    await fleet.submit(project, worker, *(new() for _ in range(failed + closed)))
    for n, task in enumerate(await fleet.take(project, worker, failed + closed)):
        await fleet.release(project, worker, task.id, result=int(n < failed))


async def test_a_project_stalls_when_tasks_wait_and_none_was_assigned_for_a_minute(fleet: StoreFleet) -> None:
    project, idle = await fleet.project(), await fleet.project()
    worker = await fleet.worker(project, idle)
    await fleet.submit(project, worker, *(new() for _ in range(5)))
    assert await found(fleet) == []
    since = fleet.now
    fleet.passes(59)
    assert await found(fleet) == [], "not yet"
    fleet.passes(1)
    assert await found(fleet) == [("stalled", project, (since, 5, 0))]

    await fleet.submit(project, worker, new())
    assert await found(fleet) == [("stalled", project, (since, 6, 0))], "what comes does not help"
    (task,) = await fleet.take(project, worker)
    assert await found(fleet) == [], "a worker holds one"
    await fleet.release(project, worker, task.id)
    assert await found(fleet) == []
    fleet.passes(60)
    assert await found(fleet) == [("stalled", project, (since + 60_000, 5, 0))]
    await fleet.store.projects.update(fleet.manager, project, {"paused": True})
    assert await found(fleet) == []


async def test_what_was_assigned_and_given_back_between_two_counts_ends_a_stall(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, new())
    await count(fleet)
    fleet.passes(100)
    (task,) = await fleet.take(project, worker)
    await fleet.release(project, worker, task.id, result=2)

    assert await found(fleet) == []


async def test_groups_that_rest_do_not_stall_and_those_that_may_start_do(fleet: StoreFleet) -> None:
    project = await fleet.project(group_delay=600)
    worker = await fleet.worker(project)
    await fleet.submit(project, worker, TaskFields("r", group="a"), TaskFields("r", group="a"))
    (task,) = await fleet.take(project, worker)
    await fleet.release(project, worker, task.id)
    await count(fleet)
    fleet.passes(100)
    assert await found(fleet) == []

    await fleet.submit(project, worker, TaskFields("r", group="b"))
    await count(fleet)
    fleet.passes(60)

    assert [kind for kind, *_ in await found(fleet)] == ["stalled"]


async def test_a_project_is_failing_when_a_fifth_of_what_is_done_has_failed_lately(fleet: StoreFleet) -> None:
    project, other, few = await fleet.project(), await fleet.project(), await fleet.project()
    worker = await fleet.worker(project, other, few)
    await fails(fleet, few, worker, 9)
    await fails(fleet, project, worker, 10, closed=40)
    await fails(fleet, other, worker, 10, closed=41)
    since = fleet.now

    assert await found(fleet) == [("failing", project, (10, 40, since))]
    await fleet.store.maintenance.run(project, "reset_failed")
    assert [kind for kind, *_ in await found(fleet)] == []


async def test_what_failed_hours_ago_is_not_failing_though_it_still_is_failed(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fails(fleet, project, worker, 20)
    assert [kind for kind, *_ in await found(fleet)] == ["failing"]

    for _ in range(13):
        fleet.passes(600)
        await fleet.store.counting.walk()
        await count(fleet)
    assert await found(fleet) == []
    await fails(fleet, project, worker, 9)
    assert await found(fleet) == []
    await fails(fleet, project, worker, 1)

    ((kind, _, (failed, closed, since)),) = await found(fleet)
    assert (kind, failed, closed) == ("failing", 10, 0)
    assert 3_600_000 <= fleet.now - since <= 7_200_000


async def test_requests_are_for_those_who_may_accept_them_and_blocked_groups_for_all(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    (helper, reader) = [
        (await fleet.store.managers.register(name, "a long password", open_to_all=True)).id
        for name in ("helper", "reader")
    ]
    await fleet.store.projects.set_role(fleet.manager, project, helper, READ | MANAGE_ACCESS)
    await fleet.submit(
        project, worker, TaskFields("r", group="a"), TaskFields("r", group="b"), TaskFields("r", group="c")
    )
    await fleet.many_workers(2, project, granted=False)
    await fleet.store.groups.set_limits(project, "a", blocked_for=3600)
    assert await found(fleet) == [("requests", project, (2, 0, 0))]
    await fleet.store.groups.set_limits(project, "b", blocked_for=3600)

    blocked, requests = ("blocked", project, (2, 3, 0)), ("requests", project, (2, 0, 0))
    assert await found(fleet) == [requests, blocked]
    assert await found(fleet, helper) == [requests, blocked]
    assert await found(fleet, reader) == [blocked]


async def test_a_manager_is_told_of_the_projects_with_most_requests_first(fleet: StoreFleet) -> None:
    owner = (await fleet.store.managers.register("owner", "a long password", open_to_all=True)).id
    projects = [await fleet.store.projects.create(owner, {"name": f"own {n}"}) for n in range(4)]
    for count_, project in zip((2, 10, 1, 3), projects, strict=True):
        await fleet.many_workers(count_, project, granted=False)

    for manager in (owner, fleet.manager):
        rows = await found(fleet, manager)
        assert [(project, numbers[0]) for _, project, numbers in rows] == [
            (projects[1], 10),
            (projects[3], 3),
            (projects[0], 2),
            (projects[2], 1),
        ]


async def test_hidden_projects_are_named_to_those_who_may_read_them(fleet: StoreFleet) -> None:
    hidden = await fleet.project(hidden=True)
    worker = await fleet.worker(hidden)
    other = (await fleet.store.managers.register("other", "a long password", open_to_all=True)).id
    await fails(fleet, hidden, worker, 10)

    assert await found(fleet, other) == []
    await fleet.store.projects.set_role(fleet.manager, hidden, other, READ)
    assert [(kind, project) for kind, project, _ in await found(fleet, other)] == [("failing", hidden)]


async def test_a_project_that_is_deleted_needs_nothing(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fails(fleet, project, worker, 10)
    await fleet.submit(project, worker, new())
    await count(fleet)
    fleet.passes(60)
    assert [kind for kind, *_ in await found(fleet)] == ["stalled", "failing"]

    await fleet.store.maintenance.delete(fleet.manager, project)
    assert await found(fleet) == []
    await fleet.store.maintenance.finish_delete(project)

    assert await found(fleet) == []


async def test_a_clock_that_is_set_back_starts_both_again(fleet: StoreFleet) -> None:
    project = await fleet.project()
    worker = await fleet.worker(project)
    await fails(fleet, project, worker, 10)
    await fleet.submit(project, worker, new())
    await count(fleet)
    fleet.passes(-100_000)
    await fleet.store.counting.walk()
    assert [kind for kind, *_ in await found(fleet)] == []

    fleet.passes(60)
    assert [kind for kind, *_ in await found(fleet)] == ["stalled"]


async def test_of_many_the_worst_are_listed_with_one_call_and_the_others_counted(fleet: StoreFleet) -> None:
    projects = [await fleet.project() for _ in range(12)]
    worker = await fleet.worker(*projects)
    for project in projects[:6]:
        await fleet.submit(project, worker, new())
        fleet.passes(1)
        await count(fleet)
    for n, project in enumerate(projects[6:10]):
        await fails(fleet, project, worker, 10 + n)
    await count(fleet)
    fleet.passes(60)
    calls = fleet.store.metrics.calls
    before = sum(calls.total.buckets)

    listed = await fleet.store.attention.list(fleet.manager, 8)

    assert sum(calls.total.buckets) - before == 1
    assert [one.project for one in listed.rows] == [*projects[:6], projects[9], projects[8]]
    assert (listed.total, listed.whole) == (10, True)
    page = await fleet.store.projects.page(fleet.manager, "attention", 0, 7)
    rest = await fleet.store.projects.page(fleet.manager, "attention", page.onward or 0, 7)
    assert {row.id for row in page.rows[:6]} == {*projects[:6]}
    assert {row.id for row in [*page.rows[6:], *rest.rows]} == {*projects[6:10]}
