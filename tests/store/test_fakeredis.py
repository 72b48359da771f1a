"""The scripts, and a smoke of the contract, on fakeredis, through the same code."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fakeredis import FakeAsyncRedis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError
from starlette.applications import Starlette

from broker.app import create_app
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.task_fields import TaskFields
from broker.store.transfer import ImportedAccess, ImportedTask, ImportedWorker


class OneServer(FakeAsyncRedis):
    async def everywhere(self, *command: str | int | float) -> list[Any]:
        return [await self.execute_command(*command)]  # type: ignore[no-untyped-call]

    async def new_connection(self) -> AbstractConnection:
        raise ConnectionError("it tells of nothing by itself")


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    opened = open_store(Settings(), OneServer(decode_responses=True))
    opened.ready.set()
    yield opened
    await opened.close()


@pytest.fixture
def app(store: Store) -> Starlette:
    return create_app(Settings(), store)


async def test_a_day_of_a_fleet(app: Starlette, store: Store) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://broker") as client:

        async def call(method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
            response = await client.request(method, path, json=body, headers=headers)
            assert response.status_code == 200, response.text
            answer = response.json()
            assert answer["ok"] is True, answer
            return answer.get("content")

        await call("POST", "/register", {"username": "admin", "password": "a long password"})
        index = (await call("POST", "/project/create", {"name": "index"}))["id"]
        fields = {"name": "pages", "chain": index, "assign_rate": 1000.5, "remember_closed": -1}
        pages = (await call("POST", "/project/create", fields))["id"]
        workers = []
        for _ in range(2):
            worker = (await call("POST", "/worker/create"))["worker"]
            headers = {"X-Worker-ID": str(worker["id"]), "X-Secret": worker["secret"]}
            for project in (pages, index):
                asked = {"project": project, "assign": True, "submit": True}
                await call("POST", "/project/request_access", asked, headers)
                await call("POST", f"/project/accept_request/{project}/{worker['id']}")
            workers.append(headers)

        body = {"project": pages, "recipe": "r", "unique_string": "u", "verification_count": 2, "priority": -32768}
        task = (await call("POST", "/task/submit", body, workers[0]))["task_id"]
        for headers in workers:
            got = (await call("GET", "/task/get", headers=headers))["task"]
            assert (got["id"], got["verification_count"]) == (task, 2)
            await call("POST", "/task/extend", {"task_id": task, "seconds": 5}, headers)
            await call("GET", f"/task/assigned/{pages}", headers=headers)
            await call("POST", "/task/release", {"task_id": task, "result": 0, "verification": 2**63 - 1}, headers)
        await call("POST", "/log/info", {"scope": "s", "message": "m", "timestamp": 1}, workers[0])

        stats = await call("GET", f"/project/stats/{pages}")
        assert stats["stats"]["counters"]["closed"] == 1
        assert (await call("GET", f"/task/get/{index}", headers=workers[1]))["task"]["recipe"] == "r"
        assert await store.tasks.reclaim(index, 100) == 0
        assert await store.tasks.expire_hashes(pages, 100) == (0, False)


async def test_what_comes_from_elsewhere(store: Store) -> None:
    imports = store.imports
    assert await imports.workers([ImportedWorker(7, "w", 1, 0, "00", 3)], 7) == [1]
    for id, chain in ((1, 2), (2, 0)):
        fields = {"name": f"p{id}", "chain": chain, "git_repo": "A/B"}
        assert [await imports.project(id, fields, 2) for _ in range(2)] == [1, 0]
    await imports.chain(1)
    await store.workers.hint(1, 7, True)
    assert await imports.access(1, [ImportedAccess(7, "assign,submit", "1")]) == 0
    tasks = [
        ImportedTask(
            1, "1", (2, 0, 1), "7:-5", TaskFields("failed", max_retries=3, verification_count=2, hash64=-(2**63))
        ),
        ImportedTask(2, "", (0, 0, 1), "7:-5", TaskFields("voted", max_retries=3, verification_count=2, hash64=5)),
        ImportedTask(3, "", (0, 0, 1), "", TaskFields("duplicate", max_retries=3, hash64=5)),
    ]
    outcomes = [await imports.tasks(1, "tracker", tasks[:n], above=1_234_567) for n in (2, 3)]
    assert outcomes == [[1, 1], [-1, -1, 0]]
    assert await imports.mark(1, "tracker") == 3
    await imports.end(1, "tracker")

    walked = await imports.walk(1, 1)
    assert [(state, row.id, row.fields.recipe, row.votes) for state, row in walked.tasks] == [
        ("failed", 1_300_001, "failed", [(7, -5)]),
        ("verifying", 1_400_001, "voted", [(7, -5)]),
    ]
    assert (await store.projects.get(1)).fields["chain"] == "2"
    assert await store.workers.access(1, 7) == "assign,submit"
    assert await store.projects.of_repo("a/b") != []
