"""Signing in and out, passwords, sessions, and the way there and back."""

import re
from pathlib import Path

from playwright.sync_api import Browser, Route, expect

from tests.browser.sample_data import SampleData
from tests.browser.tab import Tab
from tests.client import Caller
from tests.serving import Serving

PASSWORD = "a long password"


def sign_in(tab: Tab, username: str, password: str) -> None:
    tab.fill("Username", username)
    tab.fill("Password", password)
    tab.press("Sign in")


def test_a_visitor_signs_in_and_gets_the_page_that_they_wanted(browser: Browser, sample: SampleData) -> None:
    manager = sample.fleet.manager()
    tab = Tab.open(browser, sample.url)
    tab.go(f"projects/{sample.busy}?range=1h")

    sign_in(tab, manager.username, "a wrong password")
    tab.sees("Wrong username or password")
    expect(tab.page.get_by_label("Password")).to_be_focused()
    sign_in(tab, manager.username, PASSWORD)

    tab.at(f"projects/{sample.busy}\\?range=1h")
    tab.press("Sign out")
    tab.at("sign-in")
    tab.go("workers")
    tab.at("sign-in\\?next=workers")
    tab.close()


def test_the_way_back_leads_nowhere_else(browser: Browser, sample: SampleData) -> None:
    manager = sample.fleet.manager()
    for elsewhere in ("//evil.example/", "javascript:alert(1)"):
        tab = Tab.open(browser, sample.url)
        tab.go(f"sign-in?next={elsewhere}")
        sign_in(tab, manager.username, PASSWORD)
        tab.at("")
        tab.close()


def test_a_name_that_is_taken_is_said_at_its_field(browser: Browser, sample: SampleData) -> None:
    tab = Tab.open(browser, sample.url)
    tab.go("register")
    tab.fill("Username", "ada")
    tab.fill("Password", PASSWORD)

    tab.press("Register")

    expect(tab.page.locator("#username-error")).to_be_visible()
    expect(tab.page.get_by_label("Username")).to_be_focused()
    tab.close()


def test_too_many_attempts_have_to_wait(browser: Browser, tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, register_limit="1", login_limit="1")
    serving.caller().post("/register", {"username": "admin", "password": PASSWORD}).content()
    tab = Tab.open(browser, serving.url)

    tab.go("sign-in")
    sign_in(tab, "admin", "a wrong password")
    tab.sees("Wrong username or password")
    sign_in(tab, "admin", PASSWORD)
    tab.sees_part("Too many wrong passwords from this address: ask again in")
    tab.go("register")
    tab.fill("Username", "another")
    tab.fill("Password", PASSWORD)
    tab.press("Register")
    tab.sees_part("Too many registrations from this address: ask again in")

    tab.close()
    assert serving.stop() == 0


def test_a_new_password_ends_the_session(browser: Browser, sample: SampleData) -> None:
    manager = sample.fleet.manager()
    tab = Tab.open(browser, sample.url, manager)
    tab.go("account")
    tab.fill("Current password", "not the one")
    tab.fill("New password", "another password")
    tab.press("Change the password")
    tab.sees("Wrong username or password")

    tab.fill("Current password", PASSWORD)
    tab.press("Change the password")

    tab.at("sign-in")
    sign_in(tab, manager.username, "another password")
    tab.at("")
    tab.close()


def test_other_sessions_are_ended(browser: Browser, sample: SampleData) -> None:
    manager = sample.fleet.manager()
    others = [Caller(sample.url) for _ in range(3)]
    for other in others:
        other.post("/login", {"username": manager.username, "password": PASSWORD}).content()
    tab = Tab.open(browser, sample.url, manager)
    tab.go("account")
    rows = tab.page.locator("tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text(re.compile(r"python-httpx/[\d.]+\s*signed in now from 127.0.0.1"))

    rows.filter(has_not_text="this one").first.get_by_role("button").click()
    tab.sees("The session has ended")
    expect(rows).to_have_count(3)
    tab.press("End all others")
    tab.press("End all others", inside=tab.page.get_by_role("dialog"))

    expect(rows).to_have_count(1)
    assert [other.get("/account").content()["logged_in"] for other in others] == [False] * 3
    for other in others:
        other.close()
    tab.go("")
    tab.sees("Projects")
    tab.close()


def test_a_manager_who_is_signed_out_elsewhere_gets_the_sign_in_page(browser: Browser, sample: SampleData) -> None:
    manager = sample.fleet.manager()
    tab = Tab.open(browser, sample.url, manager, clock=True)
    tab.go("")

    manager.post("/logout").content()
    tab.later(3)

    tab.at("sign-in")
    tab.close()


def test_everything_works_under_a_path_that_a_proxy_takes_off(tab: Tab, sample: SampleData) -> None:
    project = sample.fleet.project(name="Behind a proxy")
    asked: list[str] = []

    def proxy(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(response=route.fetch(url=route.request.url.replace("/tasks/", "/", 1)))

    tab.page.route(f"{sample.url}/**", lambda route: route.abort())
    tab.page.route(f"{sample.url}/tasks/**", proxy)
    tab.page.goto("/tasks/ui/")
    tab.follow("Behind a proxy")
    tab.press("Pause")
    tab.sees("The project is paused")
    tab.follow("Secrets")
    tab.sees(f"{sample.url}/tasks/git/receivehook")
    tab.follow("Overview")
    tab.sees("Projects")

    assert sample.admin.get(f"/project/get/{project}").content()["paused"] is True
    assert len(asked) > 20


def test_a_page_is_used_with_the_keyboard(tab: Tab, sample: SampleData) -> None:
    tab.go(f"projects/{sample.busy}/settings")

    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_role("link", name="Skip to content")).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("main")).to_be_focused()
    tab.page.get_by_role("button", name="Delete", exact=True).focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("dialog").get_by_role("textbox")).to_be_focused()
    tab.page.keyboard.press("Escape")

    expect(tab.page.get_by_role("button", name="Delete", exact=True)).to_be_focused()


def test_a_token_is_shown_once_works_and_is_revoked(browser: Browser, sample: SampleData) -> None:
    manager = sample.fleet.manager()
    tab = Tab.open(browser, sample.url, manager, clock=True)
    tab.go("account")
    tab.press("Create")
    assert manager.get("/account/tokens").content() == {"tokens": []}
    tab.fill("Name", "nightly <b>report</b>")
    tab.press("Create")
    tab.sees("Copy the token now: it is not shown again.")

    program = Caller(sample.url, {"Authorization": f"Bearer {tab.page.locator('#token').inner_text()}"})
    assert program.get("/account").content()["manager"]["username"] == manager.username
    tab.press("I have it")
    expect(tab.page.locator("#new-token")).to_be_hidden()
    assert "tbm_" not in tab.page.content()
    tab.go("account")
    row = tab.page.locator("tr", has_text="nightly <b>report</b>")
    expect(row).to_be_visible()
    tab.press("Revoke: token #1", inside=row)
    tab.later(6)
    expect(row).to_be_hidden()
    assert program.get("/account").status == 401
    program.close()
    tab.close()
