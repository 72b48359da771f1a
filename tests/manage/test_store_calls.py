"""How many calls of the store each page and list takes with 1,000 projects and 1,000 workers: counted, not timed.

A page may cost what it shows, nothing for the projects and workers that it does not show.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import httpx
import pytest

from broker.app import create_app
from broker.settings import Settings
from broker.store import Store, counting
from tests.store.conftest import StoreFleet, new

PROJECTS = WORKERS = 1000

SESSION = 1
"""Who asks: one call."""

VISIT = SESSION + 1
"""A page also shows how many requests for access wait."""

SHOWN = 100
"""Projects on a page of the overview, and projects that /metrics shows one by one."""


@dataclass
class Client:
    http: httpx.AsyncClient
    store: Store
    wanted: int
    """A project to which all workers have access, or request it."""
    project: int
    """One with tasks."""
    task: int
    failing: int
    """One with 2,000 failed tasks."""

    async def calls(self, path: str) -> int:
        """How many calls of the store this takes if it was read a moment ago."""
        path = path.format(wanted=self.wanted, project=self.project, task=self.task, failing=self.failing)
        await self.read(path)
        metrics = self.store.metrics.calls
        before = sum(metrics.total.buckets)
        await self.read(path)
        return int(sum(metrics.total.buckets) - before)

    async def read(self, path: str) -> None:
        answer = await self.http.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:200]}"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, max_projects=0)


@pytest.fixture
async def client(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    store.ready.set()
    transport = httpx.ASGITransport(app=create_app(settings, store))
    async with httpx.AsyncClient(transport=transport, base_url="http://broker", timeout=30) as http:
        account = await http.post("/register", json={"username": "boss", "password": "a long password"})
        fleet = StoreFleet(store, account.json()["content"]["manager"]["id"])
        for start in range(0, PROJECTS, 100):
            names = (f"project {n}" for n in range(start, start + 100))
            await asyncio.gather(*(store.projects.create(fleet.manager, {"name": name}) for name in names))
        projects = [project.id async for project in store.projects.ids()]
        workers = await fleet.many_workers(WORKERS, projects[0])
        await fleet.many_workers(WORKERS, projects[0], granted=False)
        for project in projects[1:40]:
            await fleet.store.workers.request_access(project, workers[0], assign=True, submit=True)
            await fleet.store.workers.grant(project, workers[0])
        (task, *_) = await fleet.submit(projects[1], workers[0], *(new(votes=3) for _ in range(200)))
        assert task
        for held in await fleet.take(projects[1], workers[0], 100):
            await fleet.release(projects[1], workers[0], held.id, vote=1)
        for project in projects[2:40]:
            await fleet.submit(project, workers[0], new())
        for _ in range(4):
            await fleet.submit(projects[39], workers[0], *[new()] * 500)
            for held in await fleet.take(projects[39], workers[0], 500):
                await fleet.release(projects[39], workers[0], held.id, 1)
        await store.counting.note()
        monkeypatch.setattr(counting, "_DUTY", 1)
        await store.counting.round(60)
        yield Client(http, store, projects[0], projects[1], task, projects[39])


async def test_each_page_and_list_costs_what_it_shows(client: Client) -> None:
    most = {
        # The number of projects, where they stand, which projects and workers need attention; of each that is shown,
        # its counts and its snapshots.
        "/ui/": VISIT + 6 + 2 * SHOWN,
        "/ui/?sort=waiting": VISIT + 6 + 2 * SHOWN,
        "/ui/?after=900": VISIT + 6 + 2 * SHOWN,
        "/ui/?q=project 99": VISIT + 6 + 2 * SHOWN,
        "/ui/?q=none of them": VISIT + 7,
        "/ui/?show=requests": VISIT + 6 + 2 * 1,
        "/ui/?show=attention": VISIT + 6 + 2 * SHOWN,
        "/ui/projects/{project}": VISIT + 6,
        "/ui/projects/{project}/settings": VISIT + 4,
        "/ui/projects/{project}/tasks": VISIT + 4,
        "/ui/projects/{project}/tasks?state=verifying": VISIT + 4,
        "/ui/projects/{project}/tasks/{task}": VISIT + 3,
        # A page, its workers, the totals; and of the newest 1,000 failed tasks the messages, or those that match.
        "/ui/projects/{failing}/tasks?state=failed": VISIT + 4 + 4,
        "/ui/projects/{failing}/tasks?state=failed&page=9": VISIT + 4,
        "/ui/projects/{failing}/tasks?state=failed&contains=r": VISIT + 3 + 4,
        "/ui/projects/{failing}/tasks?state=failed&group=none&after=1000": VISIT + 2 + 4,
        "/ui/projects/{failing}/tasks?contains=none": VISIT + 3 + 4,
        "/ui/projects/{project}/groups": VISIT + 3,
        "/ui/projects/new": VISIT + 2,
        "/ui/console": VISIT + 2,
        "/ui/projects/{wanted}/access": VISIT + 11,
        # Of each list its size, the one with this id, and four slices with their aliases.
        "/ui/projects/{wanted}/access?q=700": VISIT + 5 + 2 * (3 + 2 * 4),
        "/ui/projects/{wanted}/access?show=requests&may=submit": VISIT + 5 + 2 + 3,
        "/ui/projects/{wanted}/access?show=rejected": VISIT + 5 + 2,
        # Last id, number and order; then the workers, and whether silent ones hold tasks.
        # None of them was here: then all are shown.
        "/ui/workers": VISIT + 7,
        # The worker, its projects, its log lines; of each project that is shown, the project, access, and what it
        # closed and holds there.
        "/ui/workers/1": VISIT + 3 + 4 * 25,
        "/ui/workers?sort=id&page=9": VISIT + 5,
        "/ui/workers?show=holding": VISIT + 5,
        # A search looks at 2,000 workers, in four pages.
        "/ui/workers?q=nobody": VISIT + 3 + 4,
        "/worker/stats?limit=500": SESSION + 2,
        "/worker/stats?limit=500&project={project}": 2 * SESSION + 5,
        "/project/tasks/{project}?limit=500": SESSION + 2,
        "/project/groups/{project}?state=ready": SESSION + 2,
        "/project/assignees/{project}": 5,
        # Of each project that is shown, its counts and its oldest task.
        "/metrics": 6 + 2 * SHOWN,
    }

    taken = {path: await client.calls(path) for path in most}

    assert {path: calls for path, calls in taken.items() if calls > most[path]} == {}


async def test_the_overview_finds_trouble_in_a_project_that_is_not_on_its_page(client: Client) -> None:
    page = (await client.http.get("/ui/?after=1")).text
    troubles, _, rows = page.partition("<tbody>")

    assert f'data-key="{client.failing}"' not in rows
    assert f'projects/{client.failing}/tasks?state=failed">' in troubles
    assert "Failing: 2,000 tasks failed in " in troubles
    rows = (await client.http.get("/ui/?show=attention")).text.partition("<tbody>")[2]
    assert rows.count("<tr data-key=") == 2, "the other one has requests"
    assert f'data-key="{client.failing}"' in rows


async def test_a_full_list_takes_a_call_for_a_slice_and_a_count_none_where_nothing_has_changed(client: Client) -> None:
    slices = WORKERS // 500

    assert await client.calls("/project/list") <= SESSION + PROJECTS // 100 + 1
    # The workers with access, and those that request it.
    assert await client.calls("/worker/stats") <= SESSION + 1 + 2 * slices
    # Both lists are scanned; a scan gives about 500.
    assert await client.calls("/project/access_list/{wanted}") <= SESSION + 1 + 2 * (2 * slices + slices)

    metrics = client.store.metrics.calls
    before = sum(metrics.total.buckets)
    await client.store.counting.note()
    await client.store.counting.round(10)
    # Only what waits to be counted is asked for: nothing.
    assert sum(metrics.total.buckets) - before == 1


async def test_a_get_of_any_project_asks_none_whose_rate_is_used_up_and_none_without_tasks(client: Client) -> None:
    store, projects = client.store, [project.id async for project in client.store.projects.ids()]
    asking, secret = await store.workers.create("asks for any")
    for project in projects[1:40]:
        await store.workers.request_access(project, asking.id, assign=True, submit=True)
        await store.workers.grant(project, asking.id)
    boss = (await store.managers.every())[0].id
    for project in projects[2:39]:
        await store.projects.update(boss, project, {"assign_rate": 0.001, "priority": 7})
        await store.tasks.submit(project, asking.id, [new(), new()])
        await store.tasks.assign(project, asking.id, 1, 60)
    client.http.headers.update({"X-Worker-ID": str(asking.id), "X-Secret": secret})

    # The worker and what may have tasks for it; three for a project whose last task the get before has taken; then a
    # task and its project. The get before has learned of the rates.
    assert await client.calls("/task/get") <= 7
