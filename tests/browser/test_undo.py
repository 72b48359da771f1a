"""A decision about a row takes effect after some seconds: until then it can be undone."""

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.sample_data import SampleData
from tests.browser.tab import Tab
from tests.serving import until


@pytest.fixture
def project(sample: SampleData) -> int:
    """With three failed tasks."""
    project = sample.fleet.project()
    worker = sample.fleet.worker(project, alias="crawler")
    for n in range(3):
        worker.submit(project, str(n))
    for task in worker.get(f"/task/get/{project}?count=3").content()["tasks"]:
        worker.release(task["id"], result=1)
    return project


def ids(sample: SampleData, project: int, state: str) -> list[int]:
    tasks = sample.admin.get(f"/project/tasks/{project}?state={state}").content()["tasks"]
    return [task["id"] for task in tasks]


def row(tab: Tab, task: int) -> Locator:
    return tab.page.locator(f"tr[data-key='{task}']")


@pytest.fixture
def opened(timed: Tab, project: int) -> Tab:
    timed.go(f"projects/{project}/tasks?state=failed")
    expect(timed.page.locator("[data-live=tasks] tbody tr")).to_have_count(3)
    expect(timed.page.locator("html[data-ready]")).to_be_attached()
    return timed


def test_a_double_click_decides_about_one_row_which_stays_in_place(
    opened: Tab, sample: SampleData, project: int
) -> None:
    first, second, third = (int(name) for name in opened.page.locator("[data-live=tasks] tbody th").all_inner_texts())

    opened.page.get_by_role("button", name=f"Remove: {second}").dblclick()
    opened.later(3)
    expect(row(opened, second)).to_contain_text("Removing…")
    assert [int(name) for name in opened.page.locator("[data-live=tasks] tbody th").all_inner_texts()] == [
        first,
        second,
        third,
    ]
    assert set(ids(sample, project, "failed")) == {first, second, third}
    opened.later(3)

    opened.sees("The task is deleted")
    expect(row(opened, second)).to_have_count(0)
    assert set(ids(sample, project, "failed")) == {first, third}


def test_a_double_click_on_a_button_that_changes_its_meaning_does_the_first(
    opened: Tab, sample: SampleData, project: int
) -> None:
    opened.go(f"projects/{project}")
    expect(opened.page.locator("html[data-ready]")).to_be_attached()

    opened.page.get_by_role("button", name="Pause").dblclick(delay=150)

    opened.sees("The project is paused")
    expect(opened.page.get_by_role("button", name="Resume")).to_be_visible()
    assert sample.admin.get(f"/project/get/{project}").content()["paused"] is True


def test_a_row_stays_below_the_pointer_that_is_about_to_press_its_button(
    opened: Tab, sample: SampleData, project: int
) -> None:
    list_of = opened.page.locator("[data-live=tasks] tbody th")
    before = list_of.all_inner_texts()
    opened.page.get_by_role("button", name=f"Remove: {before[1]}").hover()
    sample.admin.post(f"/project/remove_task/{project}/{before[0]}").content()

    opened.later(3)
    expect(opened.page.locator("[data-live=states]")).to_contain_text("Failed 2")
    assert list_of.all_inner_texts() == before
    opened.later(3)

    expect(list_of).to_have_text(before[1:])


def test_a_decision_is_undone_while_the_page_updates_itself(opened: Tab, sample: SampleData, project: int) -> None:
    first, second, third = ids(sample, project, "failed")
    opened.press(f"Retry: {first}")
    opened.press(f"Retry: {second}")
    opened.page.mouse.move(0, 0)
    sample.admin.post(f"/project/remove_task/{project}/{third}").content()
    opened.later(3)
    expect(row(opened, third)).to_have_count(0)

    opened.press(f"Undo: Retry: {first}")
    expect(row(opened, first).get_by_role("button")).to_have_text(["Retry", "Remove"])
    expect(row(opened, first).get_by_role("button", name="Retry")).to_be_focused()
    opened.later(3)

    expect(row(opened, second)).to_have_count(0)
    assert ids(sample, project, "failed") == [first]
    assert ids(sample, project, "waiting") == [second]


def test_an_undo_does_not_take_the_second_click(opened: Tab, sample: SampleData, project: int) -> None:
    task = ids(sample, project, "failed")[0]
    opened.page.get_by_role("button", name=f"Remove: {task}").focus()
    opened.page.keyboard.press("Enter")

    expect(row(opened, task).get_by_role("button")).to_be_focused()
    opened.page.keyboard.press("Enter")

    expect(row(opened, task)).to_contain_text("Removing…")
    opened.later(1)
    opened.page.keyboard.press("Enter")
    expect(row(opened, task)).not_to_contain_text("Removing…")


def test_leaving_the_page_carries_out_the_decision(opened: Tab, sample: SampleData, project: int) -> None:
    task = ids(sample, project, "failed")[0]
    opened.press(f"Remove: {task}")

    opened.follow("Managers")

    until(lambda: task not in ids(sample, project, "failed"))


def test_what_cannot_be_done_any_more_is_said_and_the_row_goes(opened: Tab, sample: SampleData, project: int) -> None:
    task = ids(sample, project, "failed")[0]
    opened.press(f"Retry: {task}")
    sample.admin.post(f"/project/retry_task/{project}/{task}").content()

    opened.later(5)

    opened.sees("No failed task has this id")
    opened.later(3)
    expect(row(opened, task)).to_have_count(0)
