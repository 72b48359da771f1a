"""Every page, wide and light, narrow and dark: no errors in the browser, and accessible."""

import os
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, ViewportSize, expect

from tests.browser.sample_data import WORD, SampleData
from tests.browser.tab import Tab

AXE = Axe()
SERIOUS = """async () => {
  const { violations } = await axe.run({ resultTypes: ["violations"] });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)} ${node.failureSummary}`));
}"""
"""By every rule that axe has on."""
ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "screenshots"
PICTURES = "BROKER_TEST_PICTURES" in os.environ
"""Take pictures of every page: that doubles the time."""
LARGEST_PICTURE = 200_000
WIDE: ViewportSize = {"width": 1280, "height": 800}
SIZES: list[tuple[str, ViewportSize]] = [("wide", WIDE), ("narrow", {"width": 380, "height": 800})]
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Width and colours have little to do with each other: all four together with the pictures, else two.
LOOKS = [(*size, SCHEMES) if PICTURES else (*size, SCHEMES[n : n + 1]) for n, size in enumerate(SIZES)]
PAGES = {
    "overview": "",
    "project": "projects/{busy}",
    "project-empty": "projects/{empty}",
    "project-paused": "projects/{paused}",
    "project-hostile": "projects/{hostile}",
    "tasks": "projects/{busy}/tasks",
    "tasks-verifying": "projects/{busy}/tasks?state=verifying",
    "tasks-assigned": "projects/{hostile}/tasks?state=assigned",
    "tasks-failed": "projects/{busy}/tasks?state=failed",
    "tasks-hostile": "projects/{hostile}/tasks",
    "tasks-failed-hostile": "projects/{hostile}/tasks?state=failed",
    "tasks-failed-many": "projects/{failing}/tasks?state=failed",
    "tasks-failed-found": "projects/{failing}/tasks?state=failed&contains=HTTP",
    "tasks-found": "projects/{failing}/tasks?group=1.shop.example",
    "tasks-none-found": "projects/{busy}/tasks?contains=nowhere",
    "tasks-delayed": "projects/{grouped}/tasks?state=delayed",
    "task": "projects/{hostile}/tasks/{task}",
    "task-failed": "projects/{hostile}/tasks/{failed}",
    "task-gone": "projects/{busy}/tasks/1",
    "groups": "projects/{grouped}/groups",
    "groups-resting": "projects/{grouped}/groups?state=resting",
    "groups-full": "projects/{grouped}/groups?state=full",
    "groups-blocked": "projects/{grouped}/groups?state=blocked",
    "groups-none": "projects/{busy}/groups",
    "group": "projects/{grouped}/groups?group=a.example",
    "group-hostile": "projects/{grouped}/groups?group={word}",
    "project-grouped": "projects/{grouped}",
    "tasks-grouped": "projects/{grouped}/tasks",
    "settings": "projects/{busy}/settings",
    "new-project": "projects/new",
    "access": "projects/{busy}/access",
    "access-found": "projects/{busy}/access?show=requests&may=submit&q=newcomer",
    "access-none-found": "projects/{busy}/access?q=nobody",
    "access-rejected": "projects/{busy}/access?show=rejected",
    "access-hostile": "projects/{hostile}/access",
    "secrets": "projects/{busy}/secrets",
    "workers": "workers",
    "workers-all": "workers?show=all",
    "worker": "workers/1?why={busy}",
    "worker-lines": "workers/{prices}",
    "worker-hostile": "workers/6",
    "worker-gone": "workers/99999",
    "workers-silent": "workers?show=silent",
    "logs": "logs?level=all",
    "managers": "managers",
    "console": "console?project={busy}",
    "account": "account",
    "not-found": "nowhere",
}


def looked_at(tab: Tab, name: str) -> None:
    """Raises when a page is wider than its window, or axe finds a serious violation. Takes four pictures, if asked."""
    FOLDER.mkdir(exist_ok=True)
    # Charts and secrets come after the page.
    expect(tab.page.locator("body[data-late]")).to_have_count(0)
    tab.page.evaluate(AXE.axe_script)
    for size, viewport, schemes in LOOKS:
        tab.page.set_viewport_size(viewport)
        for scheme in schemes:
            tab.page.emulate_media(color_scheme=scheme)
            if PICTURES:
                tab.page.screenshot(path=FOLDER / f"{name}-{size}-{scheme}.png", full_page=True)
            assert tab.page.evaluate(SERIOUS) == [], f"{size}, {scheme}"
        wider = tab.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{size}: {wider} px too wide"
    tab.page.set_viewport_size(WIDE)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_fit_for_everybody(tab: Tab, sample: SampleData, name: str) -> None:
    gone = name in {"not-found", "task-gone", "worker-gone"}
    place = PAGES[name].format(
        busy=sample.busy,
        empty=sample.empty,
        paused=sample.paused,
        grouped=sample.grouped,
        failing=sample.failing,
        prices=sample.prices,
        word=WORD[:255],
        hostile=sample.hostile,
        task=sample.hostile_task,
        failed=sample.failed_task,
    )

    tab.go(place)

    looked_at(tab, name)
    assert tab.page.title() != "taken"
    assert tab.refused == ["Failed to load resource: the server responded with a status of 404 (Not Found)"] * gone


def test_the_readme_shows_the_ui_as_it_is(browser: Browser, sample: SampleData) -> None:
    """``make pictures`` puts them into docs/."""
    FOLDER.mkdir(exist_ok=True)
    tab = Tab.open(browser, sample.url, sample.guide)
    for name, place, height in (("ui-overview", "", 700), ("ui-project", f"projects/{sample.busy}?range=24h", 800)):
        tab.page.set_viewport_size({"width": 1280, "height": height})
        tab.go(place)
        expect(tab.page.locator("body[data-late]")).to_have_count(0)
        # Requests are counted some seconds later.
        expect(tab.page.locator(".self .badge")).to_have_text("2 access requests")
        tab.page.screenshot(path=FOLDER / f"{name}.png")
        assert (FOLDER / f"{name}.png").stat().st_size < LARGEST_PICTURE
        assert (ROOT / f"docs/{name}.png").stat().st_size < LARGEST_PICTURE
        assert f"(docs/{name}.png)" in (ROOT / "README.md").read_text()
    tab.close()


def test_the_reference_of_the_api_is_fit_for_everybody(browser: Browser, sample: SampleData) -> None:
    outside = Tab.open(browser, sample.url)
    outside.page.goto("/docs")

    # Some calls of each group, opened: all of them would be fifty screens.
    outside.page.evaluate("""() => {
      document.querySelectorAll("details:nth-of-type(12n + 1)").forEach((one) => (one.open = true));
      document.querySelectorAll("details:not([open]) > .told").forEach((one) => one.remove());
    }""")

    looked_at(outside, "docs")
    outside.close()


def test_a_call_in_the_reference_has_a_link_and_leads_to_the_shapes(tab: Tab) -> None:
    tab.go()
    tab.follow("API")
    tab.page.goto("/docs#get_task_get_by_project")
    call = tab.page.locator("#get_task_get_by_project")

    expect(call.get_by_text("the project is paused")).to_be_visible()
    call.get_by_role("link", name="Task", exact=True).first.click()
    expect(tab.page.locator("#Task").get_by_text("assign_time", exact=True)).to_be_visible()

    tab.follow("openapi.json")
    expect(tab.page.get_by_text('"openapi":"3.1.0"')).to_be_visible()


def test_the_reference_is_searched(tab: Tab) -> None:
    tab.page.goto("/docs")
    calls = tab.page.locator("details.call:visible")
    every = calls.count()

    tab.page.get_by_label("Search the calls").fill("Give_Back worker")
    expect(tab.page.get_by_text("calls", exact=False).filter(has_text=f"of {every}")).to_be_visible()
    assert 0 < calls.count() < every
    expect(calls.filter(has_text="/task/give_back")).not_to_have_count(0)
    expect(calls.filter(has_text="/worker/create")).to_have_count(0)
    tab.page.get_by_label("Search the calls").fill("")

    expect(calls).to_have_count(every)


@pytest.mark.parametrize("name", ["sign-in", "register"])
def test_the_way_in_is_fit_for_everybody(browser: Browser, sample: SampleData, name: str) -> None:
    outside = Tab.open(browser, sample.url)

    outside.go(name)

    looked_at(outside, name)
    outside.close()
