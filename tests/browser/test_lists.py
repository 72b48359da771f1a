"""Overview, workers, logs, managers: found, sorted, filtered, changed, and up to date by themselves."""

import time

from playwright.sync_api import Route, expect

from tests.browser.tab import Tab
from tests.browser.town import Town


def names(tab: Tab) -> list[str]:
    return tab.page.locator("tbody th").all_inner_texts()


def test_projects_are_searched_and_sorted(tab: Tab) -> None:
    tab.go()

    tab.page.get_by_label("Search projects").fill("PYTHON")
    expect(tab.page.locator("tbody tr")).to_have_count(2)
    tab.follow("Waiting")

    assert names(tab) == ["Python docs: pages", "Python docs: index"]
    tab.page.get_by_label("Search projects").fill("nothing has this")
    tab.sees_part("has “nothing has this” in its name")


def test_the_overview_updates_itself_and_keeps_what_is_being_typed(tab: Tab, town: Town) -> None:
    project = town.fleet.project(name="Counted")
    worker = town.fleet.worker(project)
    tab.go()
    row = tab.page.locator("tr", has_text="Counted")
    expect(row.locator("[data-label=Waiting]")).to_have_text("0")
    tab.page.get_by_label("Search projects").press_sequentially("Count")
    row.evaluate("row => { window.seen = row; }")

    worker.submit(project)

    expect(row.locator("[data-label=Waiting]")).to_have_text("1")
    expect(tab.page.get_by_label("Search projects")).to_have_value("Count")
    expect(tab.page.get_by_label("Search projects")).to_be_focused()
    assert row.evaluate("row => row === window.seen"), "the row was made anew: it flickers"


def test_a_worker_is_found_and_paused(tab: Tab, town: Town) -> None:
    project = town.fleet.project()
    worker = town.fleet.worker(project, alias="to be paused")
    worker.submit(project)
    tab.go("workers")
    tab.page.get_by_label("Search workers").fill("to be p")

    # The list of all workers is up to ten seconds old.
    button = tab.page.get_by_role("button", name="Pause: to be paused")
    expect(button).to_be_visible(timeout=20_000)
    button.click()
    tab.sees("The worker is paused")
    assert worker.get(f"/task/get/{project}").code == "worker_paused"
    tab.press("Resume: to be paused")

    tab.sees("The worker may take tasks again")
    assert worker.take(project)


def test_logs_are_filtered_and_come_by_themselves(tab: Tab, town: Town) -> None:
    worker = town.workers[0]
    tab.go("logs")
    tab.page.get_by_label("Scope").fill("brand new")
    tab.sees("No line")

    line = {"scope": "brand new", "message": "just happened", "timestamp": int(time.time())}
    for level in ("warn", "info"):
        worker.post(f"/log/{level}", line).content()
    tab.sees("just happened")
    expect(tab.page.locator("tbody tr")).to_have_count(1)
    tab.page.get_by_label("Level").select_option(label="info and worse")
    expect(tab.page.locator("tbody tr")).to_have_count(2)
    tab.page.get_by_label("Worker").fill("broker")

    tab.sees("No line")


def test_a_manager_is_promoted_and_demoted(tab: Tab, town: Town) -> None:
    other = town.fleet.manager()
    tab.go("managers")

    tab.press(f"Promote: {other.username}")
    tab.press("Promote")
    tab.sees("Admin now")
    assert other.get("/account").content()["manager"]["tracker_admin"] is True
    tab.press(f"Demote: {other.username}")
    tab.press("Demote")
    tab.sees("No admin any more")

    assert other.get("/account").content()["manager"]["tracker_admin"] is False


def test_a_page_says_when_it_cannot_update_itself(tab: Tab) -> None:
    def cut(route: Route) -> None:
        route.abort()

    tab.go()
    tab.page.route("**/ui/**", cut)

    tab.sees("No connection to the broker; trying again")
    tab.page.unroute("**/ui/**")
    # Whoever comes back to the page does not have to wait for its next turn.
    tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(tab.page.get_by_text("No connection to the broker")).to_be_hidden()
    tab.complaints = [text for text in tab.complaints if "net::ERR_FAILED" not in text]
