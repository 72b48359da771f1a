"""Pages of the tasks that match a filter."""

from typing import Any

import pytest

from tests.client import Fleet, WorkerCaller
from tests.manage.bulk import released, submitted


def walked(fleet: Fleet, project: int, **query: Any) -> list[dict[str, Any]]:
    """All pages, one after another."""
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        content = fleet.admin.get(f"/project/tasks/{project}", params=query | after).content()
        assert set(content) == {"next", "tasks"}
        found += content["tasks"]
        if content["next"] is None:
            return found
        after = {"after": content["next"]}


def ids(fleet: Fleet, project: int, **query: Any) -> list[int]:
    return [task["id"] for task in walked(fleet, project, **query)]


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_by_id_have_each_task_of_the_state_once(
    fleet: Fleet, project: int, worker: WorkerCaller, order: str, limit: int
) -> None:
    tasks = [worker.submit(project, priority=n % 3) for n in range(40)]
    held = [worker.take(project)["id"] for _ in range(6)]
    assert all(released(worker, held[3:], 1))
    states = {"assigned": held[:3], "failed": held[3:], "waiting": [task for task in tasks if task not in held]}

    for state, its in {**states, "queue": states["waiting"], "verifying": []}.items():
        assert ids(fleet, project, state=state, order=order, limit=limit) == sorted(its, reverse=order == "newest")


def test_a_row_is_the_same_as_in_a_page_without_a_filter(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    worker.submit(project, "é" * 300, group="a site", priority=3, hash64=5)
    plain = fleet.admin.get(f"/project/tasks/{project}").content()["tasks"]

    assert walked(fleet, project, order="newest") == plain
    assert walked(fleet, project, state="waiting", contains="é") == plain
    full = fleet.admin.get(f"/project/tasks/{project}?full=1").content()["tasks"]
    assert walked(fleet, project, group="a site", full=1) == full


TEXTS = {
    "https://example.org/a": True,
    "https://EXAMPLE.org/a": False,
    "https://exampleXorg/a": False,
    "": True,
    "%w.*[": True,
    "a\nb": True,
    "\0": True,
    "€": True,
    "x" * 900 + "end": True,
    "100002": False,
    "10": False,
    "host": False,
    "5": False,
}


@pytest.mark.parametrize("text", TEXTS)
def test_contains_finds_a_text_as_it_is_in_the_recipe_only(
    fleet: Fleet, project: int, worker: WorkerCaller, text: str
) -> None:
    recipe = "https://example.org/a?%w.*[\na\nb\0€" + "x" * 3000 + "end"
    task = worker.submit(project, recipe, hash64=5, priority=10, group="host")
    short = worker.submit(project, recipe.replace("x" * 3000, "end"), hash64=6, priority=10, group="host")
    worker.submit(project, "something else", hash64=7, priority=10, group="host")

    found = ids(fleet, project, contains=text, order="oldest")

    expected = [task, short] if len(text) < 900 else [task]
    if not text:
        expected = [task, short, short + 100_000]
    assert found == (expected if TEXTS[text] else [])


def test_a_group_and_a_worker_are_found_as_they_are_named(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    other = fleet.worker(project)
    a, b, ab = (worker.submit(project, group=group) for group in ("a", "b", "a b"))
    assert ids(fleet, project, group="a") == [a]
    assert ids(fleet, project, group="a b") == [ab]
    assert ids(fleet, project, group="c") == []

    assert [one.take(project)["id"] for one in (worker, other)] == [a, b]

    assert ids(fleet, project, state="assigned", worker=worker.id) == [a]
    assert ids(fleet, project, state="assigned", worker=other.id) == [b]
    assert ids(fleet, project, state="assigned", worker=other.id, group="a") == []
    assert ids(fleet, project, worker=worker.id) == []


def test_a_page_looks_at_a_thousand_tasks_and_says_where_to_go_on(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    assert submitted(worker, project, range(1, 2501)) == 2500
    needle = worker.submit(project, "needle")
    pages: list[int] = []
    after: str | None = ""
    while after is not None:
        query = {"contains": "needle"} | ({"after": after} if after else {})
        content = fleet.admin.get(f"/project/tasks/{project}", params=query).content()
        pages.append(len(content["tasks"]))
        after = content["next"]

    assert pages == [0, 0, 1]
    newest = fleet.admin.get(f"/project/tasks/{project}?contains=needle&order=newest&limit=1").content()
    assert [task["id"] for task in newest["tasks"]] == [needle]


def test_tasks_that_change_and_come_meanwhile_are_met_once_at_most(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    tasks = [worker.submit(project) for _ in range(10)]
    first = fleet.admin.get(f"/project/tasks/{project}?order=oldest&limit=4").content()
    assert [task["id"] for task in first["tasks"]] == tasks[:4]

    # To the end of the queue, as they were skipped; two are held; one comes.
    skipped = [worker.take(project)["id"] for _ in range(3)]
    held = [worker.take(project)["id"] for _ in range(2)]
    assert all(released(worker, skipped, 2))
    assert (skipped, held) == (tasks[:3], tasks[3:5])
    new = worker.submit(project)

    rest = ids(fleet, project, order="oldest", after=first["next"])
    assert rest == [task for task in tasks[4:] if task not in held] + [new]


def test_large_recipes_fill_a_page_that_is_filtered_up_to_some_megabytes(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    recipe = "x" * (1 << 20)
    tasks = [worker.submit(project, recipe) for _ in range(12)]
    path = f"/project/tasks/{project}?order=oldest&contains=x&full=1&limit=500"

    first = fleet.admin.get(path).content()
    assert 1 <= len(first["tasks"]) <= 10
    assert ids(fleet, project, order="oldest", contains="x", full=1, limit=500) == tasks


def test_a_project_without_tasks_has_an_empty_page(fleet: Fleet, project: int) -> None:
    assert walked(fleet, project, order="newest") == walked(fleet, project, order="oldest") == []


@pytest.mark.parametrize(
    "query",
    [
        "order=",
        "order=up",
        "state=closed&order=newest",
        "worker=0",
        "worker=x",
        "after=",
        "after=-1",
        "after=123456789012",
        "after=1e3",
        "offset=0&order=newest",
        "limit=0&order=newest",
        "contains=" + "x" * 1001,
        "group=a%0ab",
    ],
)
def test_an_invalid_filter_is_refused(fleet: Fleet, project: int, query: str) -> None:
    answer = fleet.admin.get(f"/project/tasks/{project}?{query}")

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(query.partition("=")[0])
