"""Counts over time, who holds how many tasks, and what each worker has closed, over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.client import Caller, Fleet, WorkerCaller
from tests.serving import Serving, until

NAMES = (
    "new_task_count",
    "failed_task_count",
    "closed_task_count",
    "worker_access_count",
    "awaiting_verification_count",
)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A broker of two processes that takes five snapshots a second."""
    serving = Serving.start(
        tmp_path_factory.mktemp("quick"), workers=2, snapshot_interval="200ms", sweep_interval="50ms"
    )
    yield serving
    assert serving.stop() == 0


@pytest.fixture(scope="module")
def crew(quick: Serving) -> Iterator[Fleet]:
    boss = quick.caller()
    boss.post("/register", {"username": "boss", "password": "a long password"}).content()
    fleet = Fleet(quick.url, boss)
    yield fleet
    fleet.close()


def monitoring(caller: Caller, project: int, query: str = "?count=999") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.get(f"/project/monitoring/{project}{query}").content()["snapshots"]
    return found


def test_snapshots_appear_by_themselves_newest_first(crew: Fleet) -> None:
    project = crew.project()
    worker = crew.worker(project)
    for _ in range(3):
        worker.submit(project)
    worker.release(worker.take(project)["id"])

    until(lambda: len(monitoring(crew.anybody, project)) >= 4)

    found = monitoring(crew.anybody, project)
    assert {name: found[0][name] for name in NAMES} == dict(zip(NAMES, (2, 0, 1, 1, 0), strict=True))
    assert set(found[0]) == {*NAMES, "time_stamp"}
    times = [one["time_stamp"] for one in found]
    assert times == sorted(times, reverse=True)
    # Two processes sweep, and no more than five snapshots are made in a second.
    assert all(times.count(second) <= 5 for second in times)


def test_the_newest_are_given_up_to_the_count(crew: Fleet) -> None:
    project = crew.project()
    until(lambda: len(monitoring(crew.anybody, project)) >= 3)

    assert len(monitoring(crew.anybody, project, "?count=1")) == 1
    assert len(monitoring(crew.anybody, project, "?count=2")) == 2


def test_snapshots_are_given_between_two_moments(crew: Fleet) -> None:
    project = crew.project()
    until(lambda: len({one["time_stamp"] for one in monitoring(crew.anybody, project)}) >= 3)
    times = sorted({one["time_stamp"] for one in monitoring(crew.anybody, project)})
    oldest, newest = times[0], times[1]

    path = f"/project/monitoring-between/{project}?from={oldest}&to={newest}"
    found = crew.anybody.get(path).content()["snapshots"]

    assert {one["time_stamp"] for one in found} == {oldest, newest}
    assert found == [one for one in monitoring(crew.anybody, project) if one["time_stamp"] <= newest]
    assert crew.anybody.get(f"/project/monitoring-between/{project}?from=1&to=2").content() == {"snapshots": []}
    backwards = f"/project/monitoring-between/{project}?from={newest}&to={oldest}"
    assert crew.anybody.get(backwards).content() == {"snapshots": []}


@pytest.mark.parametrize("count", ["", "?count=0", "?count=1000", "?count=-1", "?count=x", "?count=1.5", "?count="])
def test_a_count_is_from_1_to_999(crew: Fleet, count: str) -> None:
    answer = crew.anybody.get(f"/project/monitoring/{crew.project()}{count}")

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("count: ")


@pytest.mark.parametrize(
    ("query", "field"),
    [("", "from"), ("?from=1", "to"), ("?to=1", "from"), ("?from=x&to=1", "from"), ("?from=1&to=-1", "to")],
)
def test_both_moments_are_required(crew: Fleet, query: str, field: str) -> None:
    answer = crew.anybody.get(f"/project/monitoring-between/{crew.project()}{query}")

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(f"{field}: ")


def test_assignees_are_those_who_hold_the_most(fleet: Fleet) -> None:
    project = fleet.project()
    workers = [fleet.worker(project, alias=f"holder {n}") for n in range(18)]
    requests = [{"project": project, "recipe": "r"}] * sum(range(1, 19))
    workers[0].post("/task/bulk_submit", {"requests": requests}).content()
    for n, worker in enumerate(workers):
        worker.get(f"/task/get/{project}?count={n + 1}").content()
    for _ in range(2):
        workers[0].submit(project)
    workers[0].submit(project, verification_count=2, priority=1)
    workers[0].release(workers[0].take(project)["id"], 0, 1)

    rows = fleet.anybody.get(f"/project/assignees/{project}").content()["assignees"]

    assert rows[:-1] == [{"assignee": f"holder {n}", "task_count": n + 1} for n in range(17, 1, -1)]
    assert rows[-1] == {"assignee": "unassigned", "task_count": 3}


def test_nobody_holds_anything_of_a_new_project(fleet: Fleet) -> None:
    content = fleet.anybody.get(f"/project/assignees/{fleet.project()}").content()

    assert content == {"assignees": [{"assignee": "unassigned", "task_count": 0}]}


@pytest.mark.parametrize("path", ["monitoring/{}?count=1", "monitoring-between/{}?from=1&to=2", "assignees/{}"])
def test_there_is_nothing_to_watch_of_a_project_that_is_not_there(fleet: Fleet, path: str) -> None:
    answer = fleet.anybody.get(f"/project/{path.format(99_999)}")

    assert (answer.status, answer.code) == (404, "not_found")


def closes(worker: WorkerCaller, project: int, count: int) -> None:
    for _ in range(count):
        worker.submit(project)
        assert worker.release(worker.take(project)["id"])


def stats(caller: Caller, query: str = "") -> dict[int, dict[str, Any]]:
    rows = caller.get(f"/worker/stats{query}").content()["stats"]
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
    return {row["id"]: row for row in rows}


def test_closed_tasks_are_counted_for_each_worker_and_project(fleet: Fleet) -> None:
    first, second = fleet.project(), fleet.project()
    one, two = fleet.worker(first, second, alias="one"), fleet.worker(first, alias="two")
    closes(one, first, 2)
    closes(one, second, 1)
    closes(two, first, 3)
    fleet.admin.post("/worker/set_paused", {"worker": two.id, "paused": True}).content()
    around = f"?offset={one.id - 1}&limit=2"

    # Over all projects some seconds later, of one project at once.
    until(lambda: sum(row["closed_task_count"] for row in stats(fleet.anybody, around).values()) == 6, seconds=15)
    assert stats(fleet.anybody, around) == {
        one.id: {"id": one.id, "alias": "one", "closed_task_count": 3, "paused": False},
        two.id: {"id": two.id, "alias": "two", "closed_task_count": 3, "paused": True},
    }
    in_first = stats(fleet.anybody, f"{around}&project={first}")
    assert [in_first[worker.id]["closed_task_count"] for worker in (one, two)] == [2, 3]
    in_second = stats(fleet.anybody, f"{around}&project={second}")
    assert [in_second[worker.id]["closed_task_count"] for worker in (one, two)] == [1, 0]


def test_a_pause_is_seen_in_the_list_of_all_workers_at_once(crew: Fleet) -> None:
    # Each process keeps a copy of the counts.
    stats(crew.anybody)
    worker = crew.worker(alias="new")

    for paused in (False, True, False):
        crew.admin.post("/worker/set_paused", {"worker": worker.id, "paused": paused}).content()
        row = {"id": worker.id, "alias": "new", "closed_task_count": 0, "paused": paused}
        assert stats(crew.anybody)[worker.id] == row


def test_what_each_worker_holds_is_counted_as_well(crew: Fleet) -> None:
    first, second = crew.project(), crew.project()
    worker = crew.worker(first, second)
    for project in (first, first, second):
        worker.submit(project)
        worker.take(project)
    around = f"?offset={worker.id - 1}&limit=1"

    def held(more: str = "") -> int:
        count: int = stats(crew.admin, f"{around}{more}")[worker.id]["held_task_count"]
        return count

    # From a copy that is up to ten seconds old.
    until(lambda: held() == 3 and held(f"&project={first}") == 2, seconds=15)


def test_the_list_of_all_workers_is_at_most_ten_seconds_old(crew: Fleet) -> None:
    worker = crew.worker(project := crew.project())
    closes(worker, project, 1)

    until(lambda: stats(crew.anybody).get(worker.id, {}).get("closed_task_count") == 1, seconds=15)


@pytest.mark.parametrize("query", ["?offset=-1", "?limit=0", "?limit=501", "?project=0", "?project=x", "?offset=x"])
def test_an_invalid_page_of_workers_is_refused(fleet: Fleet, query: str) -> None:
    answer = fleet.anybody.get(f"/worker/stats{query}")

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(query[1:].partition("=")[0])


def test_pages_of_workers_end(fleet: Fleet) -> None:
    newest = fleet.worker().id

    assert list(stats(fleet.anybody, f"?offset={newest - 1}&limit=500")) == [newest]
    assert stats(fleet.anybody, f"?offset={newest + 1000}") == {}
    assert fleet.anybody.get("/worker/stats?project=99999").status == 404


def test_a_hidden_project_is_watched_by_those_who_may_read_it(fleet: Fleet) -> None:
    project, manager = fleet.project(hidden=True), fleet.manager()
    path = f"/worker/stats?project={project}"

    assert fleet.anybody.get(path).status == 401
    assert fleet.worker(project).get(path).status == 401
    assert manager.get(path).status == 403
    fleet.admin.post(f"/manager/set_role_for_project/{project}", {"manager": manager.id, "role": 1}).content()
    assert manager.get(path).status == 200
