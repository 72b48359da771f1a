"""Pages of a project's tasks, and how much of a recipe they show."""

import pytest

from tests.client import Fleet, WorkerCaller
from tests.manage.test_single_tasks import only, page


def test_pages_follow_each_other_in_the_order_in_which_tasks_come_up(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    low = [worker.submit(project, priority=1) for _ in range(4)]
    high = [worker.submit(project, priority=2) for _ in range(3)]
    pages = [page(fleet, project, f"?state=waiting&offset={offset}&limit=3") for offset in (0, 3, 6, 9)]

    assert [content["total"] for content in pages] == [7, 7, 7, 7]
    assert [[task["id"] for task in content["tasks"]] for content in pages] == [high, low[:3], low[3:], []]
    assert page(fleet, project) == page(fleet, project, "?state=waiting&offset=0&limit=50&full=0")
    assert page(fleet, project, "?state=failed") == {"total": 0, "tasks": []}


@pytest.mark.parametrize("query", ["", "?state=waiting", "?state=queue", "?state=queue&order=oldest"])
def test_what_waits_is_waiting_also_to_who_calls_it_the_queue(
    fleet: Fleet, project: int, worker: WorkerCaller, query: str
) -> None:
    task = worker.submit(project)

    (row,) = page(fleet, project, query)["tasks"]
    assert (row["id"], row["state"]) == (task, "waiting")
    assert fleet.admin.get(f"/project/task/{project}/{task}").content()["task"]["state"] == "waiting"
    removed = fleet.admin.post(f"/project/remove_tasks/{project}", {"state": "queue"}).content()
    assert removed == {"affected_tasks": 1, "pending": False}


def test_a_page_has_fifty_tasks_unless_said_otherwise(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    requests = [{"project": project, "recipe": "r"}] * 501
    worker.post("/task/bulk_submit", {"requests": requests}).content()

    assert len(page(fleet, project)["tasks"]) == 50
    assert len(page(fleet, project, "?limit=500")["tasks"]) == 500


@pytest.mark.parametrize(
    ("recipe", "shown"),
    [
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200),
        ("€" * 300, "€" * 200),
        ("é" * 201, "é" * 200),
        ("x" + "€" * 400, "x" + "€" * 199),
        ("🐛" * 200, "🐛" * 200),
        ("xyz" + "🐛" * 300, "xyz" + "🐛" * 197),
        ("\n\t\0" * 100, ("\n\t\0" * 100)[:200]),
    ],
    ids=["exact", "one more", "three bytes", "two bytes", "uneven", "four bytes", "uneven four", "controls"],
)
def test_a_long_recipe_is_cut_at_two_hundred_characters(
    fleet: Fleet, project: int, worker: WorkerCaller, recipe: str, shown: str
) -> None:
    worker.submit(project, recipe)

    cut = only(fleet, project, "waiting")
    full = only(fleet, project, "waiting", "&full=1")

    assert (cut["recipe"], full["recipe"]) == (shown, recipe)
    assert cut["recipe_bytes"] == full["recipe_bytes"] == len(recipe.encode())


def test_whole_recipes_fill_a_page_up_to_some_megabytes(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    recipe = "x" * (1 << 20)
    ids = [worker.submit(project, recipe) for _ in range(12)]
    seen: list[int] = []
    while len(seen) < 12:
        content = page(fleet, project, f"?full=1&limit=500&offset={len(seen)}")
        assert 1 <= len(content["tasks"]) <= 10
        assert all(task["recipe"] == recipe for task in content["tasks"])
        seen += [task["id"] for task in content["tasks"]]

    assert seen == ids


@pytest.mark.parametrize(
    "query",
    [
        "?state=closed",
        "?state=",
        "?limit=0",
        "?limit=501",
        "?limit=x",
        "?offset=-1",
        "?offset=1e3",
        "?offset=1000000000",
    ],
)
def test_an_invalid_page_is_refused(fleet: Fleet, project: int, query: str) -> None:
    answer = fleet.admin.get(f"/project/tasks/{project}{query}")

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(query[1:].partition("=")[0])
