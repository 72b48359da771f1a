"""The calls of both clients on a real broker: each test runs twice, blocking and awaited."""

import inspect
import pydoc
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, assert_type, get_type_hints

import httpx
import pytest

from broker.client import (
    Affected,
    AsyncClient,
    Client,
    Credentials,
    Manager,
    NewTask,
    Refused,
    Release,
    Result,
    Task,
    hash64,
    verification,
)
from tests.client import Fleet

Ask = Callable[[Any], Awaitable[Any]]


@pytest.fixture(params=[Client, AsyncClient])
async def client(request: pytest.FixtureRequest, fleet: Fleet) -> AsyncIterator[Any]:
    """Untyped, because it may be either."""
    made = request.param(fleet.url)
    yield made
    await ask(made.close())


async def ask(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


async def become_worker(client: Any, fleet: Fleet, *projects: int) -> None:
    client.worker = await ask(client.create_worker("crawler"))
    for project in projects:
        assert await ask(client.request_access(project, submit=True)) == "requested"
        fleet.admin.post(f"/project/accept_request/{project}/{client.worker.id}").content()


async def test_a_task_is_submitted_assigned_extended_and_released(client: Any, fleet: Fleet) -> None:
    project = fleet.project(name=f"tasks of {type(client).__name__}", priority=7)
    await become_worker(client, fleet, project)

    task_id = await ask(client.submit(project, "a page", priority=3, max_retries=2, unique_string="a"))
    assert await ask(client.submit(project, "a page", unique_string="a")) is None

    task = await ask(client.get(project))
    assert (task.id, task.recipe, task.priority, task.max_retries) == (task_id, "a page", 3, 2)
    assert (task.assignee, task.project.id, task.project.priority) == (client.worker.id, project, 7)
    assert await ask(client.get(project)) is None
    assert [held.id for held in await ask(client.assigned(project))] == [task_id]
    assert await ask(client.extend([task_id, task_id + 100_000], 60)) == [True, False]
    assert await ask(client.release(task_id)) is True
    assert await ask(client.release(task_id)) is False
    assert (await ask(client.project_stats(project))).counters.closed == 1


async def test_a_page_is_done_in_one_turn(client: Any, fleet: Fleet) -> None:
    project, other = fleet.project(assign_rate=0.01), fleet.project()
    await become_worker(client, fleet, project)
    page = NewTask("a page", unique_string="a")

    first = await ask(client.turn(project, submits=[page, page]))
    assert (first.updated, first.outcomes[1], first.refused) == ([], None, {})
    (task,) = first.tasks
    assert (task.id, task.recipe, task.project.id) == (first.outcomes[0], "a page", project)

    second = await ask(client.turn(project, releases=[Release(task.id), Release(5)], submits=["b"], wait=0, count=3))
    assert (second.updated, len(second.outcomes), second.tasks) == ([True, False], 1, [])
    assert set(second.refused) == {"get"}
    assert second.refused["get"].code == "rate_limited"
    assert 0 < second.refused["get"].rate_limit_delay <= 100

    third = await ask(client.turn(other, submits=["c"], count=0))
    assert (third.outcomes, third.tasks, third.refused["submits"].code) == ([], [], "denied")
    assert (await ask(client.turn())).updated == []
    with pytest.raises(ValueError, match="need a project"):
        await ask(client.turn(submits=["d"]))
    with pytest.raises(Refused, match=r"get\.wait"):
        await ask(client.turn(project, wait=61))


async def test_many_tasks_are_submitted_assigned_and_released(client: Any, fleet: Fleet) -> None:
    project = fleet.project()
    await become_worker(client, fleet, project)

    ids = await ask(client.submit_many(project, ["x", NewTask("y", hash64=5), NewTask("z", hash64=5)]))
    assert ids[2] is None
    tasks = await ask(client.get_many(project, count=10))
    assert [task.recipe for task in tasks] == ["x", "y"]
    releases = [Release(tasks[0].id, Result.SKIP), Release(tasks[1].id, Result.FAIL), Release(5)]
    assert await ask(client.release_many(releases)) == [True, True, False]
    (again,) = await ask(client.get_many(project, count=10))
    assert again.recipe == "x"
    stats = await ask(client.project_stats(project))
    assert (stats.failed, stats.counters.skipped) == (1, 1)


async def test_a_task_has_its_time_and_says_why_it_failed(client: Any, fleet: Fleet) -> None:
    project = fleet.project()
    await become_worker(client, fleet, project)
    at = time.time() + 3600.5

    soon = await ask(client.submit(project, "soon", delay=0.1, max_retries=3))
    late = await ask(client.submit(project, "late", not_before=at))
    bulk = await ask(client.submit_many(project, [NewTask("a", delay=600), NewTask("b", not_before=at + 1)]))
    delayed = fleet.admin.get(f"/project/tasks/{project}?state=delayed").content()["tasks"]
    assert {row["id"] for row in delayed[-2:]} == {late, bulk[1]}
    assert delayed[-2]["not_before"] == pytest.approx(at, abs=0.01)
    assert (await ask(client.project_stats(project))).delayed >= 3

    task = await ask(client.get(project, wait=10, hold=77))
    assert (task.id, task.round) == (soon, 1)
    (held,) = fleet.admin.get(f"/project/tasks/{project}?state=assigned").content()["tasks"]
    assert 60 < held["deadline"] - time.time() <= 78
    assert await ask(client.release(soon, Result.FAIL, message="HTTP 500", delay=0.1))
    (task,) = await ask(client.get_many(project, count=5, wait=10, hold=66))
    assert await ask(client.release(soon, again_in=0.1))
    (task,) = (await ask(client.turn(project, wait=10, hold=55))).tasks
    assert (task.id, task.round, task.retries) == (soon, 2, 0)
    failed = Release(soon, Result.FAIL, message="HTTP 404", delay=3600)
    assert await ask(client.release_many([failed])) == [True]
    row = fleet.admin.get(f"/project/task/{project}/{soon}").content()["task"]
    assert (row["state"], row["error"]["message"]) == ("delayed", "HTTP 404")


async def test_tasks_are_given_back_and_cancelled(client: Any, fleet: Fleet) -> None:
    project = fleet.project()
    await become_worker(client, fleet, project)
    first, second = await ask(client.submit_many(project, ["a", "b"]))

    assert (await ask(client.get(project))).id == first
    assert await ask(client.cancel([first, second, 5])) == [False, True, False]
    assert await ask(client.give_back([first, second])) == [True, False]
    row = fleet.admin.get(f"/project/task/{project}/{first}").content()["task"]
    assert (row["state"], row["reclaims"]) == ("waiting", 1)
    assert await ask(client.cancel([first])) == [True]
    assert (await ask(client.project_stats(project))).waiting == 0


async def test_groups_are_listed_limited_slowed_down_and_removed(client: Any, fleet: Fleet) -> None:
    asking = await ask(client.register(f"groups-{type(client).__name__[:5]}", "correct horse"))
    project = await ask(client.create_project(f"groups of {type(client).__name__}", group_limit=1))
    await become_worker(client, fleet, project)
    names = [f"host {n}" for n in range(3)]
    await ask(client.submit_many(project, [NewTask("r", group=name) for name in names * 2]))

    tasks = await ask(client.get_many(project, count=10))
    assert [group.group for group in await ask(client.groups(project, "full"))] == names
    assert (await ask(client.project_stats(project))).groups_full == 3
    await ask(client.release(tasks[0].id, group_delay=5))
    await ask(client.release_many([Release(tasks[1].id, group_blocked=60), Release(tasks[2].id)]))
    assert (await ask(client.group(project, names[0]))).delay == 5
    assert (await ask(client.group(project, names[1]))).blocked_until > time.time()

    own = await ask(client.set_group(project, names[2], limit=2, blocked_for=60))
    assert (own.limit, own.own, own.set_by) == (2, True, f"manager {asking.id}")
    assert [group.group for group in await ask(client.groups(project, "ready"))] == names[:1]
    assert await ask(client.remove_group(project, names[0])) == 1
    assert await ask(client.get(project)) is None
    await ask(client.set_group(project, names[2], blocked_for=0))
    assert (await ask(client.get(project))).group == names[2]


async def test_a_manager_finds_retries_and_removes_what_failed(client: Any, fleet: Fleet) -> None:
    await ask(client.register(f"finder-{type(client).__name__[:5]}", "correct horse"))
    project = await ask(client.create_project(f"failures of {type(client).__name__}", remember_closed=-1))
    await become_worker(client, fleet, project)
    worker = client.worker.id
    hosts = ["a.org", "b.org"] * 3
    ids = await ask(client.submit_many(project, [NewTask(f"https://{name}/{n}") for n, name in enumerate(hosts)]))
    releases = [{"task_id": id, "result": 1, "message": f"{name} is down"} for id, name in zip(ids, hosts, strict=True)]
    await ask(client.get_many(project, count=6))
    await ask(client.call("POST", "/task/bulk_release", {"requests": releases}))

    failures = await ask(client.failures(project))
    assert sorted((failure.message, failure.count) for failure in failures) == [
        ("a.org is down", 3),
        ("b.org is down", 3),
    ]
    found = await ask(client.find_tasks(project, "failed", contains="a.org", worker=worker, newest=True, most=2))
    assert [task.id for task in found] == [ids[4], ids[2]]
    assert (found[0].error.message, found[0].error.worker) == ("a.org is down", worker)
    assert await ask(client.find_tasks(project, "failed", group="c.org")) == []

    assert await ask(client.retry_tasks(project, contains="a.org is")) == Affected(3, pending=False)
    assert await ask(client.remove_tasks(project, "failed", worker=worker)) == Affected(3, pending=False)
    assert len(await ask(client.get_many(project, count=2))) == 2
    assert await ask(client.reclaim_worker(project, worker)) == 2
    assert (await ask(client.project_stats(project))).waiting == 3


async def test_a_closed_task_is_forgotten(client: Any, fleet: Fleet) -> None:
    project = fleet.project(remember_closed=-1)
    await become_worker(client, fleet, project)
    await ask(client.submit(project, "r", unique_string="r"))
    assert await ask(client.forget(project, unique_string="r")) is False
    await ask(client.release((await ask(client.get(project))).id))

    assert await ask(client.submit(project, "r", unique_string="r")) is None
    assert await ask(client.forget(project, unique_string="r")) is True
    assert await ask(client.submit(project, "r", unique_string="r")) is not None


async def test_more_tasks_than_one_call_takes_are_submitted_and_duplicates_named(client: Any, fleet: Fleet) -> None:
    project = fleet.project()
    await become_worker(client, fleet, project)
    tasks = [NewTask("r", hash64=1 + n % 12_000) for n in range(12_100)]

    ids = await ask(client.submit_many(project, tasks))

    assert len(ids) == 12_100
    assert [index for index, id in enumerate(ids) if id is None] == list(range(12_000, 12_100))
    assert len(set(ids[:12_000])) == 12_000


async def test_a_get_without_a_project_assigns_a_task_of_any_project(client: Any, fleet: Fleet) -> None:
    project = fleet.project(priority=10**9)
    await become_worker(client, fleet, project)
    await ask(client.submit(project, "r"))

    task = await ask(client.get())

    assert task.project.id == project
    await ask(client.release(task.id))


async def test_a_submit_waits_for_the_rate_of_its_project(client: Any, fleet: Fleet) -> None:
    project = fleet.project(submit_rate=10)
    await become_worker(client, fleet, project)
    began = time.monotonic()

    for _ in range(4):
        assert await ask(client.submit(project, "r"))

    # The first is free, each other waits for a tenth of a second.
    assert time.monotonic() - began >= 0.28


async def test_a_worker_changes_its_alias_and_its_secret(client: Any, fleet: Fleet) -> None:
    await become_worker(client, fleet)
    before = client.worker

    await ask(client.update_worker("crawler-2"))
    after = await ask(client.rotate_secret())

    assert (await ask(client.worker_info(after.id))).alias == "crawler-2"
    assert client.worker == after
    assert after.secret != before.secret
    await ask(client.log("info", "still here", timestamp=5))
    client.worker = before
    with pytest.raises(Refused) as refused:
        await ask(client.update_worker("crawler-3"))
    assert refused.value.code == "bad_credentials"


async def test_access_is_requested_once(client: Any, fleet: Fleet) -> None:
    project, public = fleet.project(), fleet.project(public=True)
    client.worker = await ask(client.create_worker())

    assert await ask(client.request_access(project)) == "requested"
    assert await ask(client.request_access(project)) == "pending"
    assert await ask(client.request_access(public)) == "requested"
    with pytest.raises(Refused) as refused:
        await ask(client.get(project))
    assert refused.value.code == "denied"
    fleet.admin.post(f"/project/accept_request/{project}/{client.worker.id}").content()
    assert await ask(client.request_access(project, submit=True)) == "granted"
    with pytest.raises(Refused) as refused:
        await ask(client.request_access(2**40))
    assert refused.value.code == "not_found"


async def test_a_manager_signs_in_creates_a_project_and_accepts_a_worker(client: Any, fleet: Fleet) -> None:
    name = f"ada-{type(client).__name__[:5]}"
    manager = await ask(client.register(name, "correct horse"))
    project = await ask(client.create_project(f"pages of {name}", priority=3, hidden=True))
    async with AsyncClient(fleet.url) as other:
        other.worker = await other.create_worker("w")
        await other.request_access(project, submit=True)
        await ask(client.accept_request(project, other.worker.id))
        await other.submit(project, "r" * 300)
        assert await other.project_secret(project) == "{}"

    assert await ask(client.account()) == manager
    assert (await ask(client.project(project))).priority == 3
    assert project in [one.id for one in await ask(client.projects())]
    page = await ask(client.project_tasks(project))
    assert (page.total, page.tasks[0].recipe_bytes, len(page.tasks[0].recipe)) == (1, 300, 200)
    assert (await ask(client.call("POST", f"/project/hard_reset/{project}")))["affected_tasks"] == 1
    await ask(client.logout())
    assert await ask(client.account()) is None
    assert (await ask(client.login(name, "correct horse"))).id == manager.id


async def test_the_hash_of_a_string_is_the_brokers(client: Any, fleet: Fleet) -> None:
    project = fleet.project()
    await become_worker(client, fleet, project)
    assert await ask(client.submit(project, "r", unique_string="grüße"))

    assert await ask(client.submit(project, "r", hash64=hash64("grüße"))) is None
    assert hash64("test") == hash64(b"test") == 6838688128588807185


def test_a_verification_can_be_computed_in_any_shell() -> None:
    shell = "printf %s grüße | sha256sum | head -c 16"
    unsigned = int(subprocess.run(["sh", "-c", shell], capture_output=True, check=True, timeout=60).stdout, 16)

    assert verification("grüße") == verification("grüße".encode()) == unsigned - (1 << 64) * (unsigned >> 63)


def test_a_connection_is_used_again(fleet: Fleet) -> None:
    connections = set()

    def note(request: httpx.Request) -> None:
        request.extensions["trace"] = lambda event, info: (
            connections.add(id(info["return_value"])) if event == "connection.connect_tcp.complete" else None
        )

    with httpx.Client(event_hooks={"request": [note]}) as http, Client(fleet.url + "/", http=http) as client:
        for _ in range(20):
            client.projects()

    assert len(connections) == 1


async def test_editors_and_type_checkers_know_what_a_call_gives(fleet: Fleet) -> None:
    project = fleet.project(public=True)
    with Client(fleet.url) as client:
        client.worker = assert_type(client.create_worker("w"), Credentials)
        assert_type(client.get(project), Task | None)
    async with AsyncClient(fleet.url, client.worker) as other:
        assert_type(await other.get_many(project, count=2), list[Task])


def test_secrets_are_not_printed() -> None:
    assert "hush" not in repr(Credentials(1, "w", "hush"))


def shown_by_help(what: object) -> str:
    """Without its title."""
    return pydoc.plain(pydoc.render_doc(what)).partition("\n\n")[2]


def test_help_shows_what_a_call_returns() -> None:
    shown = [shown_by_help(kind.get).splitlines()[0] for kind in (Client, AsyncClient)]

    arguments = (
        "get(self, project: int | None = None, *, wait: int = 0, hold: int = 0) -> broker.client.types.Task | None"
    )
    assert shown == [arguments, f"async {arguments}"]
    assert "-> list[bool]" in shown_by_help(Client.extend)
    assert "Steps" not in shown_by_help(Client)
    assert get_type_hints(AsyncClient.login)["return"] is Manager
    assert inspect.iscoroutinefunction(AsyncClient.get)
    assert not inspect.iscoroutinefunction(Client.get)


def test_both_clients_show_each_call_with_its_arguments_and_its_text() -> None:
    for kind in (Client, AsyncClient):
        assert list(inspect.signature(kind.submit).parameters)[:3] == ["self", "project", "recipe"]
        assert "None for a duplicate" in (inspect.getdoc(kind.submit) or "")
    with Client("http://broker") as client:
        assert list(inspect.signature(client.submit).parameters)[:2] == ["project", "recipe"]
