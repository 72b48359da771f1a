"""The page of a worker: when it was seen, where it has access, what it holds, and why it gets no task."""

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.sample_data import SampleData
from tests.browser.tab import Tab
from tests.client import WorkerCaller
from tests.serving import until


@pytest.fixture
def project(sample: SampleData) -> int:
    return sample.fleet.project(name="held up")


@pytest.fixture
def worker(sample: SampleData, project: int) -> WorkerCaller:
    """It holds two tasks, has failed one, and was seen."""
    worker = sample.fleet.worker(project, alias="killed")
    for n in range(3):
        worker.submit(project, str(n))
    tasks = worker.get(f"/task/get/{project}?count=3", headers={"X-Worker-Info": "version=2.1; host=node-3"})
    worker.release(tasks.content()["tasks"][0]["id"], result=1)
    until(lambda: shown(sample, worker)["failed_task_count"] == 1 and shown(sample, worker)["held_task_count"] == 2)
    until(lambda: shown(sample, worker)["host"] == "node-3")
    return worker


def shown(sample: SampleData, worker: WorkerCaller) -> dict[str, object]:
    found: dict[str, object] = sample.admin.get(f"/worker/get/{worker.id}").content()["worker"]
    return found


def row(tab: Tab, project: int) -> Locator:
    return tab.page.locator(f"tr[data-key='{project}']")


@pytest.fixture(autouse=True)
def _ends(sample: SampleData, project: int) -> object:
    yield
    sample.admin.post(f"/project/delete/{project}").content()


def test_what_a_silent_worker_holds_is_found_and_reclaimed(
    tab: Tab, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    tab.go("workers?show=all")
    tab.page.get_by_label("Search workers").fill("killed")
    tab.follow("killed")
    tab.at(f"workers/{worker.id}")
    for text in ("alive", "node-3", "2.1"):
        tab.sees(text)
    expect(row(tab, project).locator("[data-label='Holding now']")).to_have_text("2")
    expect(row(tab, project).locator("[data-label=Fails]")).to_have_text("1")

    tab.press("Reclaim: held up")
    tab.press("Reclaim", inside=tab.page.get_by_role("dialog"))

    tab.sees("2 tasks wait again")
    assert sample.admin.get(f"/project/stats/{project}").content()["stats"]["assigned"] == 0
    assert worker.take(project)


def test_why_a_worker_gets_nothing_is_told_in_words(
    tab: Tab, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    sample.admin.post(f"/project/update/{project}", {"paused": True}).content()
    tab.go(f"workers/{worker.id}")

    tab.follow("Why no task: held up")

    tab.sees_part("The project is paused")
    tab.sees_part("No task waits in this project")
    tab.follow("Close")
    tab.at(f"workers/{worker.id}\\??")
    expect(tab.page.get_by_text("The project is paused")).to_have_count(0)


def test_access_is_revoked_from_there_and_a_deleted_worker_has_no_page(
    timed: Tab, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    timed.go(f"workers/{worker.id}")
    timed.press("Revoke: held up")
    timed.later(6)
    timed.sees("Access revoked")
    timed.sees("It has access to no project.")
    timed.sees_part("It holds 2 tasks of other projects")
    assert worker.get(f"/task/get/{project}").code == "denied"

    timed.press("Delete: killed")
    timed.press("Delete", inside=timed.page.get_by_role("dialog"))
    timed.at("workers")
    assert worker.get(f"/task/get/{project}").code == "bad_credentials"
    timed.go(f"workers/{worker.id}")
    timed.sees_part("No such worker")
    assert timed.refused.pop().endswith("404 (Not Found)")


def test_a_manager_sees_only_the_projects_that_they_may_see_and_does_what_their_roles_allow(
    browser: Browser, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    hidden = sample.fleet.project(name="a hidden one", hidden=True)
    worker.post("/project/request_access", {"project": hidden, "assign": True}).content()
    sample.admin.post(f"/project/accept_request/{hidden}/{worker.id}").content()
    reader = sample.fleet.manager()
    role = {"manager": reader.id, "role": 1}
    sample.admin.post(f"/manager/set_role_for_project/{project}", role).content()
    theirs = Tab.open(browser, sample.url, reader)

    theirs.go(f"workers/{worker.id}?why={project}")

    expect(row(theirs, project).locator("[data-label='Holding now']")).to_have_text("2")
    for name in ("Pause", "Delete", "Reclaim", "Revoke", "Why"):
        expect(theirs.page.get_by_text(name, exact=False).locator("visible=true")).to_have_count(0)
    assert "a hidden one" not in theirs.page.content()
    assert theirs.page.get_by_text("nothing waits", exact=False).count() == 0
    theirs.close()
