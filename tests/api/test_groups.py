"""Tasks that belong to a group: a host or a site."""

from typing import Any

import pytest

from tests.client import Fleet

STRANGE = (
    "example.org",
    "10",
    "-5 3",
    "@",
    "a @ b",
    "b\u00fccher.example",
    "x" * 255,
    "\N{GRINNING FACE}" * 63,
    '"',
    " ",
)


@pytest.mark.parametrize("group", STRANGE)
@pytest.mark.parametrize("fields", [{}, {"hash64": -5}, {"priority": -3, "max_retries": 2, "max_assign_time": 60}])
def test_a_task_keeps_its_group_through_retries(fleet: Fleet, group: str, fields: dict[str, Any]) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    task = worker.submit(project, "10 20\n30", group=group, **fields)
    given = worker.take(project)

    assert worker.release(task, result=1) is True
    if fields.get("max_retries", 0) < 2:
        fleet.admin.post(f"/project/retry_task/{project}/{task}").content()
    again = worker.take(project)

    assert (given["recipe"], again["recipe"]) == ("10 20\n30", "10 20\n30")
    assert (given["group"], again["group"]) == (group, group)
    assert given | {"retries": again["retries"], "assign_time": again["assign_time"]} == again
    (held,) = worker.get(f"/task/assigned/{project}").content()["tasks"]
    assert held["group"] == group
    assert fleet.admin.get(f"/project/task/{project}/{task}").content()["task"]["group"] == group


def test_tasks_of_one_call_have_groups_of_their_own(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    given: list[Any] = ["a", "", None, "a" * 255]
    requests = [{"project": project, "recipe": str(n), "group": group} for n, group in enumerate(given)]
    assert worker.post("/task/bulk_submit", {"requests": requests}).content()["submitted"] == 4

    tasks = worker.get(f"/task/get/{project}?count=10").content()["tasks"]

    assert [task["group"] for task in tasks] == [group or "" for group in given]


def test_a_large_recipe_keeps_its_group(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, "x" * 5000, group="a b")

    task = worker.take(project)

    assert (task["group"], len(task["recipe"])) == ("a b", 5000)


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ("x" * 256, "group: longer than 255 bytes"),
        ("\N{GRINNING FACE}" * 64, "group: longer than 255 bytes"),
        ("a\nb", "group: must not contain control characters"),
        ("a\n", "group: must not contain control characters"),
        ("\x00", "group: must not contain control characters"),
        ("\x7f", "group: must not contain control characters"),
        ("\x85", "group: must not contain control characters"),
        (5, "group"),
    ],
)
def test_a_group_that_cannot_be_one_is_refused(fleet: Fleet, group: object, why: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    body = {"project": project, "recipe": "r", "group": group}

    for path, sent in (("/task/submit", body), ("/task/bulk_submit", {"requests": [body]})):
        answer = worker.post(path, sent)
        assert (answer.status, answer.code) == (400, "invalid")
        assert why in answer.body["message"]
    assert worker.get(f"/task/get/{project}").code == "no_task"
