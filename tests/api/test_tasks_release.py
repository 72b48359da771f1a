"""Releasing: ok, fail, skip, the votes of several workers, and what happens when a worker lets the time pass."""

import itertools
from typing import Any

import pytest

from tests.client import Fleet, WorkerCaller
from tests.serving import until


def take_in_the_end(worker: WorkerCaller, project: int) -> dict[str, Any]:
    """The task that a get returns once its deadline has passed."""
    taken: list[dict[str, Any]] = []

    def tried() -> bool:
        answer = worker.get(f"/task/get/{project}")
        taken.extend([answer.content()["task"]] if answer.body["ok"] else [])
        return bool(taken)

    until(tried)
    return taken[0]


def stats(fleet: Fleet, project: int) -> dict[str, Any]:
    found: dict[str, Any] = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]
    return found


def test_a_failed_task_goes_to_the_end_of_its_priority_until_its_retries_are_used_up(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    failing = worker.submit(project, "fails", priority=1, max_retries=3)
    peer, lower = worker.submit(project, "peer", priority=1), worker.submit(project, "lower", priority=0)

    assert worker.take(project)["id"] == failing
    assert worker.release(failing, result=1) is True
    assert worker.take(project)["id"] == peer
    for retries in (1, 2):
        task = worker.take(project)
        assert (task["id"], task["retries"], task["max_retries"]) == (failing, retries, 3)
        assert worker.release(failing, result=1) is True

    assert worker.take(project)["id"] == lower
    assert worker.get(f"/task/get/{project}").code == "no_task"
    assert stats(fleet, project)["failed"] == 1


@pytest.mark.parametrize("max_retries", [0, 1])
def test_a_task_without_retries_fails_at_once_and_is_never_handed_out_again(fleet: Fleet, max_retries: int) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    task = worker.submit(project, max_retries=max_retries)
    worker.take(project)

    assert worker.release(task, result=1) is True

    assert worker.get(f"/task/get/{project}").code == "no_task"
    assert fleet.worker(project).get(f"/task/get/{project}").code == "no_task"
    assert worker.release(task, result=0) is False
    assert stats(fleet, project)["failed"] == 1


def test_a_skipped_task_goes_to_the_end_of_its_priority_and_costs_no_retry(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    skipped, other = worker.submit(project), worker.submit(project)

    for _ in range(5):
        assert worker.take(project)["id"] == skipped
        assert worker.release(skipped, result=2) is True
        assert worker.take(project)["id"] == other
        assert worker.release(other, result=2) is True

    assert worker.take(project)["retries"] == 0


def test_a_release_by_somebody_else_changes_nothing_and_says_so(fleet: Fleet) -> None:
    project = fleet.project()
    holder, stranger = fleet.worker(project), fleet.worker(project)
    waiting_for_nobody = {0, -1, 5, 2**63 - 1, -(2**63), 900_000 + project, 100_000 + 99_999}
    task = holder.submit(project)
    holder.take(project)

    for not_held, result in itertools.product({task, *waiting_for_nobody}, (0, 1, 2)):
        answer = stranger.post("/task/release", {"task_id": not_held, "result": result})
        assert answer.content() == {"updated": False}
        assert answer.message

    assert holder.release(task) is True


def test_a_task_is_released_once(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    task = worker.submit(project, max_retries=5)

    assert worker.release(task) is False
    worker.take(project)
    assert worker.release(task, result=2) is True
    assert worker.release(task, result=0) is False
    worker.take(project)
    assert worker.release(task, result=0) is True
    assert worker.release(task, result=0) is False


def test_a_reclaimed_task_goes_to_another_worker_and_the_late_release_changes_nothing(fleet: Fleet) -> None:
    project = fleet.project()
    slow, other = fleet.worker(project), fleet.worker(project)
    task = slow.submit(project, max_assign_time=1, max_retries=1)
    slow.take(project)

    again = take_in_the_end(other, project)

    assert (again["id"], again["assignee"], again["retries"]) == (task, other.id, 0)
    for result in (0, 1, 2):
        answer = slow.post("/task/release", {"task_id": task, "result": result})
        assert (answer.status, answer.content()) == (200, {"updated": False})
        assert answer.message
    assert slow.post("/task/extend", {"task_id": task, "seconds": 60}).content() == {"extended": [False]}
    assert slow.get(f"/task/assigned/{project}").content() == {"tasks": []}
    assert other.release(task) is True


def test_an_extended_task_stays_with_its_worker_past_its_first_deadline(fleet: Fleet) -> None:
    project = fleet.project()
    worker, other = fleet.worker(project), fleet.worker(project)
    extended = worker.submit(project, "extended", max_assign_time=1)
    forgotten = worker.submit(project, "forgotten", max_assign_time=1)
    worker.get(f"/task/get/{project}?count=2").content()

    assert worker.post("/task/extend", {"task_id": extended, "seconds": 60}).content() == {"extended": [True]}

    assert take_in_the_end(other, project)["id"] == forgotten
    assert other.get(f"/task/get/{project}").code == "no_task"
    assert worker.release(extended) is True


@pytest.mark.parametrize("count", [2, 3])
def test_a_task_closes_when_as_many_workers_as_it_asks_for_agree(fleet: Fleet, count: int) -> None:
    project = fleet.project()
    workers = [fleet.worker(project) for _ in range(count)]
    task = workers[0].submit(project, verification_count=count)

    for worker in workers[:-1]:
        assert worker.take(project)["verification_count"] == count
        answer = worker.post("/task/release", {"task_id": task, "result": 0, "verification": -32315129})
        assert answer.content() == {"updated": False}
        assert answer.message
        assert stats(fleet, project)["verifying"] == 1

    workers[-1].take(project)
    answer = workers[-1].post("/task/release", {"task_id": task, "result": 0, "verification": -32315129})
    assert answer.content() == {"updated": True}
    assert stats(fleet, project)["counters"]["closed"] == 1
    assert stats(fleet, project)["verifying"] == 0


def test_workers_that_disagree_keep_a_task_open_until_two_agree(fleet: Fleet) -> None:
    project = fleet.project()
    task = fleet.worker(project).submit(project, verification_count=2)

    for verification, closes in ((1, False), (2, False), (3, False), (2, True)):
        worker = fleet.worker(project)
        assert worker.take(project)["id"] == task
        assert worker.release(task, verification=verification) is closes


@pytest.mark.parametrize("verification", [-(2**63), -(2**53) - 1, 2**53 + 1, 2**63 - 1])
def test_verifications_are_compared_in_all_their_64_bits(fleet: Fleet, verification: int) -> None:
    project = fleet.project()
    task = fleet.worker(project).submit(project, verification_count=2)
    near = verification + (1 if verification < 0 else -1)

    for vote, closes in ((verification, False), (near, False), (verification, True)):
        worker = fleet.worker(project)
        worker.take(project)
        assert worker.release(task, verification=vote) is closes


@pytest.mark.parametrize("absent", [{}, {"verification": None}, {"verification": 0}])
def test_an_absent_verification_is_0_and_0_is_a_vote(fleet: Fleet, absent: dict[str, None]) -> None:
    project = fleet.project()
    zero, one, other = fleet.worker(project), fleet.worker(project), fleet.worker(project)
    task = zero.submit(project, verification_count=2)
    for worker, verification in ((zero, 0), (one, 1)):
        worker.take(project)
        assert worker.release(task, verification=verification) is False
    other.take(project)

    answer = other.post("/task/release", {"task_id": task, "result": 0, **absent})

    assert answer.content() == {"updated": True}


def test_a_worker_never_gets_a_task_again_that_it_has_voted_on(fleet: Fleet) -> None:
    project = fleet.project()
    worker, other, third = fleet.worker(project), fleet.worker(project), fleet.worker(project)
    task = worker.submit(project, priority=5, verification_count=2, max_retries=2)
    worker.take(project)
    worker.release(task, verification=1)

    assert worker.get(f"/task/get/{project}").code == "no_task"
    other.take(project)
    other.release(task, verification=2)
    assert worker.get(f"/task/get/{project}").code == other.get(f"/task/get/{project}").code == "no_task"

    less_urgent = worker.submit(project, priority=-5)
    assert worker.take(project)["id"] == less_urgent
    third.take(project)
    third.release(task, result=1)
    assert worker.get(f"/task/get/{project}?count=10").code == "no_task"
    third.take(project)
    assert third.release(task, verification=1) is True


def test_votes_stand_while_another_worker_fails_and_skips_the_task(fleet: Fleet) -> None:
    project = fleet.project()
    voter, clumsy, last = fleet.worker(project), fleet.worker(project), fleet.worker(project)
    task = voter.submit(project, verification_count=2, max_retries=2)
    voter.take(project)
    voter.release(task, verification=7)
    for result in (1, 2):
        clumsy.take(project)
        assert clumsy.release(task, result=result) is True

    assert last.take(project)["retries"] == 1
    assert last.release(task, verification=7) is True


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"task_id": None}, "task_id"),
        ({"task_id": "7"}, "task_id"),
        ({"task_id": 7.0}, "task_id"),
        ({"task_id": 2**63}, "task_id"),
        ({"task_id": -(2**63) - 1}, "task_id"),
        ({"result": None}, "result"),
        ({"result": -1}, "result"),
        ({"result": 3}, "result"),
        ({"result": "0"}, "result"),
        ({"result": True}, "result"),
        ({"verification": 2**63}, "verification"),
        ({"verification": -(2**63) - 1}, "verification"),
        ({"verification": "0"}, "verification"),
        ({"verification": 0.5}, "verification"),
    ],
)
def test_an_invalid_release_names_the_field_and_changes_nothing(
    fleet: Fleet, wrong: dict[str, Any], field: str
) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    task = worker.submit(project)
    worker.take(project)

    answer = worker.post("/task/release", {"task_id": task, "result": 0, "verification": 0, **wrong})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)
    assert worker.release(task) is True
