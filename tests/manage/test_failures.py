"""Why tasks have failed: counted, listed, and retried by message."""

from typing import Any

from tests.client import Fleet, WorkerCaller
from tests.manage.test_matching_tasks import matching
from tests.manage.test_task_filters import ids


def fails(worker: WorkerCaller, project: int, message: str | None) -> int:
    """Submits a task that fails with this message. Returns its id."""
    worker.submit(project)
    task: int = worker.take(project)["id"]
    worker.post("/task/release", {"task_id": task, "result": 1, "message": message}).content()
    return task


def failures(fleet: Fleet, project: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fleet.admin.get(f"/project/failures/{project}").content()["failures"]
    return found


def test_messages_are_counted_and_the_most_frequent_comes_first(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    assert failures(fleet, project) == []
    messages = ["HTTP 500", "a\nb 1 2 3", "HTTP 500", None, "HTTP 404", "HTTP 500", "HTTP 404", "\u20ac" * 1000]
    tasks = [fails(worker, project, message) for message in messages]

    found = failures(fleet, project)

    assert [(row["message"], row["count"], row["task_id"]) for row in found[:2]] == [
        ("HTTP 500", 3, tasks[5]),
        ("HTTP 404", 2, tasks[6]),
    ]
    rest = {(row["message"], row["count"], row["task_id"]) for row in found[2:]}
    assert rest == {("a\nb 1 2 3", 1, tasks[1]), ("", 1, tasks[3]), ("\u20ac" * 1000, 1, tasks[7])}
    failed = fleet.admin.get(f"/project/task/{project}/{tasks[5]}").content()["task"]["fail_time"]
    assert found[0]["last"] == failed


def test_tasks_are_found_and_retried_by_the_message_and_by_who_failed_them(
    fleet: Fleet, project: int, worker: WorkerCaller
) -> None:
    other = fleet.worker(project)
    timeouts = [fails(worker, project, "timeout after 5 s") for _ in range(3)]
    missing = fails(other, project, "HTTP 404")

    assert ids(fleet, project, state="failed", contains="timeout") == timeouts
    assert ids(fleet, project, state="failed", contains=f"{worker.id} ") == []
    assert ids(fleet, project, state="failed", worker=other.id) == [missing]
    assert ids(fleet, project, state="failed", worker=worker.id, contains="404") == []
    assert matching(fleet, "retry_tasks", project, contains="timeout", worker=other.id) == 0
    assert matching(fleet, "retry_tasks", project, contains="timeout") == 3

    assert [row["message"] for row in failures(fleet, project)] == ["HTTP 404"]
    assert matching(fleet, "remove_tasks", project, state="failed", worker=other.id) == 1
    assert failures(fleet, project) == []


def test_delayed_tasks_are_found_removed_and_cancelled(fleet: Fleet, project: int, worker: WorkerCaller) -> None:
    one, two, three = (worker.submit(project, group="a", delay=3600) for _ in range(3))

    assert ids(fleet, project, state="delayed", group="a") == [one, two, three]
    assert worker.post("/task/cancel", {"task_ids": [two]}).content() == {"cancelled": [True]}
    assert matching(fleet, "remove_tasks", project, state="delayed", group="a") == 2

    assert ids(fleet, project, state="delayed", group="a") == []
