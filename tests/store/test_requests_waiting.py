"""How many workers request access in the projects of a manager: as it stands in the top bar of each page."""

from broker.store.projects import MANAGE_ACCESS, READ, Requests
from tests.store.conftest import StoreFleet


async def manager(fleet: StoreFleet, name: str) -> int:
    return (await fleet.store.managers.register(name, "a long password", open_to_all=True)).id


async def waiting(fleet: StoreFleet, manager: int) -> Requests:
    await fleet.store.counting.note()
    await fleet.store.counting.round(10)
    return await fleet.store.projects.requests(manager)


async def ask(fleet: StoreFleet, project: int, count: int = 1) -> list[int]:
    workers = [(await fleet.store.workers.create("asks"))[0].id for _ in range(count)]
    for worker in workers:
        await fleet.store.workers.request_access(project, worker, assign=True, submit=False)
    return workers


async def test_a_manager_is_told_of_their_own_projects_and_an_admin_of_all(fleet: StoreFleet) -> None:
    one, other = await manager(fleet, "one"), await manager(fleet, "other")
    mine = await fleet.store.projects.create(one, {"name": "mine"})
    hidden = await fleet.store.projects.create(one, {"name": "hidden", "hidden": True})
    theirs = await fleet.store.projects.create(other, {"name": "theirs"})
    assert await waiting(fleet, fleet.manager) == (0, 0)

    await ask(fleet, mine, 3)
    assert await waiting(fleet, one) == (3, mine)
    assert await waiting(fleet, fleet.manager) == (3, mine)
    await ask(fleet, hidden, 2)
    await ask(fleet, theirs)

    assert await waiting(fleet, one) == (5, 0)
    assert await waiting(fleet, other) == (1, theirs)
    assert await waiting(fleet, fleet.manager) == (6, 0)


async def test_it_follows_what_is_accepted_rejected_joined_and_deleted(fleet: StoreFleet) -> None:
    store, owner = fleet.store, await manager(fleet, "owner")
    project = await store.projects.create(owner, {"name": "mine"})
    workers = await ask(fleet, project, 6)
    assert await waiting(fleet, owner) == (6, project)

    await store.workers.grant(project, workers[0])
    assert await waiting(fleet, owner) == (5, project)
    await store.workers.revoke(project, workers[1])
    assert await waiting(fleet, owner) == (4, project)
    _, token = await store.joining.create_token(project, assign=True, submit=False)
    await store.joining.join(project, workers[2], token, "127.0.0.1")
    assert await waiting(fleet, owner) == (3, project)
    await store.worker_deletion.delete(workers[3])
    assert await waiting(fleet, owner) == (2, project)
    await store.joining.accept(project, workers[4:])
    assert await waiting(fleet, owner) == (0, 0)
    assert await waiting(fleet, fleet.manager) == (0, 0)


async def test_it_follows_the_roles_of_a_manager_and_ends_with_the_project(fleet: StoreFleet) -> None:
    projects, helper = fleet.store.projects, await manager(fleet, "helper")
    project = await fleet.project()
    await ask(fleet, project, 4)
    assert await waiting(fleet, helper) == (0, 0)

    await projects.set_role(fleet.manager, project, helper, READ | MANAGE_ACCESS)
    assert await projects.requests(helper) == (4, project)
    await projects.set_role(fleet.manager, project, helper, READ)
    assert await projects.requests(helper) == (0, 0)
    await projects.set_role(fleet.manager, project, helper, MANAGE_ACCESS)
    await ask(fleet, project)
    assert await waiting(fleet, helper) == (5, project)
    await projects.set_role(fleet.manager, project, helper, 0)
    assert await projects.requests(helper) == (0, 0)
    await projects.set_role(fleet.manager, project, helper, MANAGE_ACCESS)

    await fleet.store.maintenance.delete(fleet.manager, project)
    assert await projects.requests(helper) == (0, 0)
    await fleet.store.maintenance.finish_delete(project)

    assert await waiting(fleet, helper) == (0, 0)
    assert await waiting(fleet, fleet.manager) == (0, 0)


async def test_many_projects_with_requests_are_listed_a_page_at_a_time_the_most_first(fleet: StoreFleet) -> None:
    owner = await manager(fleet, "owner")
    projects = [await fleet.project() for _ in range(8)]
    for count, project in enumerate(projects[2:], 1):
        await ask(fleet, project, count)
        if count % 2:
            await fleet.store.projects.set_role(fleet.manager, project, owner, MANAGE_ACCESS)
    assert await waiting(fleet, owner) == (1 + 3 + 5, 0)
    assert await waiting(fleet, fleet.manager) == (21, 0)

    page = await fleet.store.projects.page(fleet.manager, "requests", 0, 4, role=MANAGE_ACCESS)
    assert [row.id for row in page.rows] == projects[:3:-1]
    rest = await fleet.store.projects.page(fleet.manager, "requests", page.onward or 0, 4, role=MANAGE_ACCESS)
    assert [row.id for row in rest.rows] == [projects[3], projects[2]]
    own = await fleet.store.projects.page(owner, "requests", 0, 4, role=MANAGE_ACCESS)
    assert [row.id for row in own.rows] == [projects[6], projects[4], projects[2]]
