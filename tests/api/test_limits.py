"""Limits that an operator has set: each refusal names the field and the limit."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker.api.values import MAX_BULK, MAX_RECIPE
from broker.errors import StartError
from broker.settings import Settings
from tests.client import Answer, Caller, Fleet, exchange
from tests.serving import Serving


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A worker of a broker with smaller limits than the defaults."""
    serving = Serving.start(
        tmp_path_factory.mktemp("small"),
        max_body="64kb",
        max_head="8kb",
        max_recipe="1kb",
        max_alias="32",
        max_bulk="500",
        max_count="2",
        max_projects="2",
    )
    admin = serving.admin()
    fleet = Fleet(serving.url, admin)
    yield fleet
    fleet.close()
    assert serving.stop() == 0


def is_invalid(answer: Answer, message: str) -> None:
    assert (answer.status, answer.code, answer.message) == (400, "invalid", message)


def is_too_large(answer: Answer, message: str) -> None:
    assert (answer.status, answer.code, answer.message) == (413, "too_large", message)


def test_a_recipe_has_its_limit_in_bytes(small: Fleet) -> None:
    project = small.project()
    worker = small.worker(project)
    worker.submit(project, "\u00e9" * 512)

    larger = {"project": project, "recipe": "\u00e9" * 512 + "x"}

    is_too_large(worker.post("/task/submit", larger), "recipe: larger than 1024 bytes")
    bulk = {"requests": [{"project": project, "recipe": "x"}, larger]}
    is_too_large(worker.post("/task/bulk_submit", bulk), "requests[1].recipe: larger than 1024 bytes")
    assert worker.get(f"/project/stats/{project}").content()["stats"]["waiting"] == 1


def test_an_alias_has_its_limit_in_characters(small: Fleet) -> None:
    worker = small.worker(alias="\u00e9" * 32)

    for path in ("/worker/create", "/worker/update"):
        is_invalid(worker.post(path, {"alias": "\u00e9" * 33}), "alias: expected `str` of length <= 32")
    assert worker.get(f"/worker/get/{worker.id}").content()["worker"]["alias"] == "\u00e9" * 32


def test_a_bulk_has_its_limit(small: Fleet) -> None:
    project = small.project()
    worker = small.worker(project)
    submits = [{"project": project, "recipe": "x"}] * 501
    releases = [{"task_id": 100_001, "result": 0}] * 501

    worker.post("/task/bulk_submit", {"requests": submits[:500]}).content()
    worker.post("/task/bulk_release", {"requests": releases[:500]}).content()
    is_invalid(worker.post("/task/bulk_submit", {"requests": submits}), "requests: must have 1 to 500 entries")
    is_invalid(worker.post("/task/bulk_release", {"requests": releases}), "requests: must have 1 to 500 entries")
    ids = {"task_ids": [100_001] * 501, "seconds": 1}
    is_invalid(worker.post("/task/extend", ids), "task_ids: must have 1 to 500 entries")


def test_a_get_has_its_limit_and_so_has_what_a_worker_is_told_to_hold(small: Fleet) -> None:
    project = small.project(public=True)
    worker = small.worker(project)
    for n in range(4):
        worker.submit(project, f"{n}")

    for path in (f"/task/get/{project}", "/task/get"):
        is_invalid(worker.get(f"{path}?count=3"), "count: a whole number from 1 to 2")
        assert len(worker.get(f"{path}?count=2").content()["tasks"]) == 2
    assert len(worker.get(f"/task/assigned/{project}").content()["tasks"]) == 2


def test_a_body_has_its_limit(small: Fleet) -> None:
    small.anybody.post("/worker/create", b"{}".ljust(65_536)).content()

    is_too_large(small.anybody.post("/worker/create", b"{}".ljust(65_537)), "body: larger than 65536 bytes")


def test_a_head_has_its_limit(small: Fleet) -> None:
    def sized(size: int) -> bytes:
        begin = b"POST /worker/create HTTP/1.1\r\nHost: x\r\nX-A: "
        return begin.ljust(size, b"a")

    # Without its end: a head that is complete in one read is accepted.
    assert exchange(small.url, sized((8 << 10) + 1)).status == 400
    assert exchange(small.url, sized(8 << 10) + b"\r\n\r\n").status == 200


@pytest.mark.parametrize(
    ("setting", "wrong", "why"),
    [
        ("MAX_BODY", "63kb", "a size from 65536 to 268435456 bytes"),
        ("MAX_BODY", "1gb", "a size from 65536 to 268435456 bytes"),
        ("MAX_HEAD", "0", "a size from 8192 to 16777216 bytes"),
        ("MAX_RECIPE", "5mb", "a size from 1024 to 4194304 bytes"),
        ("MAX_ALIAS", "16385", "a whole number from 32 to 16384"),
        ("MAX_BULK", "499", "a whole number from 500 to 100000"),
        ("MAX_COUNT", "0", "a whole number from 1 to 10000"),
        ("CREATE_LIMIT", "-1", "a whole number from 0 to 100000000"),
        *(
            ("TRUSTED_PROXIES", wrong, "addresses or networks (10.0.0.0/8) separated by commas, or * alone")
            for wrong in ("nonsense", "10.0.0.1/8", "127.0.0.1,,10.0.0.1", "*, 10.0.0.1", "127.0.0.1:3010", "300.1.1.1")
        ),
        ("REQUEST_TIMEOUT", "0", "a duration: seconds, or 90s, 5m, 8h, 7d"),
    ],
)
def test_a_limit_that_would_break_something_stops_the_start(setting: str, wrong: str, why: str) -> None:
    with pytest.raises(StartError) as stopped:
        Settings.read({f"BROKER_{setting}": wrong})

    assert str(stopped.value) == f"BROKER_{setting}: {wrong!r} is not {why}"


@pytest.mark.parametrize("right", ["", "*", "127.0.0.1", "127.0.0.1, 10.0.0.0/8,::1,2001:db8::/32"])
def test_proxies_are_addresses_and_networks(right: str) -> None:
    assert Settings.read({"BROKER_TRUSTED_PROXIES": right}).trusted_proxies == right


def test_the_document_names_the_limits_that_hold_when_none_is_set() -> None:
    usual = Settings()

    assert (usual.max_bulk, usual.max_recipe) == (MAX_BULK, MAX_RECIPE)


def test_the_largest_limits_are_served(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("large")
    serving = Serving.start(
        folder, max_body="64mb", max_head="16mb", max_recipe="4mb", max_bulk="100000", max_count="10000"
    )
    admin = serving.admin()
    fleet = Fleet(serving.url, admin)
    target = fleet.project()
    project = fleet.project(chain=target)
    worker = fleet.worker(project, target)
    requests = [{"project": project, "recipe": "x"} for _ in range(12_000)]

    # Not by a caller that checks calls against the document, which names the default limits.
    plain = worker.http
    submitted = plain.post("/task/bulk_submit", json={"requests": requests}).json()
    assert submitted["content"]["submitted"] == 12_000
    taken = [task["id"] for task in plain.get(f"/task/get/{project}?count=10000").json()["content"]["tasks"]]
    assert len(taken) == 10_000
    releases = {"requests": [{"task_id": task, "result": 0} for task in taken]}
    assert plain.post("/task/bulk_release", json=releases).json()["content"] == {"updated": [True] * 10_000}
    plain.post("/task/submit", json={"project": target, "recipe": "x" * (4 << 20), "priority": 1}).raise_for_status()
    assert len(worker.take(target)["recipe"]) == 4 << 20
    fleet.close()
    assert serving.stop() == 0


def test_a_manager_has_so_many_projects_and_an_admin_any_number(small: Fleet) -> None:
    manager, other = small.manager(), small.manager()
    first, _ = small.project(manager), small.project(manager)

    for _ in range(2):
        answer = manager.post("/project/create", {"name": "one more"})
        assert (answer.status, answer.code) == (403, "limit_reached")
        assert answer.message == "A manager may have 2 projects: delete one, or ask an admin"
    small.project(other)
    for _ in range(3):
        small.project()

    # Also if an admin deletes it. Projects of others on which the manager has a role do not count.
    small.admin.post(f"/project/delete/{first}").content()
    small.project(manager)
    assert manager.post("/project/create", {"name": "one more"}).code == "limit_reached"
    assert small.admin.post(f"/manager/promote/{manager.id}").status == 204
    second = small.project(manager)
    assert small.admin.post(f"/manager/demote/{manager.id}").status == 204
    manager.post(f"/project/delete/{second}").content()
    assert manager.post("/project/create", {"name": "one more"}).code == "limit_reached"


def test_calls_at_once_create_no_project_too_many(small: Fleet) -> None:
    manager = small.manager()
    headers = {"Cookie": f"tt={manager.http.cookies['tt']}"}

    def create(n: int) -> int:
        caller = Caller(small.url, headers)
        status = caller.post("/project/create", {"name": f"{manager.username} {n}"}).status
        caller.close()
        return status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(16)))

    assert sorted(statuses) == [200] * 2 + [403] * 14
