"""The store has lost the record of a task, and the task with it: nobody gets it, and all others go on."""

from tests.client import Fleet
from tests.prometheus import Metrics
from tests.serving import Serving, until
from tests.stores import looking_into, lose_record


def test_a_lost_record_costs_its_own_task_and_no_other(fleet: Fleet, serving: Serving) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    ids = [worker.submit(project, f"page {n}") for n in range(6)]
    held = worker.take(project)["id"]
    with looking_into(serving.store_url) as redis:
        for lost in (held, ids[1], ids[3]):
            lose_record(redis, "broker", lost)

    assert worker.release(held) is False
    assert [task["id"] for task in worker.get(f"/task/get/{project}?count=10").content()["tasks"]] == [
        ids[2],
        ids[4],
        ids[5],
    ]
    assert worker.get(f"/task/get/{project}").code == "no_task"
    assert [task["recipe"] for task in worker.get(f"/task/assigned/{project}").content()["tasks"]] == [
        "page 2",
        "page 4",
        "page 5",
    ]

    stats = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
    assert stats.pop("counters") == {"submitted": 6, "assigned": 4, "orphaned": 3}
    assert {state: count for state, count in stats.items() if count} == {"assigned": 3, "orphaned": 3}
    until(lambda: Metrics.of(fleet.url)("tasks_orphaned_total", project=project) == 3)
