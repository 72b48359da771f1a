"""What managers see and change of groups of tasks, in the browser."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.sample_data import GROUPS, SampleData
from tests.browser.tab import Tab


@pytest.fixture
def project(sample: SampleData) -> int:
    project = sample.fleet.project(group_delay=0.5, group_limit=2)
    worker = sample.fleet.worker(project)
    for n in range(3):
        worker.submit(project, str(n), group="slow & co.example")
    return project


def group(sample: SampleData, project: int) -> dict[str, Any]:
    answer = sample.admin.get(f"/project/group/{project}", params={"group": "slow & co.example"})
    row: dict[str, Any] = answer.content()["group"]
    return row


def cell(tab: Tab, label: str) -> Locator:
    return tab.page.locator(f"tbody td[data-label='{label}']")


def test_a_group_is_found_in_its_state_limited_and_given_back_to_the_project(
    tab: Tab, sample: SampleData, project: int
) -> None:
    tab.go(f"projects/{project}")
    expect(tab.page.locator("#groups-ready")).to_have_text("1")
    tab.follow("Groups ready")
    tab.follow("slow & co.example")
    expect(cell(tab, "Delay")).to_have_text("0.5 s")

    tab.fill("Delay", "90.25")
    tab.press("Set delay")
    expect(cell(tab, "Delay")).to_have_text("own 1 min 30 s")
    tab.fill("Limit", "0")
    tab.press("Set limit")
    expect(cell(tab, "Limit")).to_have_text("own none")
    row = group(sample, project)
    assert (row["delay"], row["limit"]) == (90.25, 0)
    tab.fill("Delay", "")
    tab.press("Set delay")
    expect(cell(tab, "Delay")).to_have_text("0.5 s")

    row = group(sample, project)
    assert (row["delay"], row["limit"], row["own"]) == (0.5, 0, True)


def test_a_group_is_blocked_and_goes_on(tab: Tab, sample: SampleData, project: int) -> None:
    tab.go(f"projects/{project}/groups")
    tab.fill("Group", "slow & co.example")
    tab.press("Find")
    expect(cell(tab, "Next task")).to_have_text("now")

    tab.fill("Block", "7200")
    tab.press("Block")
    expect(cell(tab, "Next task")).to_have_text("in 2 h blocked")
    expect(cell(tab, "Set by")).to_have_text("manager 1")
    assert group(sample, project)["blocked_until"]
    expect(tab.page.get_by_role("link", name="Blocked 1")).to_be_visible()
    tab.press("Unblock")

    tab.sees("The group is not blocked")
    expect(cell(tab, "Next task")).to_have_text("now")
    assert group(sample, project)["blocked_until"] is None


def test_a_group_is_blocked_and_unblocked_in_the_list(timed: Tab, sample: SampleData, project: int) -> None:
    timed.go(f"projects/{project}/groups")
    timed.sees("A group is listed here while one of its waiting tasks can be assigned.")

    timed.press("Block for 1 h: slow & co.example")
    timed.sees_part("Blocking…")
    assert group(sample, project)["blocked_until"] is None
    timed.later(5)
    timed.sees("The group is blocked for an hour")
    timed.follow("Blocked 1")
    expect(cell(timed, "Next task")).to_have_text("in 60 min blocked")
    timed.press("Unblock: slow & co.example")
    timed.later(5)

    timed.sees("No groups are blocked.")
    assert group(sample, project)["blocked_until"] is None


def test_the_tasks_of_a_group_are_one_click_away(tab: Tab, sample: SampleData, project: int) -> None:
    tab.go(f"projects/{project}/groups?group=slow+%26+co.example")

    tab.follow("waiting")

    expect(tab.page.locator("[data-live=tasks] tbody tr")).to_have_count(3)


def test_the_waiting_tasks_of_a_group_are_removed_after_a_question(tab: Tab, sample: SampleData, project: int) -> None:
    tab.go(f"projects/{project}/tasks")
    tab.page.get_by_role("link", name="slow & co.example").first.click()
    expect(cell(tab, "Waiting")).to_have_text("3")

    tab.press("Remove its waiting tasks")
    expect(tab.page.get_by_role("dialog")).to_contain_text("The group has 3 waiting tasks.")
    tab.press("Cancel")
    expect(cell(tab, "Waiting")).to_have_text("3")
    tab.press("Remove its waiting tasks")
    tab.press("Remove")

    tab.sees("Deleted: 3 tasks")
    expect(cell(tab, "Waiting")).to_have_text("0")
    tab.follow("Ready 0")
    tab.sees("No groups are ready.")


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_with_a_hostile_name_is_shown_and_changed_as_any_other(tab: Tab, sample: SampleData, name: str) -> None:
    tab.go(f"projects/{sample.grouped}/groups")
    tab.fill("Group", name)
    tab.press("Find")
    expect(cell(tab, "Waiting")).to_have_text("2")

    tab.fill("Limit", "7")
    tab.press("Set limit")
    expect(cell(tab, "Limit")).to_have_text("own 7")

    assert tab.page.locator("tbody th bdi").evaluate("name => name.textContent") == name
    assert tab.page.title() != "taken"


def test_each_manager_changes_of_a_group_what_their_roles_say(
    browser: Browser, sample: SampleData, project: int
) -> None:
    clerk = sample.fleet.manager()
    theirs = Tab.open(browser, sample.url, clerk)

    for bits, may in (
        (1, set()),
        (3, {"Set delay", "Set limit", "Block", "Unblock"}),
        (17, {"Remove its waiting tasks"}),
    ):
        sample.admin.post(f"/manager/set_role_for_project/{project}", {"manager": clerk.id, "role": bits}).content()
        theirs.go(f"projects/{project}/groups?group=slow+%26+co.example")
        expect(cell(theirs, "Waiting")).to_have_text("3")
        buttons = set(theirs.page.locator("main button").all_inner_texts())
        assert buttons == may | {"Find"}
    theirs.close()
