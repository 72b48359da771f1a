"""What managers do with a project, in the browser."""

import hashlib
import hmac
import json
import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.sample_data import HOSTILE, SampleData
from tests.browser.tab import Tab
from tests.client import WorkerCaller
from tests.serving import until


@pytest.fixture
def project(sample: SampleData) -> int:
    return sample.fleet.project(git_repo="ada/shop")


@pytest.fixture
def worker(sample: SampleData, project: int) -> WorkerCaller:
    return sample.fleet.worker(project, alias="crawler")


def tile(tab: Tab, name: str) -> Locator:
    return tab.page.locator(f"#{name}")


def test_a_request_appears_by_itself_is_accepted_and_revoked(timed: Tab, sample: SampleData, project: int) -> None:
    timed.go(f"projects/{project}/access")
    timed.sees("No worker has access yet.")
    newcomer = sample.fleet.worker(alias="late comer")

    newcomer.post("/project/request_access", {"project": project, "assign": True, "submit": True}).content()
    timed.later(3)
    timed.press("Accept: late comer")
    timed.later(6)

    timed.sees("Access granted")
    newcomer.submit(project)
    timed.press("Revoke: late comer")
    timed.later(6)
    timed.sees("Access revoked")
    assert newcomer.get(f"/task/get/{project}").code == "denied"


def test_a_project_is_paused_and_goes_on(tab: Tab, project: int, worker: WorkerCaller) -> None:
    worker.submit(project)
    tab.go(f"projects/{project}")

    tab.press("Pause")
    tab.sees("paused")
    assert worker.get(f"/task/get/{project}").code == "paused"
    tab.press("Resume")
    tab.sees("The project is resumed")

    assert worker.take(project)["recipe"] == "recipe"


def test_a_webhook_works_with_what_the_page_says_to_paste(tab: Tab, sample: SampleData, project: int) -> None:
    tab.go(f"projects/{project}/secrets")
    expect(tab.page.get_by_label("Webhook secret", exact=True)).not_to_have_value("")
    tab.press("Generate")
    tab.page.locator("#webhook-form").get_by_role("button", name="Show", exact=True).click()
    tab.press("Save the webhook secret")
    tab.sees("The webhook secret is saved")

    url, secret = (tab.page.locator(f"details[open] [data-fill={which}]").inner_text() for which in ("url", "secret"))
    push = json.dumps({"ref": "refs/heads/main", "after": "f" * 40, "repository": {"full_name": "ada/shop"}})
    signature = hmac.new(secret.encode(), push.encode(), hashlib.sha256).hexdigest()
    answer = sample.fleet.anybody.post(
        url.removeprefix(sample.url), push, headers={"X-Hub-Signature-256": f"sha256={signature}"}
    )

    assert answer.content() == {"projects": [project]}
    tab.follow("Summary")
    tab.sees("f" * 40)


def test_a_secret_that_is_no_json_is_saved_only_when_one_insists(tab: Tab, sample: SampleData, project: int) -> None:
    tab.go(f"projects/{project}/secrets")
    tab.sees("Valid JSON")
    masked = tab.page.get_by_label("Secret for workers")
    expect(masked).to_have_css("-webkit-text-security", "disc")
    tab.press("Show the secret")
    expect(masked).to_have_css("-webkit-text-security", "none")
    tab.fill("Secret for workers", '{"token": "abc"}')
    tab.press("Save the secret")
    tab.sees("The secret is saved")
    tab.fill("Secret for workers", "token=abc")
    tab.press("Save the secret")
    tab.press("Cancel")
    assert secret(sample, project) == '{"token": "abc"}'

    tab.press("Save the secret")
    tab.press("Save anyway")

    until(lambda: secret(sample, project) == "token=abc")


def secret(sample: SampleData, project: int) -> str:
    text: str = sample.admin.get(f"/project/secret/{project}").content()["secret"]
    return text


def test_the_lists_say_why_tasks_failed_and_when_delayed_ones_come(
    tab: Tab, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    task = worker.submit(project, max_retries=3)
    worker.take(project)
    worker.post("/task/give_back", {"task_ids": [task]}).content()
    worker.take(project)
    failed = {"task_id": task, "result": 1, "message": "HTTP 500", "delay": 36_000}
    worker.post("/task/release", failed).content()
    tab.go(f"projects/{project}/tasks?state=delayed")
    row = tab.page.locator("tbody tr")
    expect(row).to_contain_text("1 of 3 failed, 1 reclaimed")
    expect(row.locator("[data-label='Not before']")).to_have_text("in 10 h")

    tab.follow(str(task))
    expect(tab.page.locator("dt:text('Last error') + dd")).to_have_text("HTTP 500")
    expect(tab.page.locator("dt:text('Failed by') + dd")).to_contain_text(f"{worker.alias} #{worker.id}")
    other = worker.submit(project, "other")
    worker.take(project)
    worker.post("/task/release", failed | {"task_id": other, "message": "no <b>title</b>"}).content()
    tab.go(f"projects/{project}/tasks?state=failed")

    expect(tab.page.locator("tbody td.why")).to_contain_text(f"no <b>title</b>{worker.alias} #{worker.id}")
    tab.go()
    tab.page.get_by_role("link", name="Delayed", exact=True).click()
    tab.at(r"\?sort=delayed")


def test_a_failed_task_is_looked_at_and_tried_again(tab: Tab, project: int, worker: WorkerCaller) -> None:
    task = worker.submit(project, '{"url":"https://shop.example/1","hash":12345678901234567890}')
    worker.release(worker.take(project)["id"], result=1)
    tab.go(f"projects/{project}/tasks?state=failed")

    tab.follow(str(task))
    expect(tab.page.get_by_label("Recipe", exact=True)).to_contain_text('"hash": 12345678901234567890')
    tab.press("Retry")
    tab.sees("waiting")

    assert worker.take(project)["id"] == task


def test_a_task_is_removed_after_a_question(tab: Tab, project: int, worker: WorkerCaller) -> None:
    task = worker.submit(project)
    tab.go(f"projects/{project}/tasks/{task}")

    tab.press("Remove")
    tab.press("Cancel")
    expect(tab.page.get_by_label("Recipe", exact=True)).to_be_visible()
    tab.press("Remove")
    tab.press("Remove", inside=tab.page.get_by_role("dialog"))

    tab.sees("No tasks are waiting.")


def test_a_hard_reset_asks_for_the_words(tab: Tab, project: int, worker: WorkerCaller) -> None:
    for _ in range(3):
        worker.submit(project)
    tab.go(f"projects/{project}/settings")
    dialog = tab.page.get_by_role("dialog")

    tab.press("Hard reset")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    expect(dialog.get_by_role("button", name="Hard reset")).to_be_disabled()
    dialog.get_by_role("textbox").fill("hard rest")
    tab.page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Hard reset")).to_be_disabled()
    tab.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tab.page.locator("[data-live=delete]")).to_contain_text("3 tasks now")
    tab.press("Hard reset")
    dialog.get_by_role("textbox").fill("hard reset")
    tab.page.keyboard.press("Enter")

    tab.sees("Deleted: 3 tasks")
    tab.follow("Summary")
    expect(tile(tab, "waiting")).to_have_text("0")


def test_a_deleted_project_leaves_the_overview(tab: Tab, sample: SampleData) -> None:
    project = sample.fleet.project(name="Not for long")
    tab.go(f"projects/{project}/settings")

    tab.press("Delete")
    tab.page.get_by_role("dialog").get_by_role("textbox").fill(f"delete {project}")
    tab.press("Delete the project")

    tab.at("")
    expect(tab.page.get_by_role("link", name="Shop prices")).to_be_visible()
    expect(tab.page.get_by_role("link", name="Not for long")).to_have_count(0)


def test_settings_are_saved_and_a_refusal_stands_at_its_field(tab: Tab, sample: SampleData, project: int) -> None:
    tab.go(f"projects/{project}/settings")
    tab.page.locator("#assign_rate-unlimited").uncheck()
    tab.fill("Tasks assigned per second", "2.5")
    tab.page.get_by_label("Closed tasks go to").select_option(label="Python docs: index")
    tab.page.get_by_label("Hidden").check()
    tab.press("Save")
    tab.sees("Saved")
    saved = sample.admin.get(f"/project/get/{project}").content()["project"]
    assert (saved["assign_rate"], saved["chain"], saved["hidden"]) == (2.5, sample.index, True)

    tab.fill("Name", "Shop prices")
    tab.press("Save")

    expect(tab.page.get_by_label("Name", exact=True)).to_be_focused()
    expect(tab.page.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(tab.page.locator("#name-error")).to_have_text("Another project has this name")


def test_each_manager_sees_and_does_what_their_roles_say(
    browser: Browser, tab: Tab, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    worker.submit(project)
    worker.release(worker.take(project)["id"], result=1)
    clerk = sample.fleet.manager()
    theirs = Tab.open(browser, sample.url, clerk)
    theirs.go(f"projects/{project}")
    expect(theirs.page.get_by_role("link", name="Summary")).to_be_visible()
    expect(theirs.page.get_by_role("link", name="Tasks", exact=True)).to_have_count(0)
    theirs.go(f"projects/{project}/tasks")
    theirs.sees("Not allowed")

    tab.go(f"projects/{project}/access")
    tab.page.get_by_label("Manager to add").select_option(label=clerk.username)
    tab.page.locator("form.add").get_by_label("Maintenance").check()
    tab.press("Add")
    expect(tab.page.get_by_role("group", name=clerk.username)).to_be_visible()
    theirs.go(f"projects/{project}")

    expect(theirs.page.get_by_role("link", name="Tasks", exact=True)).to_be_visible()
    expect(theirs.page.get_by_role("button", name="Reset failed")).to_be_visible()
    for label in ("Pause", "Delete"):
        expect(theirs.page.get_by_role("button", name=label)).to_have_count(0)
    for label in ("Access", "Secrets"):
        expect(theirs.page.get_by_role("link", name=label)).to_have_count(0)
    theirs.follow("Settings")
    expect(theirs.page.locator("main").get_by_role("button")).to_have_text(["Hard reset"])
    theirs.follow("Summary")
    row = tab.page.get_by_role("group", name=clerk.username)
    row.get_by_label("Maintenance").uncheck()
    tab.press("Save", inside=row)
    tab.sees("Roles saved")
    expect(theirs.page.get_by_role("button", name="Reset failed")).to_have_count(1)
    theirs.press("Reset failed")
    theirs.press("Reset failed", inside=theirs.page.get_by_role("dialog"))
    theirs.sees("Needs the MAINTENANCE role on the project")
    theirs.close()


def test_a_link_that_a_browser_would_run_is_no_link(tab: Tab, sample: SampleData) -> None:
    tab.go(f"projects/{sample.hostile}")

    tab.sees("javascript:document.title='taken'")
    assert tab.page.locator("a[href^=javascript]").count() == 0
    tab.go(f"projects/{sample.busy}")
    expect(tab.page.get_by_role("link", name="https://git.example/ada/crawler")).to_be_visible()


def test_marks_of_writing_direction_end_with_the_name_that_has_them(tab: Tab, sample: SampleData) -> None:
    tab.go(f"projects/{sample.hostile}/access")
    heading = tab.page.get_by_role("heading", level=1)

    name, badge = heading.locator("bdi").bounding_box(), heading.locator(".badge").bounding_box()

    assert name
    assert badge
    assert badge["x"] >= name["x"] + name["width"] or badge["y"] >= name["y"] + name["height"]


def test_a_question_about_a_hostile_worker_is_a_question(timed: Tab, sample: SampleData) -> None:
    timed.go(f"projects/{sample.hostile}/access")

    timed.page.get_by_role("button", name=f"Accept: {HOSTILE[:30]}").first.click()
    timed.later(6)

    timed.sees("Access granted")
    assert timed.page.title() != "taken"


def test_the_timeline_shows_the_range_that_is_chosen(tab: Tab, sample: SampleData) -> None:
    tab.go(f"projects/{sample.busy}")
    chart = tab.page.locator("#timeline")
    expect(chart).to_have_attribute("data-points", re.compile("^1(79|8[0-3])$"))

    tab.follow("1h")
    expect(chart).to_have_attribute("data-points", re.compile("^(29|3[0-3])$"))
    tab.follow("all")

    tab.sees_part("1,44")
    tab.at(f"projects/{sample.busy}\\?range=all")


def test_the_chart_draws_what_the_page_says_before_there_is_a_snapshot(
    timed: Tab, project: int, worker: WorkerCaller
) -> None:
    worker.submit(project)
    timed.go(f"projects/{project}?range=7d")
    chart = timed.page.locator("#timeline")
    expect(chart).to_have_attribute("data-points", "1")
    timed.sees("The chart begins in a few seconds.")

    worker.submit(project)

    def has_begun() -> bool:
        timed.later(2)
        return int(chart.get_attribute("data-points") or 0) >= 2

    until(has_begun)
    expect(timed.page.locator("#chart-tasks")).to_be_visible()
    timed.page.locator("#chart-tasks").hover()
    expect(timed.page.locator("#chart-tasks-values")).to_contain_text("waiting: ")


def test_the_values_under_the_pointer_stand_beside_the_chart(tab: Tab, sample: SampleData) -> None:
    tab.go(f"projects/{sample.busy}")
    expect(tab.page.locator("body[data-late]")).to_have_count(0)

    tab.page.locator("#chart-tasks").hover()

    expect(tab.page.locator("#chart-tasks-values")).to_contain_text("awaiting verification: ")


def test_the_bar_shows_how_much_is_done(tab: Tab, sample: SampleData, project: int, worker: WorkerCaller) -> None:
    for n in range(5):
        worker.submit(project, str(n))
    worker.release(worker.take(project)["id"])
    worker.release(worker.take(project)["id"], result=1)

    tab.go(f"projects/{project}")

    legend = tab.page.locator("[data-live=project] .legend li")
    expect(legend).to_have_text(["closed 20 %", "waiting 60 %", "assigned 0 %", "verifying 0 %", "failed 20 %"])
