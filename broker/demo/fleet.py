"""The people and machines of the demo: one manager, two projects, and workers with access to both."""

import secrets
from dataclasses import dataclass
from typing import Any

import msgspec

from broker.demo.client import Client, Refused

Worker = dict[str, str]  # the headers by which the broker knows it


@dataclass(frozen=True)
class Project:
    id: int
    name: str


@dataclass(frozen=True)
class Account:
    username: str
    password: str
    tracker_admin: bool = False


class Counters(msgspec.Struct):
    """What happened to a project's tasks since it was created."""

    assigned: int = 0
    closed: int = 0
    reclaimed: int = 0
    duplicates: int = 0


class Stats(msgspec.Struct):
    """Where a project's tasks are now, and what happened to them, as the broker says."""

    waiting: int = 0
    verifying: int = 0
    assigned: int = 0
    failed: int = 0
    counters: Counters = msgspec.field(default_factory=Counters)

    @property
    def unfinished(self) -> int:
        return self.waiting + self.verifying + self.assigned


class Manager:
    """A manager's session, on a client of its own: the session is a cookie."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._suffix = secrets.token_hex(3)

    async def register(self) -> Account:
        """A fresh account with a random password. The first one of a broker becomes its administrator."""
        username, password = f"demo-{self._suffix}", secrets.token_urlsafe(12)
        await self._client.post("/register", {"username": username, "password": password})
        manager: dict[str, Any] = (await self._client.get("/account")).field("manager")
        return Account(username, password, bool(manager.get("tracker_admin")))

    async def log_in(self, username: str, password: str) -> Account:
        await self._client.post("/login", {"username": username, "password": password})
        return Account(username, password)

    async def create_project(self, name: str, **fields: int) -> Project:
        """A private project of this name, or of this name and a suffix when there is one already."""
        try:
            answer = await self._client.post("/project/create", {"name": name, **fields})
        except Refused as refused:
            if refused.status != 409:
                raise
            name = f"{name}-{self._suffix}"
            answer = await self._client.post("/project/create", {"name": name, **fields})
        return Project(answer.field("id"), name)

    async def accept(self, worker: Worker, project: Project) -> None:
        await self._client.post(f"/project/accept_request/{project.id}/{worker['X-Worker-ID']}")

    async def stats(self, project: Project) -> Stats:
        answer = await self._client.get(f"/project/stats/{project.id}")
        return msgspec.convert(answer.field("stats"), Stats)


@dataclass(frozen=True)
class Fleet:
    """What is closed in ``pages`` is chained to ``index``. The workers may take tasks from both."""

    manager: Manager
    pages: Project
    index: Project
    workers: list[Worker]

    async def stats(self) -> tuple[Stats, Stats]:
        return await self.manager.stats(self.pages), await self.manager.stats(self.index)


async def assemble(manager: Manager, client: Client, size: int) -> Fleet:
    """Creates both projects, and as many workers with their access."""
    index = await manager.create_project("index")
    # Remembered for ever: a page that was crawled must not come back through a link that is found later.
    pages = await manager.create_project("pages", chain=index.id, remember_closed=-1)
    workers = []
    for number in range(1, size + 1):
        worker = await _create_worker(client, f"crawler-{number}")
        await _request_access(client, worker, pages, submit=True)
        await _request_access(client, worker, index, submit=False)
        await manager.accept(worker, pages)
        await manager.accept(worker, index)
        workers.append(worker)
    return Fleet(manager, pages, index, workers)


async def _create_worker(client: Client, alias: str) -> Worker:
    worker: dict[str, Any] = (await client.post("/worker/create", {"alias": alias})).field("worker")
    return {"X-Worker-ID": str(worker["id"]), "X-Secret": worker["secret"]}


async def _request_access(client: Client, worker: Worker, project: Project, *, submit: bool) -> None:
    await client.post("/project/request_access", {"project": project.id, "assign": True, "submit": submit}, worker)
