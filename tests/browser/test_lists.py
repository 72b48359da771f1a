"""Overview, workers, logs, managers: found, sorted, filtered, changed, and up to date by themselves."""

import re
import time

from playwright.sync_api import Route, expect

from tests.browser.sample_data import SampleData
from tests.browser.tab import Tab
from tests.serving import until


def names(tab: Tab) -> list[str]:
    return tab.page.locator("tbody th > a:first-child").all_inner_texts()


def test_projects_are_searched_and_sorted(tab: Tab) -> None:
    tab.go()

    tab.page.get_by_label("Search projects").fill("PYTHON")
    expect(tab.page.locator("tbody tr")).to_have_count(2)
    tab.follow("Waiting")

    assert names(tab) == ["Python docs: pages", "Python docs: index"]
    tab.follow("Project")
    assert names(tab) == ["Python docs: index", "Python docs: pages"]
    tab.follow("Last 2 hours")
    tab.at(r"\?sort=activity&q=PYTHON")
    assert names(tab) == ["Python docs: pages", "Python docs: index"]
    tab.page.get_by_label("Search projects").fill("nothing has this")
    tab.sees_part("has “nothing has this” in its name")


def test_the_overview_says_what_needs_attention_and_leads_there(tab: Tab, sample: SampleData) -> None:
    tab.go()
    trouble = tab.page.locator("[data-live=attention] li")
    # A minute after its tasks were submitted it stalls as well.
    failing = trouble.filter(has_text="Shop pages, old layout").filter(has_text="Failing:")
    expect(failing).to_contain_text(re.compile(r"Failing: 120 tasks failed in \d+ (s|min)( \d+ s)?, 0 closed\."))
    expect(trouble.filter(has_text="Python docs: pages")).to_contain_text(" access.")
    tab.sees_part("2 server processes, store memory")

    tab.page.get_by_label("Show").select_option(label="that need attention")
    expect(tab.page.locator("tbody tr", has_text="Not begun yet")).to_have_count(0)
    expect(tab.page.locator("tbody tr", has_text="Shop pages").locator(".badge.bad")).to_have_text("attention")
    expect(tab.page.locator("[data-live=rows] [role=status]")).to_have_text(re.compile(r"^\d+ projects? of [\d,]+$"))
    failing.get_by_role("link").click()

    tab.at(f"projects/{sample.failing}/tasks\\?state=failed")


def test_a_slash_goes_to_the_search(tab: Tab) -> None:
    tab.go()
    expect(tab.page.locator("html[data-ready]")).to_be_attached()

    tab.page.keyboard.press("/")
    expect(tab.page.get_by_label("Search projects")).to_be_focused()
    tab.page.keyboard.type("a/b")

    expect(tab.page.get_by_label("Search projects")).to_have_value("a/b")


def test_the_overview_updates_itself_and_keeps_what_is_being_typed(timed: Tab, sample: SampleData) -> None:
    project = sample.fleet.project(name="Counted")
    worker = sample.fleet.worker(project)
    timed.go()
    row = timed.page.locator("tr", has_text="Counted")
    expect(row.locator("[data-label=Waiting]")).to_have_text("0")
    timed.page.get_by_label("Search projects").press_sequentially("Count")
    row.evaluate("row => { window.seen = row; }")

    worker.submit(project)
    timed.later(3)

    expect(row.locator("[data-label=Waiting]")).to_have_text("1")
    expect(timed.page.get_by_label("Search projects")).to_have_value("Count")
    expect(timed.page.get_by_label("Search projects")).to_be_focused()
    assert row.evaluate("row => row === window.seen"), "the row was made anew: it flickers"


def test_a_worker_is_found_and_paused(tab: Tab, sample: SampleData) -> None:
    project = sample.fleet.project()
    worker = sample.fleet.worker(project, alias="to be paused")
    worker.submit(project)
    tab.go("workers")
    tab.page.get_by_label("Search workers").fill("to be p")
    expect(tab.page.get_by_text("1 worker of")).to_be_visible()

    tab.press("Pause: to be paused")
    tab.sees("The worker is paused")
    assert worker.get(f"/task/get/{project}").code == "worker_paused"
    tab.press("Resume: to be paused")

    tab.sees("The worker is resumed")
    assert worker.take(project)


def test_silent_workers_are_found_in_one_look_and_hidden_after_a_week(timed: Tab, sample: SampleData) -> None:
    timed.go("workers")
    row = timed.page.locator("[data-live=workers] tbody tr")
    gone = row.filter(has_text="gone with its tasks")
    expect(gone.locator("[data-label=State]")).to_have_text("silent")
    expect(gone.locator("[data-label='Last seen']")).to_have_text(re.compile("^\\d\\d min ago$"))
    expect(gone.locator("[data-label=Host]")).to_have_text("node-9.example")
    expect(gone.locator("[data-label=Version]")).to_have_text("1.3")
    expect(row.filter(has_text="of last month")).to_have_count(0)
    expect(row.filter(has_text="crawler-1").locator("[data-label=State]")).to_have_text("alive")

    timed.page.locator("select[name=show]").select_option("silent")
    expect(row).to_have_count(2)
    timed.page.locator("select[name=show]").select_option("alive")
    expect(gone).to_have_count(0)
    timed.go("workers?show=all")
    expect(row.filter(has_text="of last month")).to_have_count(1)
    timed.follow("Fails")
    expect(row.first.locator("[data-label=Fails]")).not_to_have_text("0")
    timed.page.get_by_label("Search workers").fill("node-9.example")
    expect(row).to_have_count(2)


def test_a_worker_that_comes_back_is_alive(timed: Tab, sample: SampleData) -> None:
    worker = sample.fleet.worker(alias="comes back")
    timed.go("workers?q=comes+back")
    state = timed.page.locator("[data-live=workers] tbody tr").locator("[data-label=State]")
    expect(state).to_have_text("never seen")

    worker.get("/task/get/1", headers={"X-Worker-Info": "host=h"})
    until(lambda: sample.admin.get(f"/worker/get/{worker.id}").content()["worker"]["host"] == "h")
    timed.later(6)

    expect(state).to_have_text("alive")


def test_logs_are_filtered_and_come_by_themselves(timed: Tab, sample: SampleData) -> None:
    worker = sample.workers[0]
    timed.go("logs")
    timed.page.get_by_label("Scope").fill("brand new")
    timed.sees("No log lines")

    line = {"scope": "brand new", "message": "just happened", "timestamp": int(time.time())}
    for level in ("warn", "info"):
        worker.post(f"/log/{level}", line).content()
    timed.later(3)
    timed.sees("just happened")
    expect(timed.page.locator("tbody tr")).to_have_count(1)
    timed.page.get_by_label("Level").select_option(label="info and worse")
    expect(timed.page.locator("tbody tr")).to_have_count(2)
    timed.page.get_by_label("Worker").fill("broker")

    timed.sees("No log lines")


def test_a_manager_is_promoted_and_demoted(tab: Tab, sample: SampleData) -> None:
    other = sample.fleet.manager()
    tab.go("managers")

    tab.press(f"Promote: {other.username}")
    tab.press("Promote")
    tab.sees("Now an admin")
    assert other.get("/account").content()["manager"]["tracker_admin"] is True
    tab.press(f"Demote: {other.username}")
    tab.press("Demote")
    tab.sees("No longer an admin")

    assert other.get("/account").content()["manager"]["tracker_admin"] is False


def test_a_page_says_when_it_cannot_update_itself(timed: Tab) -> None:
    def cut(route: Route) -> None:
        route.abort()

    timed.go()
    timed.page.route("**/ui/**", cut)
    timed.later(3)

    timed.sees("No connection to the broker; retrying")
    banner, main = (timed.page.locator(place).bounding_box() for place in ("#connection", "main"))
    head = timed.page.locator("header").bounding_box()
    assert banner
    assert main
    assert head
    assert head["y"] + head["height"] <= banner["y"]
    assert banner["y"] + banner["height"] <= main["y"], "it covers the page"
    timed.page.unroute("**/ui/**")
    # Whoever comes back to the page does not have to wait for its next turn.
    timed.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(timed.page.get_by_text("No connection to the broker")).to_be_hidden()
    timed.complaints = [text for text in timed.complaints if "net::ERR_FAILED" not in text]
