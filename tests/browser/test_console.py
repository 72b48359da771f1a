"""Tasks by hand: one, or many from a text or a file."""

import json
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from broker.cli import main
from broker.client import Credentials
from tests.browser.sample_data import SampleData
from tests.browser.tab import Tab
from tests.client import ManagerCaller
from tests.serving import Serving


@pytest.fixture
def project(sample: SampleData) -> int:
    return sample.fleet.project()


def waiting(sample: SampleData, project: int, state: str = "queue") -> list[dict[str, Any]]:
    path = f"/project/tasks/{project}?state={state}&limit=500&full=1"
    tasks: list[dict[str, Any]] = sample.admin.get(path).content()["tasks"]
    return tasks


def outcome(tab: Tab, text: str) -> None:
    expect(tab.page.locator("#outcome")).to_contain_text(text, timeout=20_000)


def test_one_task_is_submitted_with_its_fields_and_as_curl_once_more(
    tab: Tab, sample: SampleData, project: int
) -> None:
    tab.go(f"console?project={project}")
    tab.fill("Recipe", "it's <b>one</b>")
    tab.page.get_by_text("Priority, attempts, verification").click()
    tab.fill("Priority", "-7")
    tab.fill("Votes needed", "2")
    tab.fill("Delay in seconds", "3600")

    tab.press("Submit")
    outcome(tab, "Submitted: task")
    tab.fill("Unique string", "second")
    command = tab.page.locator("#curl").get_attribute("data-value")
    assert command
    subprocess.run(shlex.split(command.replace("\\\n", " ")), check=True, capture_output=True)

    tasks = waiting(sample, project, "delayed")
    assert [(task["recipe"], task["priority"], task["verification_count"]) for task in tasks] == [
        ("it's <b>one</b>", -7, 2)
    ] * 2
    assert "SECRET" in tab.page.locator("#curl").inner_text()


def test_the_same_task_is_submitted_once_and_its_link_leads_to_it(tab: Tab, sample: SampleData, project: int) -> None:
    tab.go(f"console?project={project}")
    tab.fill("Recipe", "only once")
    tab.press("Submit")
    outcome(tab, "Submitted: task")
    tab.press("Submit")
    outcome(tab, "the project has this task already")
    (task,) = waiting(sample, project)
    tab.page.get_by_label("Refuse duplicates").uncheck()
    tab.press("Submit")
    outcome(tab, "Submitted: task")
    assert len(waiting(sample, project)) == 2

    tab.page.locator("#outcome").get_by_role("link").click()

    tab.at(f"projects/{project}/tasks/{waiting(sample, project)[1]['id']}")
    assert task["hash64"]


def test_a_project_is_searched_where_there_are_many(browser: Browser, tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=1)
    admin = ManagerCaller(serving.url, "ada", "a long password")
    ids = [admin.post("/project/create", {"name": f"shop {n}"}).content()["id"] for n in range(130)]
    many = Tab.open(browser, serving.url, admin)
    many.go("console")
    options = many.page.get_by_label("Project", exact=True).locator("option")
    expect(options).to_have_count(100)

    many.page.get_by_label("Search projects").fill("SHOP 12")
    expect(options).to_have_count(11)
    many.page.get_by_label("Project", exact=True).select_option(label="shop 128")
    many.fill("Recipe", "far away")
    many.press("Submit")
    outcome(many, "Submitted: task")
    assert admin.get(f"/project/stats/{ids[128]}").content()["stats"]["waiting"] == 1
    many.page.get_by_label("Search projects").fill("nowhere")
    many.sees_part("No project has “nowhere” in its name.")
    many.press("Submit")

    outcome(many, "Choose a project first")
    many.page.get_by_label("Search projects").fill("shop 7")
    expect(options).to_have_count(11)
    many.page.get_by_label("Search projects").press("Enter")
    many.go(f"projects/{ids[0]}/settings")
    many.page.get_by_label("Search projects").fill("shop 129")
    chain = many.page.get_by_label("Closed tasks go to")
    expect(chain.locator("option")).to_have_text(["no other project: they are deleted", "shop 129"])
    chain.select_option(label="shop 129")
    many.press("Save")
    many.sees("Saved")
    many.go(f"projects/{ids[0]}/settings")
    expect(chain).to_have_value(str(ids[129]))
    assert admin.get(f"/project/get/{ids[0]}").content()["project"]["chain"] == ids[129]
    many.close()
    admin.close()
    assert serving.stop() == 0


def test_a_console_without_projects_leads_to_the_first_one(browser: Browser, tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, workers=1)
    admin = ManagerCaller(serving.url, "ada", "a long password")
    empty = Tab.open(browser, serving.url, admin)
    empty.go("console")
    expect(empty.page.locator("html[data-ready]")).to_be_attached()
    empty.follow("Create a project")
    empty.at("projects/new")
    empty.close()
    admin.close()
    assert serving.stop() == 0


def test_lines_are_submitted_exactly_and_duplicates_counted(tab: Tab, sample: SampleData, project: int) -> None:
    lines = ["plain", '{"recipe": "with fields", "hash64": -9223372036854775808, "priority": 4}', "", "plain", "{}x"]
    tab.go(f"console?project={project}")
    tab.page.get_by_label("Many tasks").check()

    tab.fill("One task per line", "\n".join(lines))
    tab.press("Submit")
    outcome(tab, "Line 5: it looks like JSON, but is not valid")
    assert waiting(sample, project) == []
    tab.fill("One task per line", "\n".join(lines[:4]))
    tab.press("Submit")
    outcome(tab, "Done: 2 tasks submitted, 1 duplicate")

    tasks = {task["recipe"]: task for task in waiting(sample, project)}
    assert (tasks["with fields"]["hash64"], tasks["with fields"]["priority"]) == (-(2**63), 4)
    late = {"recipe": "in two hours", "not_before": time.time() + 7200}
    tab.fill("One task per line", f"{json.dumps(late)}\nin an hour")
    tab.page.get_by_text("Priority, attempts, verification").click()
    tab.fill("Delay in seconds", "3600")
    tab.press("Submit")
    outcome(tab, "Done: 2 tasks submitted, 0 duplicates")
    assert [task["recipe"] for task in waiting(sample, project, "delayed")] == ["in an hour", "in two hours"]
    tab.fill("One task per line", "\n".join(lines[:4]))
    tab.press("Submit")
    outcome(tab, "Done: 0 tasks submitted, 3 duplicates")


def test_a_file_goes_in_piece_by_piece_and_waits_for_the_rate(
    tab: Tab, sample: SampleData, project: int, tmp_path: Path
) -> None:
    sample.admin.post(f"/project/update/{project}", {"submit_rate": 2000}).content()
    (tmp_path / "lines.txt").write_text("".join(f"https://shop.example/{n}\n" for n in range(1_700)))
    tab.go(f"console?project={project}")
    tab.page.get_by_label("Many tasks").check()
    tab.page.get_by_label("Or a file").set_input_files(tmp_path / "lines.txt")

    tab.press("Submit")

    expect(tab.page.get_by_role("progressbar")).to_be_visible()
    outcome(tab, "Done: 1,700 tasks submitted, 0 duplicates")
    stats = sample.admin.get(f"/project/stats/{project}").content()["stats"]
    assert stats["waiting"] == 1_700
    assert "status of 429" in json.dumps(tab.refused)


def submit_file(tab: Tab, project: int, file: Path) -> None:
    tab.go(f"console?project={project}")
    tab.page.get_by_label("Many tasks").check()
    tab.page.get_by_label("Or a file").set_input_files(file)
    tab.press("Submit")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_a_file_that_is_no_utf_8_is_refused_with_its_bad_lines(
    tab: Tab, sample: SampleData, project: int, tmp_path: Path, encoding: str
) -> None:
    text = "".join(f"käfer {n}\n" for n in range(25))
    (tmp_path / "lines.txt").write_bytes(b"fine\n" * 600 + text.encode(encoding))

    submit_file(tab, project, tmp_path / "lines.txt")

    outcome(tab, "Nothing was submitted")
    said = tab.page.locator("#outcome").inner_text().splitlines()
    assert [line.partition(":")[0] for line in said[:20]] == [f"Line {n}" for n in range(601, 621)]
    assert "must be UTF-8" in said[0]
    assert said[20] in {"and 5 more", "and 6 more"}
    assert waiting(sample, project) == []


def test_the_console_takes_the_same_recipes_from_a_file_as_the_command(
    tab: Tab, sample: SampleData, project: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lines.txt"
    lines = [
        " a ",
        "b\r",
        "\r\rc",
        "\t \r",
        "\x0b\x0c",
        "\xa0",
        "\x1c",
        "\ufeff",
        "\ufeffd",
        "e\u2028f",
        "\x85",
        "",
        "g",
    ]
    file.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    by_command = sample.fleet.project()
    worker = sample.fleet.worker(by_command)
    Credentials(worker.id, "", worker.secret).save(tmp_path / "worker.json")
    for name, value in (("URL", sample.url), ("WORKER_FILE", str(tmp_path / "worker.json"))):
        monkeypatch.setenv(f"TASK_BROKER_{name}", value)
    assert main(["submit", str(file), "--project", str(by_command)]) == 0

    submit_file(tab, project, file)

    outcome(tab, "Done: 10 tasks submitted, 0 duplicates")
    recipes = [task["recipe"] for task in waiting(sample, project)]
    assert recipes == [" a ", "b", "c", "\xa0", "\x1c", "\ufeff", "\ufeffd", "e\u2028f", "\x85", "g"]
    assert recipes == [task["recipe"] for task in waiting(sample, by_command)]


def test_a_manager_who_may_not_accept_workers_is_told_that_a_request_waits(
    browser: Browser, sample: SampleData, project: int
) -> None:
    theirs = Tab.open(browser, sample.url, sample.fleet.manager())
    theirs.go(f"console?project={project}")
    theirs.fill("Recipe", "a wish")

    theirs.press("Submit")

    outcome(theirs, "has requested access: a manager of the project must accept the request first")
    (request,) = sample.admin.get(f"/project/access_list/{project}").content()["accesses"]
    assert (request["request"], request["submit"], request["assign"]) == (True, True, False)
    theirs.close()


@pytest.mark.parametrize(
    ("label", "value", "message"),
    [("Recipe", "", "Write what the worker shall do"), ("Priority", "40000", "Value must be less than or equal to")],
)
def test_an_invalid_task_is_refused_at_its_field(tab: Tab, project: int, label: str, value: str, message: str) -> None:
    tab.go(f"console?project={project}")
    tab.fill("Recipe", "a task")
    tab.page.get_by_text("Priority, attempts, verification").click()
    tab.fill(label, value)

    tab.press("Submit")

    tab.sees_part(message)
    expect(tab.page.get_by_label(label, exact=True)).to_be_focused()
