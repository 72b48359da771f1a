"""What one worker holds is taken back."""

import threading
import time

from tests.client import Fleet
from tests.manage.bulk import live, released, stats, submitted, taken


def reclaimed(fleet: Fleet, project: int, worker: int) -> int:
    count: int = fleet.admin.post(f"/project/reclaim_worker/{project}/{worker}").content()["affected_tasks"]
    return count


def test_all_that_a_worker_holds_waits_again_and_what_others_hold_stays(fleet: Fleet) -> None:
    project, other_project = fleet.project(), fleet.project()
    worker, other = fleet.worker(project, other_project), fleet.worker(project)
    assert submitted(worker, project, range(1, 3001)) == 3000
    worker.submit(other_project)
    its, others = taken(worker, project, 2000), taken(other, project, 1000)
    worker.take(other_project)

    assert reclaimed(fleet, project, worker.id) == 2000

    assert live(worker, project) == {"waiting": 2000, "assigned": 1000}
    assert live(worker, other_project) == {"assigned": 1}
    assert stats(worker, project)["counters"]["reclaimed"] == 2000
    assert not any(released(worker, its, 0))
    assert all(released(other, others, 0))
    assert reclaimed(fleet, project, worker.id) == reclaimed(fleet, project, 2**53) == 0
    again = taken(other, project, 2000)
    assert sorted(again) == sorted(its)


def test_a_worker_that_waits_gets_what_is_taken_back_also_of_a_full_group(fleet: Fleet) -> None:
    project = fleet.project(group_limit=1)
    worker, other = fleet.worker(project), fleet.worker(project)
    worker.submit(project, group="a")
    task = worker.take(project)["id"]
    got: list[int] = []
    waiting = threading.Thread(
        target=lambda: got.append(other.get(f"/task/get/{project}?wait=10").content()["task"]["id"])
    )
    waiting.start()
    time.sleep(0.5)
    begun = time.monotonic()

    assert reclaimed(fleet, project, worker.id) == 1

    waiting.join(15)
    assert got == [task]
    assert time.monotonic() - begun < 5
