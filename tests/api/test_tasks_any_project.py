"""Getting a task of any project.

The broker is shared by the whole run: these tests use projects of the highest priority, which come first.
"""

from tests.client import Fleet, WorkerCaller

TOP = 2**53


def take(worker: WorkerCaller) -> int:
    """Gets and closes a task. Returns its project."""
    task = worker.get("/task/get").content()["task"]
    assert worker.release(task["id"]) is True
    project: int = task["project"]["id"]
    return project


def test_the_best_project_comes_first_and_within_it_the_best_task(fleet: Fleet) -> None:
    low, high = fleet.project(priority=TOP - 1), fleet.project(priority=TOP)
    worker = fleet.worker(low, high)
    worker.submit(low, priority=100)
    for priority in (-1, 1):
        worker.submit(high, priority=priority)

    first, second = worker.get("/task/get").content()["task"], worker.get("/task/get").content()["task"]

    assert [(task["project"]["id"], task["priority"]) for task in (first, second)] == [(high, 1), (high, -1)]
    assert take(worker) == low


def test_what_a_worker_may_not_take_is_passed_over(fleet: Fleet) -> None:
    private, paused = fleet.project(priority=TOP), fleet.project(priority=TOP)
    hidden = fleet.project(priority=TOP, hidden=True)
    mine = fleet.project(priority=TOP - 1)
    owner = fleet.worker(private, hidden, paused, mine)
    for project in (private, hidden, paused, mine):
        owner.submit(project)
    fleet.admin.post(f"/project/update/{paused}", {"paused": True}).content()
    worker = fleet.worker(paused, mine)

    assert take(worker) == mine


def test_a_public_project_is_for_every_worker(fleet: Fleet) -> None:
    project = fleet.project(priority=TOP, public=True)
    fleet.worker(project).submit(project)

    assert take(fleet.worker()) == project


def test_access_begins_and_ends_at_once(fleet: Fleet) -> None:
    project, next_best = fleet.project(priority=TOP), fleet.project(priority=TOP - 1)
    owner, worker = fleet.worker(project, next_best), fleet.worker(next_best)
    for submitted in (project, project, next_best, next_best):
        owner.submit(submitted)
    worker.post("/project/request_access", {"project": project, "assign": True}).content()

    assert take(worker) == next_best
    fleet.admin.post(f"/project/accept_request/{project}/{worker.id}").content()
    assert take(worker) == project
    fleet.admin.post(f"/project/reject_request/{project}/{worker.id}").content()
    assert take(worker) == next_best


def test_a_count_is_filled_from_one_project(fleet: Fleet) -> None:
    one, other = fleet.project(priority=TOP), fleet.project(priority=TOP - 1)
    worker = fleet.worker(one, other)
    for project in (one, one, one, other):
        worker.submit(project)

    tasks = worker.get("/task/get?count=2").content()["tasks"]
    assert [task["project"]["id"] for task in tasks] == [one, one]
    assert [task["project"]["id"] for task in worker.get("/task/get?count=5").content()["tasks"]] == [one]
    assert [task["project"]["id"] for task in worker.get("/task/get?count=5").content()["tasks"]] == [other]


def test_a_task_is_found_at_once_after_it_was_submitted(fleet: Fleet) -> None:
    project = fleet.project(priority=TOP)
    worker = fleet.worker(project)

    for _ in range(5):
        worker.submit(project)
        assert take(worker) == project


def test_a_task_that_the_worker_has_voted_on_is_passed_over(fleet: Fleet) -> None:
    voted, next_best = fleet.project(priority=TOP), fleet.project(priority=TOP - 1)
    worker, other = fleet.worker(voted, next_best), fleet.worker(voted)
    task = worker.submit(voted, verification_count=2)
    worker.submit(next_best)
    worker.take(voted)
    worker.release(task, verification=1)

    assert take(worker) == next_best
    other.take(voted)
    assert other.release(task, verification=1) is True
