"""A project is deleted, with everything that was in it and led to it."""

import pytest

from tests.client import Fleet, WorkerCaller
from tests.manage.bulk import MANY, released, submitted, taken
from tests.serving import Serving, until
from tests.stores import keys_like, looking_into


@pytest.fixture
def worker(worker: WorkerCaller, project: int) -> WorkerCaller:
    """A worker that has submitted many tasks."""
    assert submitted(worker, project, range(1, MANY + 1)) == MANY
    return worker


def keys_of(serving: Serving, project: int) -> dict[str, int]:
    """The keys that are left in the project's slot, with their time to live in seconds; -1 for ever."""
    with looking_into(serving.store_url) as redis:
        found = keys_like(redis, f"broker:{{project:{project}}}*")
        return {key: int(redis.ttl(key)) for key in found}


def left_of(serving: Serving, project: int) -> dict[str, int]:
    """The same, once the deletion is done, which goes on after its answer: what is left then goes by itself."""
    until(lambda: all(seconds >= 0 for seconds in keys_of(serving, project).values()))
    return keys_of(serving, project)


def test_a_deleted_project_is_gone_with_all_that_was_in_it(
    fleet: Fleet, serving: Serving, project: int, worker: WorkerCaller
) -> None:
    name = fleet.admin.get(f"/project/get/{project}").content()["name"]
    assert all(released(worker, taken(worker, project, 1000), 1))
    held = taken(worker, project, 2000)
    assert all(released(worker, held[1000:], 0))
    applicant = fleet.worker()
    applicant.post("/project/request_access", {"project": project, "assign": True}).content()
    assert len(keys_of(serving, project)) > MANY // 40

    assert fleet.admin.post(f"/project/delete/{project}").content() == {}

    assert fleet.anybody.get(f"/project/get/{project}").status == 404
    assert project not in [one["id"] for one in fleet.anybody.get("/project/list").content()["projects"]]
    assert worker.post("/task/submit", {"project": project, "recipe": "late"}).status == 404
    assert worker.get(f"/task/get/{project}").status == 404
    assert applicant.post("/project/request_access", {"project": project, "submit": True}).status == 404
    assert fleet.admin.get(f"/manager/list_for_project/{project}").status == 404
    assert not any(released(worker, held[:1000], 0))
    assert worker.release(held[0]) is False
    assert fleet.admin.post(f"/project/delete/{project}").status == 404
    assert fleet.project(name=name) != project
    left = left_of(serving, project)
    assert set(left) == {f"broker:{{project:{project}}}"}
    assert all(0 < seconds <= 86_400 for seconds in left.values())


def test_a_deleted_project_leaves_no_votes_and_no_chain_to_it(fleet: Fleet, serving: Serving) -> None:
    target = fleet.project()
    source, other = fleet.project(chain=target), fleet.project(chain=target)
    one, two = fleet.worker(source, target), fleet.worker(target)
    task = one.submit(target, verification_count=2)
    one.take(target)
    one.release(task, 0, verification=1)
    assert one.get(f"/task/get/{target}").code == "no_task"
    two.take(target)

    fleet.admin.post(f"/project/delete/{target}").content()

    assert [fleet.anybody.get(f"/project/get/{id}").content()["chain"] for id in (source, other)] == [0, 0]
    assert two.release(task, 0, verification=1) is False
    closed = one.submit(source)
    assert one.take(source)["project"]["chain"] == 0
    assert one.release(closed)
    # What a worker has seen of the votes goes by itself, after a day at most.
    left = left_of(serving, target)
    assert {key for key in left if ":seen:" not in key} == {f"broker:{{project:{target}}}"}
    assert all(0 < seconds <= 86_400 for seconds in left.values())


@pytest.mark.parametrize(("role", "status"), [(2, 403), (16, 403), (2 + 16, 200), (31 - 2, 403), (31 - 16, 403)])
def test_deleting_needs_edit_and_maintenance(fleet: Fleet, role: int, status: int) -> None:
    project, manager = fleet.project(), fleet.manager()
    fleet.admin.post(f"/manager/set_role_for_project/{project}", {"manager": manager.id, "role": role}).content()

    assert manager.post(f"/project/delete/{project}").status == status

    assert fleet.anybody.get(f"/project/get/{project}").status == (404 if status == 200 else 200)
