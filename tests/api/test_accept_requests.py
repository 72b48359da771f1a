"""Managers accept the requests of many workers in one call."""

import pytest

from broker.settings import Settings
from broker.store import Store
from tests.client import Answer, Caller, Fleet, WorkerCaller
from tests.stores import looking_into


def applicant(fleet: Fleet, project: int, **what: bool) -> WorkerCaller:
    worker = fleet.worker()
    worker.post("/project/request_access", {"project": project, **(what or {"assign": True})}).content()
    return worker


def accept(fleet: Fleet, project: int, body: object) -> Answer:
    return fleet.admin.post(f"/project/accept_requests/{project}", body)


def granted(fleet: Fleet, project: int) -> dict[int, tuple[bool, bool]]:
    """For each worker with access, whether it may get and submit."""
    rows = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
    return {row["worker"]["id"]: (row["assign"], row["submit"]) for row in rows if not row["request"]}


def test_the_named_workers_get_what_each_has_requested(fleet: Fleet) -> None:
    project = fleet.project()
    first, second = applicant(fleet, project), applicant(fleet, project, submit=True)
    left_out, never_asked, has_access = applicant(fleet, project), fleet.worker(), fleet.worker(project)

    named = [first.id, second.id, first.id, never_asked.id, has_access.id, 2**53]
    answer = accept(fleet, project, {"workers": named})

    assert answer.content() == {"accepted": 2}
    may = {first.id: (True, False), second.id: (False, True), has_access.id: (True, True)}
    assert granted(fleet, project) == may
    assert left_out.get(f"/task/get/{project}").status == 403
    assert accept(fleet, project, {"workers": named}).content() == {"accepted": 0}
    second.submit(project)
    assert first.take(project)["recipe"] == "recipe"
    second.submit(project)
    # It finds the project without naming it.
    assert first.get("/task/get").content()["task"]["project"]["id"] == project


def test_all_accepts_every_request_of_this_project_and_of_no_other(fleet: Fleet) -> None:
    project, other = fleet.project(), fleet.project()
    asking = {applicant(fleet, project).id for _ in range(5)}
    elsewhere = applicant(fleet, other)

    assert accept(fleet, project, {"all": True, "workers": None}).content() == {"accepted": 5}

    assert set(granted(fleet, project)) == asking
    assert granted(fleet, other) == {}
    assert elsewhere.get(f"/task/get/{other}").status == 403
    assert accept(fleet, project, {"all": True}).content() == {"accepted": 0}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"all": False},
        {"workers": []},
        {"workers": [], "all": False},
        {"workers": [1], "all": True},
        {"workers": [0]},
        {"workers": ["1"]},
        {"workers": [2**53 + 1]},
        {"workers": 1},
        {"workers": list(range(1, 1002))},
        {"all": 1},
    ],
    ids=str,
)
def test_a_body_that_names_both_neither_or_no_workers_is_refused(fleet: Fleet, body: object) -> None:
    project = fleet.project()
    worker = applicant(fleet, project)

    answer = accept(fleet, project, body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.split(":")[0].split("[")[0] in {"workers", "all"}
    assert granted(fleet, project) == {}
    assert worker.get(f"/task/get/{project}").status == 403


def test_a_project_that_is_not_there_is_404(fleet: Fleet, admin: Caller) -> None:
    project = fleet.project()
    applicant(fleet, project)
    admin.post(f"/project/delete/{project}").content()

    for id in (project, 99_998):
        assert accept(fleet, id, {"all": True}).status == 404


@pytest.mark.parametrize("count", [2_500, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_very_many_requests_are_accepted_in_steps_of_at_most_500(
    store: Store, settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    manager = await store.managers.register("boss", "a long password", open_to_all=True)
    project = await store.projects.create(manager.id, {"name": "p"})
    with looking_into(redis_url) as redis:
        pipe = redis.pipeline(transaction=False)
        for worker in range(1, count + 1):
            pipe.hset(f"{settings.prefix}:{{directory}}:worker:{worker}", mapping={"alias": "w", "created": 1})
            pipe.hset(f"{settings.prefix}:{{project:{project}}}:requests", str(worker), "assign")
            if worker % 2_500 == 0:
                pipe.execute()
    largest, call = 0, store.calls.call

    async def counted(script: str, keys: object, args: list[object]) -> object:
        nonlocal largest
        largest = max(largest, len(args))
        return await call(script, keys, args)  # type: ignore[arg-type]

    monkeypatch.setattr(store.calls, "call", counted)
    accepted = await store.joining.accept_all(project)

    assert accepted == count
    assert 400 < largest <= 501
    with looking_into(redis_url) as redis:
        assert redis.hlen(f"{settings.prefix}:{{project:{project}}}:access") == count
        assert redis.exists(f"{settings.prefix}:{{project:{project}}}:requests") == 0
        for worker in (1, count // 2, count):
            assert redis.smembers(f"{settings.prefix}:{{directory}}:worker:{worker}:projects") == {str(project)}
