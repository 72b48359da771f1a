"""One call that releases, submits and gets."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.client import Fleet, WorkerCaller
from tests.manage.bulk import live
from tests.serving import until

PATH = "/task/turn"
NOTHING: dict[str, Any] = {"updated": [], "outcomes": [], "tasks": [], "refused": {}}


def turn(worker: WorkerCaller, **parts: Any) -> dict[str, Any]:
    """The content of the answer; no part may be refused."""
    content = worker.post(PATH, parts).content()
    assert content["refused"] == {}
    return content


def refused(worker: WorkerCaller, **parts: Any) -> dict[str, Any]:
    """The content of the answer; a part must be refused."""
    answer = worker.post(PATH, parts)
    assert (answer.status, answer.body["ok"]) == (200, False), answer
    assert set(answer.body) == {"ok", "message", "content"}
    content: dict[str, Any] = answer.body["content"]
    assert set(content) == set(NOTHING)
    assert all(part in answer.message for part in content["refused"])
    return content


def release(*tasks: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"task_id": task, "result": 0, **fields} for task in tasks]


def submit(project: int, *recipes: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"project": project, "recipe": recipe, **fields} for recipe in recipes]


def recipes(content: dict[str, Any]) -> list[str]:
    return [task["recipe"] for task in content["tasks"]]


def test_a_page_is_released_its_links_are_submitted_and_the_next_page_is_got(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, "a", unique_string="a")
    page = worker.take(project)
    links = [*submit(project, "b", unique_string="b"), *submit(project, "a", unique_string="a"), *submit(project, "c")]

    content = turn(worker, releases=release(page["id"]), submits=links, get={"project": project, "count": 5})

    # The release comes first, so the hash of the page is free again.
    ids = [200_000 + project, 300_000 + project, 400_000 + project]
    assert (content["updated"], content["outcomes"]) == ([True], ids)
    assert [(task["id"], task["recipe"]) for task in content["tasks"]] == list(zip(ids, "bac", strict=True))
    assert content["tasks"][0].keys() == page.keys()
    assert content["tasks"][0]["project"] == page["project"]
    again = turn(worker, releases=release(page["id"]), submits=links[:2])
    assert (again["updated"], again["outcomes"], again["tasks"]) == ([False], [None, None], [])


@pytest.mark.parametrize(
    "parts", [{}, {"releases": None, "submits": None, "get": None}, {"releases": [], "submits": []}]
)
def test_each_part_may_be_absent_null_or_empty(fleet: Fleet, parts: dict[str, Any]) -> None:
    assert turn(fleet.worker(), **parts) == NOTHING


@pytest.mark.parametrize("body", ["", "null"])
def test_a_turn_may_have_no_body(fleet: Fleet, body: str) -> None:
    assert fleet.worker().post(PATH, body).content() == NOTHING


def test_a_part_may_come_alone(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    task = turn(worker, submits=submit(project, "a"))["outcomes"][0]
    assert [one["id"] for one in turn(worker, get={"project": project})["tasks"]] == [task]
    assert turn(worker, get={"project": project}) == NOTHING
    assert turn(worker, releases=release(task, 0, -1, task)) == NOTHING | {"updated": [True, False, False, False]}


def test_a_get_without_a_project_is_of_any(fleet: Fleet) -> None:
    project = fleet.project(priority=10**6)
    worker = fleet.worker(project)
    worker.submit(project, "a")

    def found() -> bool:
        return recipes(turn(worker, get={})) == ["a"]

    # Which projects have tasks is read a few times a second.
    until(found)


def test_a_turn_needs_the_credentials_of_a_worker(fleet: Fleet) -> None:
    for body in ({}, {"releases": "no list"}):
        answer = fleet.anybody.post(PATH, body)
        assert (answer.status, answer.code) == (401, "bad_credentials")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"releases": [*release(1), {"result": 0}]}, "releases[1].task_id: required"),
        ({"releases": [{"task_id": None, "result": 0}]}, "releases[0].task_id: required"),
        ({"releases": [{"task_id": 1}]}, "releases[0].result: required"),
        ({"releases": [{"task_id": 1, "result": 3}]}, "releases[0].result: "),
        ({"releases": release(1, group_delay=-0.5)}, "releases[0].group_delay: "),
        ({"releases": release(*range(1001))}, "releases: must have 1 to 1000 entries"),
        ({"submits": [{}] * 3}, "submits[0].project: required"),
        ({"submits": [{}, {"recipe": ""}]}, "submits[1].recipe: required, must not be empty"),
        ({"submits": [{}, {"project": 99_999}]}, "submits[1].project: differs from submits[0].project"),
        ({"submits": [{}, {"hash64": 1, "unique_string": "a"}]}, "submits[1].unique_string: "),
        ({"submits": [{}, {"priority": 2**15}]}, "submits[1].priority: "),
        ({"submits": [{}] * 10_001}, "submits: must have 1 to 10000 entries"),
        ({"get": {"project": 0}}, "get.project: "),
        ({"get": {"count": 0}}, "get.count: "),
        ({"get": {"count": 1001}}, "get.count: "),
        ({"get": {"count": 1.5}}, "get.count: "),
        ({"get": {"wait": 61}}, "get.wait: "),
        ({"get": {"wait": -1}}, "get.wait: "),
        ({"get": []}, "get: "),
        ({"submits": {}}, "submits: "),
    ],
)
def test_all_is_checked_before_anything_is_done(fleet: Fleet, wrong: dict[str, Any], message: str) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    held = worker.submit(project, "held")
    worker.take(project)
    waiting = worker.submit(project)
    right = {"releases": release(held), "submits": submit(project, "new"), "get": {"project": project}}
    if "submits" in wrong and message != "submits[0].project: required" and isinstance(wrong["submits"], list):
        wrong = {"submits": [{"project": project, "recipe": "r", **fields} for fields in wrong["submits"]]}

    answer = worker.post(PATH, {**right, **wrong})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(message)
    assert live(worker, project) == {"assigned": 1, "waiting": 1}
    assert worker.take(project)["id"] == waiting


def test_a_recipe_that_is_too_large_is_named_too(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)

    answer = worker.post(PATH, {"submits": submit(project, "a", "x" * ((1 << 20) + 1))})

    assert (answer.status, answer.code) == (413, "too_large")
    assert answer.message.startswith("submits[1].recipe: ")
    assert live(worker, project) == {}


def test_a_part_that_is_refused_does_not_stop_the_others(fleet: Fleet) -> None:
    project, other = fleet.project(), fleet.project()
    worker = fleet.worker(project)
    for recipe in ("a", "b", "c"):
        worker.submit(project, recipe)
    first, second = worker.take(project)["id"], worker.take(project)["id"]

    content = refused(worker, releases=release(first), submits=submit(other, "d"), get={"project": project})

    assert (content["updated"], content["outcomes"], recipes(content)) == ([True], [], ["c"])
    denied = worker.post("/task/submit", submit(other, "d")[0])
    assert content["refused"] == {"submits": {"code": "denied", "message": denied.message}}

    content = refused(worker, releases=release(second), submits=submit(99_999, "d"), get={"project": other})

    assert (content["updated"], content["outcomes"], content["tasks"]) == ([True], [], [])
    assert content["refused"]["submits"]["code"] == "not_found"
    got = worker.get(f"/task/get/{other}")
    assert content["refused"]["get"] == {"code": "denied", "message": "No task available", "detail": got.body["detail"]}


def test_a_rate_that_is_reached_says_when_to_ask_again(fleet: Fleet) -> None:
    project = fleet.project(submit_rate=0.01, assign_rate=0.01)
    worker = fleet.worker(project)
    content = turn(worker, submits=submit(project, "a"), get={"project": project})
    assert recipes(content) == ["a"]

    content = refused(
        worker,
        releases=release(content["tasks"][0]["id"], result=2),
        submits=submit(project, "b"),
        get={"project": project},
    )

    assert content["updated"] == [True]
    for part in ("submits", "get"):
        why = content["refused"][part]
        assert why["code"] == "rate_limited"
        assert 0 < why["rate_limit_delay"] <= 100
        assert "detail" not in why


def test_a_paused_worker_releases_and_submits_and_gets_nothing(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    held = worker.submit(project)
    worker.take(project)
    fleet.admin.post("/worker/set_paused", {"worker": worker.id, "paused": True}).content()

    content = refused(
        worker, releases=release(held), submits=submit(project, "b"), get={"project": project, "wait": 60}
    )

    assert (content["updated"], len(content["outcomes"]), content["tasks"]) == ([True], 1, [])
    assert content["refused"]["get"]["code"] == "worker_paused"
    assert content["refused"]["get"]["message"] == worker.get(f"/task/get/{project}").message
    assert live(worker, project) == {"waiting": 1}


def test_a_paused_project_takes_releases_and_submits(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    held = worker.submit(project)
    worker.take(project)
    fleet.admin.post(f"/project/update/{project}", {"paused": True}).content()

    content = refused(worker, releases=release(held), submits=submit(project, "b"), get={"project": project})

    assert (content["updated"], len(content["outcomes"]), content["tasks"]) == ([True], 1, [])
    why = content["refused"]["get"]
    assert (why["code"], why["message"]) == ("paused", "No task available")
    assert "paused" in why["detail"]


SIZES = [1, 29, 30, 31, 32, 91, 92, 93, 94, 500, 501, 1000]
"""Sizes around those at which a script uses another connection or becomes two."""


@pytest.mark.parametrize("size", SIZES)
def test_the_get_comes_after_the_releases(fleet: Fleet, size: int) -> None:
    project = fleet.project(group_limit=size)
    worker = fleet.worker(project)
    bulk = {"requests": submit(project, *map(str, range(size + 1)), group="example.org")}
    held = worker.post("/task/bulk_submit", bulk).content()["outcomes"][:size]
    assert len(worker.get(f"/task/get/{project}?count={size}").content()["tasks"]) == size
    assert worker.get(f"/task/get/{project}").code == "no_task"

    content = turn(worker, releases=release(*held), get={"project": project})

    assert (content["updated"], recipes(content)) == ([True] * size, [str(size)])


@pytest.mark.parametrize("size", SIZES)
def test_the_get_comes_after_the_submits(fleet: Fleet, size: int) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    last = submit(project, "last", priority=1)

    content = turn(worker, submits=submit(project, *map(str, range(size - 1))) + last, get={"project": project})

    assert len(content["outcomes"]) == size
    assert recipes(content) == ["last"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("few", [1, 40])
def test_the_submits_come_after_the_releases(fleet: Fleet, size: int, few: int) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    bulk = {"requests": [one for n in range(few) for one in submit(project, str(n), unique_string=str(n))]}
    held = worker.post("/task/bulk_submit", bulk).content()["outcomes"]
    worker.get(f"/task/get/{project}?count={few}").content()

    again = submit(project, "again", unique_string=str(few - 1)) + submit(project, *map(str, range(size - 1)))
    content = turn(worker, releases=release(*held), submits=again, get={"project": project})

    assert content["outcomes"][0] is not None
    assert recipes(content) == ["again"]


def test_a_group_that_a_release_slows_down_or_blocks_starts_nothing_in_the_same_turn(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    for group in ("a", "a", "b", "b", "c"):
        worker.submit(project, group, group=group)
    held = [worker.take(project) for _ in range(2)]
    assert [task["group"] for task in held] == ["a", "b"]

    releases = release(held[0]["id"], group_blocked=60) + release(held[1]["id"], group_delay=60)
    content = turn(worker, releases=releases, submits=submit(project, "d"), get={"project": project, "count": 9})

    assert content["updated"] == [True, True]
    assert "a" not in recipes(content)
    row = worker.get(f"/project/group/{project}?group=a").content()["group"]
    assert row["blocked_until"] > time.time() + 50
    assert worker.get(f"/project/group/{project}?group=b").content()["group"]["delay"] == 60


def test_the_parts_take_what_their_own_calls_take(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    for recipe in ("fails", "comes again"):
        worker.submit(project, recipe, max_retries=1)
    failing, closing = (worker.take(project)["id"] for _ in range(2))
    later = submit(project, "later", delay=3600) + submit(project, "now", max_assign_time=0)

    content = turn(
        worker,
        releases=release(failing, result=1, message="no such host") + release(closing, again_in=3600),
        submits=later,
        get={"project": project, "count": 5, "hold": 60},
    )

    assert (content["updated"], recipes(content)) == ([True, True], ["now"])
    rows = {
        state: fleet.admin.get(f"/project/tasks/{project}?state={state}").content()["tasks"]
        for state in ("failed", "delayed", "assigned")
    }
    assert [row["error"]["message"] for row in rows["failed"]] == ["no such host"]
    assert {(row["recipe"], row["round"]) for row in rows["delayed"]} == {("later", 1), ("comes again", 2)}
    (held,) = rows["assigned"]
    assert 55 <= held["deadline"] - content["tasks"][0]["assign_time"] <= 61
    for wrong, field in (({"hold": 0}, "get.hold"), ({"hold": 86_401}, "get.hold")):
        assert worker.post(PATH, {"get": wrong}).message.startswith(field)


def test_a_chained_project_has_what_was_released(fleet: Fleet) -> None:
    target = fleet.project()
    project = fleet.project(chain=target)
    worker = fleet.worker(project, target)
    worker.submit(project, "a")

    turn(worker, releases=release(worker.take(project)["id"]), submits=submit(project, "b"), get={"project": project})

    assert worker.take(target)["recipe"] == "a"


def test_tasks_of_many_projects_are_released_in_one_turn(fleet: Fleet) -> None:
    projects = [fleet.project(group_limit=1) for _ in range(20)]
    worker = fleet.worker(*projects)
    held = []
    for project in projects:
        worker.submit(project, "a", group="g")
        worker.submit(project, "b", group="g")
        held.append(worker.take(project)["id"])

    content = turn(
        worker, releases=release(*held), submits=submit(projects[0], "c"), get={"project": projects[-1], "count": 3}
    )

    assert (content["updated"], recipes(content)) == ([True] * 20, ["b"])


def test_a_get_of_a_turn_waits_and_the_rest_is_done_at_once(fleet: Fleet) -> None:
    project = fleet.project()
    worker, other = fleet.worker(project), fleet.worker(project)
    held = worker.submit(project)
    worker.take(project)
    with ThreadPoolExecutor(1) as pool:
        parts = {"releases": release(held), "get": {"project": project, "wait": 20}}
        waiting = pool.submit(worker.post, PATH, parts)
        until(lambda: live(other, project) == {})
        assert not waiting.done()

        task = other.submit(project)

        content = waiting.result(10).content()
    assert (content["updated"], [one["id"] for one in content["tasks"]]) == ([True], [task])


def test_a_wait_in_vain_is_no_refusal(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    begun = time.monotonic()

    content = turn(worker, get={"project": project, "wait": 1})

    assert content == NOTHING
    assert time.monotonic() - begun >= 1


def test_what_is_submitted_reaches_others_that_wait_and_then_oneself(fleet: Fleet) -> None:
    project = fleet.project()
    worker, others = fleet.worker(project), [fleet.worker(project) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        waiting: list[Any] = [pool.submit(one.get, f"/task/get/{project}?wait=20") for one in others]
        time.sleep(0.2)

        content = turn(worker, submits=submit(project, *"abcd"), get={"project": project, "wait": 20})

        got = [one.result(10).content()["task"]["recipe"] for one in waiting]
    assert sorted(got + recipes(content)) == ["a", "b", "c", "d"]
