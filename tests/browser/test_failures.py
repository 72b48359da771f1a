"""Why tasks have failed, in the browser: messages, filters, and retry or removal of what matches."""

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.sample_data import SampleData
from tests.browser.tab import Tab
from tests.client import WorkerCaller


@pytest.fixture
def project(sample: SampleData) -> int:
    return sample.fleet.project()


@pytest.fixture
def worker(sample: SampleData, project: int) -> WorkerCaller:
    return sample.fleet.worker(project, alias="crawler")


def fail(worker: WorkerCaller, project: int, messages: list[str], **fields: object) -> list[int]:
    """Tasks that fail one by one, each with its message."""
    for start in range(0, len(messages), 500):
        some = messages[start : start + 500]
        requests = [{"project": project, "recipe": f"page {start + n}", **fields} for n in range(len(some))]
        worker.post("/task/bulk_submit", {"requests": requests}).content()
        tasks = worker.get(f"/task/get/{project}?count={len(some)}").content()["tasks"]
        releases = [
            {"task_id": task["id"], "result": 1, "message": message} for task, message in zip(tasks, some, strict=True)
        ]
        worker.post("/task/bulk_release", {"requests": releases}).content()
    return [task["id"] for task in tasks]


def rows(tab: Tab) -> Locator:
    return tab.page.locator("[data-live=tasks] tbody tr")


def found(tab: Tab, text: str) -> None:
    expect(tab.page.locator("[data-live=tasks] [role=status]")).to_contain_text(text)


def test_why_a_task_has_failed_is_seen_with_one_click_and_those_alike_with_the_next(
    tab: Tab, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    fail(worker, project, ["HTTP 500", "HTTP 500 & more", "timeout", "HTTP 500", ""])
    tab.go()

    tab.page.locator(f"tr[data-key='{project}']").get_by_role("link", name="5", exact=True).click()
    expect(tab.page.locator(".reasons tbody th").first).to_have_text("HTTP 500")
    expect(tab.page.locator(".reasons tbody .number")).to_have_text(["2", "1", "1", "1"])
    expect(rows(tab)).to_have_count(5)
    tab.follow("HTTP 500 & more")

    found(tab, "1 of 5 failed tasks found.")
    expect(rows(tab).locator("td.why")).to_have_text([f"HTTP 500 & more{worker.alias} #{worker.id}"])
    expect(rows(tab).locator("[data-label=Attempts]")).to_have_text(["1 of 1 failed"])


def test_what_matches_is_retried_and_removed_after_a_question_with_the_number(
    tab: Tab, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    other = sample.fleet.worker(project)
    fail(worker, project, ["HTTP 500", "HTTP 404", "HTTP 500"])
    fail(other, project, ["HTTP 500"], group="a & b")
    tab.go(f"projects/{project}/tasks?state=failed")
    dialog = tab.page.get_by_role("dialog")

    tab.page.get_by_label("Text in the recipe or the failure").fill("HTTP 500")
    found(tab, "3 of 4 failed tasks found.")
    tab.page.get_by_label("Failed by worker").fill(str(worker.id))
    found(tab, "2 of 4 failed tasks found.")
    tab.press("Retry all (2)")
    expect(dialog).to_contain_text("2 failed tasks match. All of them will be waiting again")
    tab.press("Cancel")
    tab.press("Retry all (2)")
    tab.press("Retry all (2)", inside=dialog)
    tab.sees("Waiting again: 2 tasks")
    tab.sees("No tasks match")
    tab.go(f"projects/{project}/tasks?state=failed&group=a+%26+b")
    tab.press("Remove all (1)")
    expect(dialog).to_contain_text("1 failed task matches.")
    tab.press("Remove all (1)", inside=dialog)
    tab.sees("Deleted: 1 task")

    stats = sample.admin.get(f"/project/stats/{project}").content()["stats"]
    assert (stats["waiting"], stats["failed"]) == (2, 1)


def test_of_5000_failed_tasks_the_newest_come_first_and_one_jumps_to_a_page(
    tab: Tab, project: int, worker: WorkerCaller
) -> None:
    fail(worker, project, ["rare"])
    newest = fail(worker, project, ["often"] * 4_999)[-499:]
    tab.go(f"projects/{project}/tasks?state=failed")
    tab.sees("the 1,000 that failed last")
    expect(rows(tab)).to_have_count(50)
    assert {int(name) for name in rows(tab).locator("th").all_inner_texts()} <= set(newest)

    tab.fill("Page", "100")
    tab.press("Go")
    expect(rows(tab)).to_have_count(50)
    expect(rows(tab).last.locator("td.why")).to_contain_text("rare")
    tab.page.get_by_label("Text in the recipe or the failure").fill("often")
    found(tab, "1,000 found among the 1,000 tasks that failed last.")
    expect(tab.page.get_by_role("button", name="Retry all that match")).to_be_visible()
    tab.follow("Search older ones")
    found(tab, "1,000 found among 1,000 older tasks.")
    tab.press("Remove all that match")
    expect(tab.page.get_by_role("dialog")).to_contain_text("At least 1,000 failed tasks match")
    tab.press("Remove all that match", inside=tab.page.get_by_role("dialog"))

    tab.sees_part("Deleted")
    expect(tab.page.locator("[data-live=states] a[aria-current] .count")).to_have_text("1", timeout=30_000)


def test_waiting_tasks_are_searched_and_removed_as_well(
    tab: Tab, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    worker.submit(project, "https://a.example/1")
    worker.submit(project, "https://b.example/1")
    tab.go(f"projects/{project}/tasks")

    tab.page.get_by_label("Text in the recipe or the failure").fill("b.example")
    found(tab, "1 task found.")
    tab.press("Remove all (1)")
    tab.press("Remove all (1)", inside=tab.page.get_by_role("dialog"))

    tab.sees("Deleted: 1 task")
    tab.follow("Show all")
    expect(rows(tab)).to_have_count(1)


@pytest.mark.parametrize("query", ["contains=%00%FF", "worker=x", "worker=-1", "group=%01", "page=99999", "after=9x"])
def test_a_search_that_nobody_would_type_finds_nothing_and_breaks_nothing(
    tab: Tab, project: int, worker: WorkerCaller, query: str
) -> None:
    fail(worker, project, ["HTTP 500"])

    for state in ("failed", "queue", "assigned"):
        tab.go(f"projects/{project}/tasks?state={state}&{query}")
        expect(tab.page.get_by_role("link", name="Failed 1")).to_be_visible()


def test_what_was_asked_is_done_also_when_the_page_changes_before_the_answer(
    timed: Tab, sample: SampleData, project: int, worker: WorkerCaller
) -> None:
    fail(worker, project, ["HTTP 500", "HTTP 404"])
    timed.go(f"projects/{project}/tasks?state=failed&contains=HTTP+500")
    timed.press("Remove all (1)")
    dialog = timed.page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 failed task matches.")

    # As if the filter had been cleared just before: the button now means both.
    timed.page.evaluate(
        "button => button.dataset.body = JSON.stringify({state: 'failed'})",
        timed.page.locator("button[data-call*=remove_tasks]").element_handle(),
    )
    timed.press("Remove all (1)", inside=dialog)

    timed.sees("Deleted: 1 task")
    assert sample.admin.get(f"/project/stats/{project}").content()["stats"]["failed"] == 1


def test_a_button_means_what_is_in_the_filter_also_when_the_list_is_not_there_yet(
    tab: Tab, project: int, worker: WorkerCaller
) -> None:
    fail(worker, project, ["HTTP 500", "HTTP 404", "HTTP 500"])
    tab.go(f"projects/{project}/tasks?state=failed")
    expect(tab.page.get_by_role("button", name="Remove all (3)")).to_be_visible()
    expect(tab.page.locator("html[data-ready]")).to_be_attached()

    tab.page.evaluate("""() => {
      const field = document.querySelector("input[name=contains]");
      field.value = "404";
      field.dispatchEvent(new Event("input", { bubbles: true }));
      document.querySelector("button[data-call*=remove_tasks]").click();
    }""")

    expect(tab.page.get_by_role("dialog")).to_contain_text("1 failed task matches.")


def test_a_page_behind_the_last_one_leads_back(tab: Tab, project: int, worker: WorkerCaller) -> None:
    fail(worker, project, ["HTTP 500"])
    tab.go(f"projects/{project}/tasks?state=failed&page=7")

    tab.sees("No tasks on this page")
    tab.follow("First page")

    expect(rows(tab)).to_have_count(1)
