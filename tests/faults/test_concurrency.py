"""Many clients on one project, over two server processes: nothing is handed out twice, nothing is lost."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.client import Fleet, WorkerCaller

CLIENTS = 16
TASKS = 1500


def test_sixteen_clients_close_each_task_once(fleet: Fleet) -> None:
    target = fleet.project()
    project = fleet.project(chain=target)
    workers = [fleet.worker(project, target) for _ in range(CLIENTS)]
    submitted = threading.Event()
    left = threading.Barrier(CLIENTS, action=submitted.set)
    held: Counter[int] = Counter()

    def submit_and_close(worker: WorkerCaller) -> list[int]:
        mine = [
            {"project": project, "recipe": str(n), "hash64": n, "verification_count": 1 + n % 2, "max_retries": 9}
            for n in range(1, TASKS + 1)
        ]
        outcomes = worker.post("/task/bulk_submit", {"requests": mine}).content()
        left.wait(30)
        closed = []
        while (answer := worker.get(f"/task/get/{project}?count=3")).body["ok"]:
            for task in answer.content()["tasks"]:
                held[task["id"]] += 1
                result = 1 if task["id"] % 7 == 0 and task["retries"] == 0 else 0
                if worker.release(task["id"], result) and result == 0:
                    closed.append(task["id"])
        return [outcomes["submitted"], *closed]

    with ThreadPoolExecutor(CLIENTS) as pool:
        results = list(pool.map(submit_and_close, workers))

    assert sum(result[0] for result in results) == TASKS
    closed = Counter(id for result in results for id in result[1:])
    # A last task may come back for its second vote after its worker has gone home.
    stragglers = fleet.worker(project)
    while (answer := stragglers.get(f"/task/get/{project}")).body["ok"]:
        id = answer.content()["task"]["id"]
        if stragglers.release(id):
            closed[id] += 1
    assert len(closed) == TASKS
    assert set(closed.values()) == {1}
    stats = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
    assert (stats["waiting"], stats["verifying"], stats["assigned"], stats["failed"]) == (0, 0, 0, 0)
    assert stats["counters"]["closed"] == TASKS
    assert fleet.anybody.get(f"/project/stats/{target}").content()["stats"]["waiting"] == TASKS
