"""From the first visit to a running project, with nothing but what a person sees on the page."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.tab import Tab
from tests.client import Fleet
from tests.serving import Serving


def test_a_first_visitor_has_a_running_project_without_reading_anything(browser: Browser, tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=2)
    fleet = Fleet(serving.url, serving.caller())
    tab = Tab.open(browser, serving.url, clock=True)
    tab.page.goto("/")

    tab.sees("Welcome")
    tab.fill("Username", "ada")
    tab.fill("Password", "correct horse")
    tab.press("Create account")
    tab.sees("No projects yet")
    tab.follow("Create the first project")
    tab.fill("Name", "example")
    tab.press("Create project")
    tab.sees("No tasks yet")
    tab.follow("Submit tasks")
    for recipe in ("crawl one", "crawl two", "crawl three"):
        tab.fill("Recipe", recipe)
        tab.press("Submit")
        expect(tab.page.get_by_role("status").filter(has_text="Submitted: task")).to_be_visible()
        # The next one is typed over it.
        expect(tab.page.get_by_label("Recipe", exact=True)).to_be_focused()
        tab.page.get_by_label("Recipe", exact=True).press("Delete")
    tab.follow("Overview")
    tab.follow("example")
    expect(tab.page.locator("#waiting")).to_have_text("3")

    worker = fleet.worker(alias="crawler-1")
    worker.post("/project/request_access", {"project": 1, "assign": True}).content()
    tab.follow("Access")
    tab.press("Accept: crawler-1")
    tab.sees("Access granted")
    tab.follow("Summary")
    tab.page.evaluate("window.loadedOnce = true")
    task = worker.take(1)
    tab.later(2)
    expect(tab.page.locator("#assigned")).to_have_text("1")
    tab.sees("crawler-1")
    assert task["recipe"] == "crawl one"
    assert worker.release(task["id"])
    tab.later(2)
    expect(tab.page.locator("#closed")).to_have_text("1")
    expect(tab.page.locator("#waiting")).to_have_text("2")

    assert tab.page.evaluate("window.loadedOnce")
    assert tab.refused == ["Failed to load resource: the server responded with a status of 403 (Forbidden)"]
    tab.close()
    fleet.close()
    assert serving.stop() == 0
