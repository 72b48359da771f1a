"""The life of a task as a worker sees it."""

from tests.client import Fleet


def test_a_task_is_submitted_taken_and_closed(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    task_id = worker.submit(project, "crawl it", priority=1, max_retries=3, max_assign_time=60)
    task = worker.take(project)

    assert task_id == 100_000 + project
    assert task["assign_time"] > 1_700_000_000
    assert task == {
        "id": task_id,
        "priority": 1,
        "assignee": worker.id,
        "retries": 0,
        "max_retries": 3,
        "status": 1,
        "recipe": "crawl it",
        "max_assign_time": 60,
        "assign_time": task["assign_time"],
        "verification_count": 1,
        "project": fleet.anybody.get(f"/project/get/{project}").content()["project"],
    }
    assert worker.release(task_id) is True
    assert worker.get(f"/task/get/{project}").code == "no_task"
