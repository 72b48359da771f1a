"""Pages of projects, as managers see them, and the list of all."""

from dataclasses import replace

import pytest

from broker.settings import Settings
from broker.store.projects import EDIT, Order, Project
from tests.store.conftest import StoreFleet, new


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, max_projects=0)


async def pages(
    fleet: StoreFleet, manager: int, order: Order = "name", *, text: str = "", role: int | None = None
) -> list[list[str]]:
    """The names on each page of three."""
    found, offset = list[list[str]](), 0
    while True:
        page = await fleet.store.projects.page(manager, order, offset, 3, text=text, role=role)
        found.append([project.fields["name"] for project in page.rows])
        if page.onward is None:
            return found
        offset = page.onward


async def count(fleet: StoreFleet) -> None:
    await fleet.store.counting.note()
    await fleet.store.counting.round(10)


async def named(fleet: StoreFleet, *names: str, hidden: bool = False) -> list[int]:
    return [await fleet.project(name=name, hidden=hidden) for name in names]


async def stranger(fleet: StoreFleet) -> int:
    return (await fleet.store.managers.register("somebody", "a long password", open_to_all=True)).id


async def test_projects_come_by_name_page_by_page(fleet: StoreFleet) -> None:
    await named(fleet, "d", "B", "a", "Ab", "c", "e 1")

    assert await pages(fleet, fleet.manager) == [["a", "Ab", "B"], ["c", "d", "e 1"]]


async def test_a_project_that_is_renamed_or_deleted_moves_or_goes(fleet: StoreFleet) -> None:
    first, second, *_ = await named(fleet, "a", "b", "c", "d", "e")
    await fleet.store.projects.update(fleet.manager, first, {"name": "z"})
    await count(fleet)
    await fleet.store.maintenance.delete(fleet.manager, second)

    assert await pages(fleet, fleet.manager) == [["c", "d", "e"], ["z"]]
    assert sorted(name for page in await pages(fleet, fleet.manager, "busy") for name in page) == ["c", "d", "e", "z"]
    await fleet.store.maintenance.finish_delete(second)
    await count(fleet)
    assert sorted(name for page in await pages(fleet, fleet.manager, "busy") for name in page) == ["c", "d", "e", "z"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("SHOP", ["a shop", "Shop 2", "Shop 3", "shop 5"]), ("5", ["shop 5"]), ("7", []), ("ö", ["zö"]), (".", [])],
)
async def test_a_text_is_found_in_names_whatever_its_case_and_not_in_ids(
    fleet: StoreFleet, text: str, found: list[str]
) -> None:
    await named(fleet, "Shop 2", "a shop", "other", "zö", "Shop 3", "shop 5", "last")

    assert [name for page in await pages(fleet, fleet.manager, text=text) for name in page] == found


async def test_a_manager_sees_pages_without_hidden_projects_or_those_with_a_role(fleet: StoreFleet) -> None:
    hidden = await named(fleet, "a", "c", "e", "g", hidden=True)
    shown = await named(fleet, "b", "d", "f")
    other = await stranger(fleet)

    assert await pages(fleet, other) == [["b", "d", "f"]]
    await fleet.store.projects.set_role(fleet.manager, hidden[1], other, 1)
    await fleet.store.projects.set_role(fleet.manager, shown[1], other, EDIT)
    assert await pages(fleet, other) == [["b", "c", "d"], ["f"]]
    assert await pages(fleet, other, role=EDIT) == [["d"]]
    assert len(await pages(fleet, fleet.manager, role=EDIT)) == 3


async def test_those_with_most_unfinished_tasks_come_first(fleet: StoreFleet) -> None:
    projects = await named(fleet, "a", "b", "c", "d")
    worker = await fleet.worker(*projects)
    for tasks, project in enumerate(projects):
        await fleet.submit(project, worker, *(new() for _ in range(tasks)))
    await count(fleet)

    assert await pages(fleet, fleet.manager, "busy") == [["d", "c", "b"], ["a"]]


async def test_few_projects_come_by_name_at_once_in_any_order(fleet: StoreFleet) -> None:
    await named(fleet, "b", "Ä", "a")

    page = await fleet.store.projects.page(fleet.manager, "busy", 0, 3)

    assert page.whole
    assert [project.fields["name"] for project in page.rows] == ["a", "b", "Ä"]


async def test_the_list_of_all_has_what_a_manager_may_see_by_name(fleet: StoreFleet) -> None:
    await named(fleet, *(f"p{n:03}" for n in range(130)))
    await named(fleet, "hidden", hidden=True)
    other = await stranger(fleet)

    def render(project: Project) -> bytes:
        return project.fields["name"].encode()

    for manager in (None, other, fleet.manager):
        slices = await fleet.store.projects.rendered_list(manager, render)
        names = [name for one in slices for name in one.decode()[1:-1].split(",")]
        hidden = ["hidden"] if manager == fleet.manager else []
        assert names == [*hidden, *(f"p{n:03}" for n in range(130))]
        assert len(slices) == 2
