"""Who has access to a project, or asks for it: all at once, in slices, and in pages."""

import pytest

from broker.store.workers import Access, AccessPage, Worker
from tests.store.conftest import StoreFleet


async def pages(fleet: StoreFleet, project: int, which: str, limit: int = 50) -> list[AccessPage]:
    found, after = list[AccessPage](), ""
    while True:
        found.append(await fleet.store.workers.access_page(project, which, after, limit))
        after = found[-1].onward
        if not after:
            return found


def ids(page: AccessPage) -> list[int]:
    return [worker.id for _, worker in page.rows]


async def test_a_few_hundred_come_by_id_page_by_page(fleet: StoreFleet) -> None:
    project = await fleet.project()
    workers = await fleet.many_workers(130, project)

    found = await pages(fleet, project, "access")

    assert [ids(page) for page in found] == [[*workers[:50]], [*workers[50:]]]
    assert {page.total for page in found} == {130}
    assert all(access == Access(worker.id, True, False, False) for page in found for access, worker in page.rows)


async def test_of_many_each_comes_once_in_pages_of_a_bounded_size(fleet: StoreFleet) -> None:
    project = await fleet.project()
    workers = await fleet.many_workers(3000, project, granted=False)

    found = await pages(fleet, project, "requests")

    assert sorted(id for page in found for id in ids(page)) == [*workers]
    assert max(len(page.rows) for page in found) < 100
    assert all(page.rows for page in found)


async def test_a_page_goes_on_where_it_was_though_those_before_are_gone(fleet: StoreFleet) -> None:
    project = await fleet.project()
    workers = await fleet.many_workers(120, project, granted=False)
    first = await fleet.store.workers.access_page(project, "requests", "", 50)
    for worker in workers[:50]:
        await fleet.store.workers.grant(project, worker)

    second = await fleet.store.workers.access_page(project, "requests", first.onward, 50)

    assert ids(second) == [*workers[50:]]
    assert second.total == 70


@pytest.mark.parametrize("after", ["x", "1", "-1", "0-", "0--1", "9" * 30 + "-1"])
async def test_a_page_that_is_not_there_is_the_first(fleet: StoreFleet, after: str) -> None:
    project = await fleet.project()
    (worker,) = await fleet.many_workers(1, project)

    assert ids(await fleet.store.workers.access_page(project, "access", after, 50)) == [worker]


async def test_one_worker_is_found_among_many(fleet: StoreFleet) -> None:
    project = await fleet.project()
    workers = await fleet.many_workers(600, project)
    (asking,) = await fleet.many_workers(1)
    await fleet.store.workers.request_access(project, asking, assign=False, submit=True)

    for worker, access in (
        (workers[300], Access(workers[300], True, False, False)),
        (asking, Access(asking, False, True, True)),
    ):
        assert [row for row, _ in await fleet.store.workers.access_rows(project, worker)] == [access]
    assert await fleet.store.workers.access_rows(project, 10**9) == []


async def test_the_whole_list_has_requests_first_each_by_id(fleet: StoreFleet) -> None:
    project = await fleet.project()
    granted = await fleet.many_workers(700, project)
    asking = [await fleet.worker() for _ in range(3)]
    for worker in asking:
        await fleet.store.workers.request_access(project, worker, assign=True, submit=True)
    rows = list[tuple[Access, Worker]]()

    def render(some: list[tuple[Access, Worker]]) -> bytes:
        rows.extend(some)
        return b"%d" % len(some)

    slices = await fleet.store.workers.access_list(project, render)

    assert slices == [b"500", b"203"]
    assert [worker.id for _, worker in rows] == [*asking, *granted]
    assert [access.request for access, _ in rows] == [True] * 3 + [False] * 700
