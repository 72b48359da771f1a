"""Who has access to a project, or asks for it: all at once, in slices, and in pages."""

import pytest

from broker.store.access import Access, AccessFilter, AccessPage, Which
from broker.store.workers import Worker
from tests.store.conftest import StoreFleet


async def pages(
    fleet: StoreFleet, project: int, which: Which, limit: int = 50, *, may: str = "", words: str = ""
) -> list[AccessPage]:
    found, after = list[AccessPage](), ""
    while True:
        found.append(await fleet.store.access.page(project, which, after, limit, AccessFilter(may, words)))
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
    first = await fleet.store.access.page(project, "requests", "", 50)
    for worker in workers[:50]:
        await fleet.store.workers.grant(project, worker)

    second = await fleet.store.access.page(project, "requests", first.onward, 50)

    assert ids(second) == [*workers[50:]]
    assert second.total == 70


@pytest.mark.parametrize("after", ["x", "1", "-1", "0-", "0--1", "9" * 30 + "-1"])
async def test_a_page_that_is_not_there_is_the_first(fleet: StoreFleet, after: str) -> None:
    project = await fleet.project()
    (worker,) = await fleet.many_workers(1, project)

    assert ids(await fleet.store.access.page(project, "access", after, 50)) == [worker]


async def test_one_worker_is_found_by_its_id_among_many_and_others_by_their_alias(fleet: StoreFleet) -> None:
    project = await fleet.project()
    workers = await fleet.many_workers(3000, project)
    wanted = workers[1234]

    by_id = await fleet.store.access.page(project, "access", "", 50, AccessFilter(words=str(wanted)))

    assert ids(by_id)[0] == wanted, "it is on the first page"
    # It stands once, though its alias has the id as well: w1235.
    found = await pages(fleet, project, "access", words="123")
    assert sorted(id for page in found for id in ids(page)) == [id for id in workers if "123" in str(id)]
    assert await pages(fleet, project, "access", words="9" * 17) != []
    assert not any(page.rows for page in await pages(fleet, project, "requests", words=str(wanted)))


async def test_those_that_match_are_found_each_once_in_pages_that_look_at_some(fleet: StoreFleet) -> None:
    project = await fleet.project()
    await fleet.many_workers(2500, project, granted=False)
    submitters = [(await fleet.store.workers.create(f"Producer-{n}"))[0].id for n in range(130)]
    for worker in submitters:
        await fleet.store.workers.request_access(project, worker, assign=worker % 2 == 0, submit=True)

    for filter, wanted in (
        (AccessFilter("submit"), submitters),
        (AccessFilter("assign", "producer-"), [id for id in submitters if id % 2 == 0]),
        (AccessFilter("submit", "w"), []),
        (AccessFilter("", "PRODUCER-12"), [submitters[n] for n in (12, *range(120, 130))]),
    ):
        found = await pages(fleet, project, "requests", may=filter.may, words=filter.words)
        assert sorted(id for page in found for id in ids(page)) == wanted, filter
        assert max(len(page.rows) for page in found) < 100
        assert {page.total for page in found} == {2630}


async def test_rejected_workers_are_listed_whatever_they_had(fleet: StoreFleet) -> None:
    project = await fleet.project()
    workers = await fleet.many_workers(5, project)
    for worker in workers[1:4]:
        await fleet.store.workers.revoke(project, worker)
    await fleet.store.workers.request_access(project, workers[1], assign=True, submit=False)
    await fleet.store.workers.grant(project, workers[1])

    (page,) = await pages(fleet, project, "rejected", may="submit")
    (named,) = await pages(fleet, project, "rejected", words=str(workers[3]))

    assert (page.total, ids(page)) == (2, [*workers[2:4]])
    assert ids(named) == [workers[3]]


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

    slices = await fleet.store.access.rendered(project, render)

    assert slices == [b"500", b"203"]
    assert [worker.id for _, worker in rows] == [*asking, *granted]
    assert [access.request for access, _ in rows] == [True] * 3 + [False] * 700
