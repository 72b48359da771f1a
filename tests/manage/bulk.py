"""Many tasks at once, and what becomes of them."""

from typing import Any

from tests.client import Caller, Fleet, WorkerCaller

MANY = 20_000
BULK = 10_000


def submitted(worker: WorkerCaller, project: int, numbers: range, **fields: Any) -> int:
    """How many were new: each task has its number as hash."""
    count = 0
    for start in range(numbers.start, numbers.stop, BULK):
        some = range(start, min(start + BULK, numbers.stop))
        body = {"requests": [{"project": project, "recipe": f"r{n}", "hash64": n, **fields} for n in some]}
        count += worker.post("/task/bulk_submit", body).content()["submitted"]
    return count


def taken(worker: WorkerCaller, project: int, count: int) -> list[int]:
    tasks = [
        task["id"]
        for _ in range(0, count, 1000)
        for task in worker.get(f"/task/get/{project}?count=1000").content()["tasks"]
    ]
    assert len(tasks) == count
    return tasks


def released(worker: WorkerCaller, tasks: list[int], result: int) -> list[bool]:
    updated: list[bool] = []
    for start in range(0, len(tasks), BULK):
        body = {"requests": [{"task_id": task, "result": result} for task in tasks[start : start + BULK]]}
        updated += worker.post("/task/bulk_release", body).content()["updated"]
    return updated


def stats(caller: Caller, project: int) -> dict[str, Any]:
    found: dict[str, Any] = caller.get(f"/project/stats/{project}").content()["stats"]
    return found


def live(caller: Caller, project: int) -> dict[str, int]:
    found = stats(caller, project)
    return {state: found[state] for state in ("waiting", "verifying", "assigned", "failed") if found[state]}


def affected(fleet: Fleet, operation: str, project: int) -> int:
    count: int = fleet.admin.post(f"/project/{operation}/{project}").content()["affected_tasks"]
    return count
