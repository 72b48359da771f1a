"""The page of a project's access: many requests are accepted at once, and join tokens let a fleet in."""

import pytest
from playwright.sync_api import Browser, Locator, expect

from broker.store.projects import MANAGE_ACCESS, READ
from tests.browser.sample_data import SampleData
from tests.browser.tab import Tab
from tests.browser.test_pages import looked_at
from tests.client import ManagerCaller, WorkerCaller
from tests.serving import until


@pytest.fixture
def project(sample: SampleData) -> int:
    return sample.fleet.project()


@pytest.fixture
def asking(sample: SampleData, project: int) -> list[WorkerCaller]:
    workers = [sample.fleet.worker(alias=f"asking-{n}") for n in range(4)]
    for worker in workers:
        worker.post("/project/request_access", {"project": project, "assign": True}).content()
    return workers


@pytest.fixture
def opened(timed: Tab, project: int, asking: list[WorkerCaller]) -> Tab:
    timed.go(f"projects/{project}/access")
    expect(requests(timed)).to_have_count(len(asking))
    expect(timed.page.locator("html[data-ready]")).to_be_attached()
    return timed


def requests(tab: Tab) -> Locator:
    return tab.page.locator("[data-live=requests] tbody tr")


def tokens(tab: Tab) -> Locator:
    return tab.page.locator("[data-live=tokens] tbody tr")


def inside(sample: SampleData, project: int) -> set[int]:
    rows = sample.admin.get(f"/project/access_list/{project}").content()["accesses"]
    return {row["worker"]["id"] for row in rows if not row["request"]}


def test_a_double_click_lets_one_worker_in(
    opened: Tab, sample: SampleData, project: int, asking: list[WorkerCaller]
) -> None:
    opened.page.get_by_role("button", name="Accept: asking-0").dblclick()
    opened.later(3)

    expect(requests(opened)).to_have_count(4)
    expect(requests(opened).first).to_contain_text("Accepting…")
    assert inside(sample, project) == set()
    opened.later(3)

    opened.sees("Access granted")
    expect(requests(opened)).to_have_count(3)
    assert inside(sample, project) == {asking[0].id}


def test_a_rejection_is_undone(opened: Tab, sample: SampleData, project: int, asking: list[WorkerCaller]) -> None:
    opened.press("Reject: asking-1")
    opened.later(1)
    opened.press("Undo: Reject: asking-1")
    opened.later(10)

    expect(requests(opened)).to_have_count(4)
    rows = sample.admin.get(f"/project/access_list/{project}").content()["accesses"]
    assert {row["worker"]["id"] for row in rows if row["request"]} == {worker.id for worker in asking}


def test_those_that_are_selected_are_accepted_though_the_page_updates_itself(
    opened: Tab, sample: SampleData, project: int, asking: list[WorkerCaller]
) -> None:
    chosen = opened.page.locator("#accept-selected")
    expect(chosen).to_be_disabled()
    for worker in (0, 2):
        opened.page.get_by_label(f"Select: asking-{worker}").check()
    sample.admin.post(f"/project/reject_request/{project}/{asking[2].id}").content()
    late = sample.fleet.worker(alias="late")
    late.post("/project/request_access", {"project": project, "assign": True}).content()
    opened.later(4)
    expect(requests(opened)).to_have_count(4)
    expect(opened.page.get_by_label("Select: asking-0")).to_be_checked()
    expect(chosen).to_have_text("Accept 1 selected")

    opened.press("Accept 1 selected")

    opened.sees("1 request accepted")
    expect(requests(opened)).to_have_count(3)
    expect(chosen).to_be_disabled()
    assert inside(sample, project) == {asking[0].id}


def test_all_on_a_page_are_selected_at_once(
    opened: Tab, sample: SampleData, project: int, asking: list[WorkerCaller]
) -> None:
    everything = opened.page.get_by_label("Select all on this page")
    everything.check()
    expect(opened.page.locator("#accept-selected")).to_have_text("Accept 4 selected")
    opened.page.get_by_label("Select: asking-3").uncheck()
    expect(opened.page.locator("#accept-selected")).to_have_text("Accept 3 selected")
    assert everything.evaluate("(box) => box.indeterminate")

    opened.press("Accept 3 selected")

    opened.sees("3 requests accepted")
    assert inside(sample, project) == {worker.id for worker in asking[:3]}


def test_all_requests_are_accepted_after_a_question(
    opened: Tab, sample: SampleData, project: int, asking: list[WorkerCaller]
) -> None:
    opened.press("Accept all")
    opened.sees_part("4 at the moment")
    assert inside(sample, project) == set()
    opened.press("Accept all", inside=opened.page.get_by_role("dialog"))

    opened.sees("4 requests accepted")
    expect(requests(opened)).to_have_count(0)
    assert inside(sample, project) == {worker.id for worker in asking}


def test_a_join_token_is_shown_once_copied_and_revoked(timed: Tab, sample: SampleData, project: int) -> None:
    worker, late = sample.fleet.worker(), sample.fleet.worker()
    timed.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    timed.go(f"projects/{project}/access")
    shown = timed.page.locator("#new-token")
    expect(shown).to_be_hidden()

    timed.page.get_by_label("submit tasks").check()
    timed.page.get_by_label("Ends in").select_option(label="7 days")
    timed.fill("Workers", "2")
    timed.press("Create")

    expect(shown).to_be_visible()
    token = shown.locator("#token").inner_text()
    looked_at(timed, "access-token")
    expect(shown.get_by_role("button", name="Copy")).to_be_focused()
    timed.press("Copy")
    timed.sees("Copied")
    assert timed.page.evaluate("navigator.clipboard.readText()") == token
    expect(tokens(timed)).to_have_count(1)
    assert worker.post("/project/join", {"project": project, "token": token}).content() == {
        "assign": True,
        "submit": True,
    }
    timed.later(4)
    expect(tokens(timed).first).to_contain_text("1")
    expect(timed.page.locator("[data-live=granted] tbody tr")).to_have_count(1)
    expect(shown).to_be_visible()
    timed.press("I have it")
    expect(shown).to_be_hidden()
    assert token not in timed.page.content()
    timed.page.reload()
    assert token not in timed.page.content()

    timed.press("Revoke: token #1")
    timed.later(6)
    timed.sees("The token has ended")
    expect(tokens(timed)).to_have_count(0)
    assert late.post("/project/join", {"project": project, "token": token}).status == 403


def test_a_token_that_gives_nothing_or_is_one_too_many_is_refused_in_the_form(
    tab: Tab, sample: SampleData, project: int
) -> None:
    tab.go(f"projects/{project}/access")
    tab.page.get_by_label("get tasks").uncheck()
    tab.press("Create")
    tab.sees("The token must give assign, submit or both")
    for _ in range(100):
        sample.admin.post(f"/project/join_tokens/{project}", {"assign": True}).content()

    tab.page.get_by_label("get tasks").check()
    tab.press("Create")

    tab.sees("The project has 100 join tokens: revoke one")
    expect(tab.page.locator("#new-token")).to_be_hidden()


def test_leaving_the_page_carries_out_the_acceptance(
    opened: Tab, sample: SampleData, project: int, asking: list[WorkerCaller], browser: Browser
) -> None:
    opened.press("Accept: asking-3")

    opened.follow("Managers")

    until(lambda: inside(sample, project) == {asking[3].id})


def test_every_page_says_how_many_requests_wait_and_leads_there(
    browser: Browser, sample: SampleData, asking: list[WorkerCaller], project: int
) -> None:
    owner = ManagerCaller(sample.url, "edna", "a long password")
    sample.admin.post(
        f"/manager/set_role_for_project/{project}", {"manager": owner.id, "role": READ | MANAGE_ACCESS}
    ).content()
    tab = Tab.open(browser, sample.url, owner, clock=True)
    badge = tab.page.locator(".self .badge")
    # They are counted some seconds later.
    until(lambda: "4 <span" in owner.http.get("/ui/account").text)

    tab.go("logs")
    expect(badge).to_have_text("4 access requests")
    badge.click()
    tab.at(f"projects/{project}/access")
    tab.press("Accept all")
    tab.press("Accept all", inside=tab.page.get_by_role("dialog"))
    tab.sees("4 requests accepted")
    until(lambda: "/access" not in owner.http.get("/ui/account").text)
    tab.later(3)

    expect(badge).to_have_count(0)
    tab.close()
    owner.close()


def test_with_requests_in_several_projects_the_top_bar_leads_to_those(
    tab: Tab, sample: SampleData, asking: list[WorkerCaller], project: int
) -> None:
    name = sample.admin.get(f"/project/get/{project}").content()["name"]
    tab.go("console")

    tab.page.locator(".self .badge").click()

    tab.at(r"\?show=requests")
    rows = tab.page.locator("[data-live=rows] tbody tr")
    expect(rows.filter(has_text=name)).to_contain_text("4 requests")
    expect(rows.filter(has_text="Python docs: pages")).to_contain_text("2 requests")
    expect(rows.filter(has_text="Not begun yet")).to_have_count(0)


def test_those_that_match_a_filter_are_accepted_and_no_others(
    opened: Tab, sample: SampleData, project: int, asking: list[WorkerCaller]
) -> None:
    producers = [sample.fleet.worker(alias=f"producer-{n}") for n in range(3)]
    for worker in producers:
        worker.post("/project/request_access", {"project": project, "submit": True}).content()
    opened.later(4)
    expect(requests(opened)).to_have_count(7)
    opened.page.get_by_label("Select: asking-1").check()

    opened.page.get_by_label("For").select_option(label="submit")
    opened.later(1)
    expect(requests(opened)).to_have_count(3)
    opened.at(rf"projects/{project}/access\?show=all&may=submit")
    # It would accept those that are not shown as well.
    expect(opened.page.get_by_role("button", name="Accept all")).to_have_count(0)
    expect(opened.page.locator("#accept-selected")).to_be_disabled()
    opened.page.get_by_label("Search workers").fill("CER-1")
    opened.later(1)
    expect(requests(opened)).to_have_count(1)
    opened.page.get_by_label("Search workers").fill("")
    opened.later(1)
    opened.page.get_by_label("Select all on this page").check()
    opened.press("Accept 3 selected")

    opened.sees("3 requests accepted")
    opened.sees("No request matches the filter.")
    assert inside(sample, project) == {worker.id for worker in producers}
    opened.page.get_by_label("For").select_option(label="anything")
    opened.later(1)
    expect(requests(opened)).to_have_count(4)


def test_workers_are_shown_by_what_they_have(
    opened: Tab, sample: SampleData, project: int, asking: list[WorkerCaller]
) -> None:
    sample.admin.post(f"/project/accept_request/{project}/{asking[0].id}").content()
    sample.admin.post(f"/project/reject_request/{project}/{asking[1].id}").content()
    shown = opened.page.get_by_label("Show")
    granted, rejected = (opened.page.locator(f"[data-live={name}] tbody tr") for name in ("granted", "rejected"))
    expect(rejected).to_have_count(0)

    shown.select_option(label="with access")
    opened.later(1)
    expect(requests(opened)).to_have_count(0)
    expect(granted).to_contain_text(["asking-0"])
    shown.select_option(label="rejected")
    opened.later(1)
    expect(granted).to_have_count(0)
    expect(rejected).to_contain_text(["asking-1"])
    shown.select_option(value="requests")
    opened.later(1)

    expect(rejected).to_have_count(0)
    expect(requests(opened)).to_contain_text(["asking-2", "asking-3"])
