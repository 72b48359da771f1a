"""The people and machines of the demo: one manager, two projects, and workers with access to both."""

import secrets
from dataclasses import dataclass

import httpx

from broker.client import AsyncClient, Credentials, Refused, Stats


@dataclass(frozen=True)
class DemoProject:
    id: int
    name: str


@dataclass(frozen=True)
class Account:
    username: str
    password: str
    tracker_admin: bool = False


class Manager:
    """A manager's session, on a client of its own: the session is a cookie."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._suffix = secrets.token_hex(3)

    async def register(self) -> Account:
        """A fresh account with a random password. The first one of a broker becomes its administrator."""
        username, password = f"demo-{self._suffix}", secrets.token_urlsafe(12)
        manager = await self._client.register(username, password)
        return Account(username, password, manager.tracker_admin)

    async def log_in(self, username: str, password: str) -> Account:
        await self._client.login(username, password)
        return Account(username, password)

    async def create_project(self, name: str, **fields: int) -> DemoProject:
        """A private project of this name, or of this name and a suffix when there is one already."""
        try:
            return DemoProject(await self._client.create_project(name, **fields), name)
        except Refused as refused:
            if refused.code != "duplicate":
                raise
        name = f"{name}-{self._suffix}"
        return DemoProject(await self._client.create_project(name, **fields), name)

    async def accept(self, worker: Credentials, project: DemoProject) -> None:
        await self._client.accept_request(project.id, worker.id)

    async def stats(self, project: DemoProject) -> Stats:
        return await self._client.project_stats(project.id)


@dataclass(frozen=True)
class Fleet:
    """What is closed in ``pages`` is chained to ``index``. The workers may take tasks from both."""

    manager: Manager
    pages: DemoProject
    index: DemoProject
    workers: list[AsyncClient]

    async def stats(self) -> tuple[Stats, Stats]:
        return await self.manager.stats(self.pages), await self.manager.stats(self.index)


async def assemble(manager: Manager, url: str, http: httpx.AsyncClient, size: int) -> Fleet:
    """Creates both projects, and as many workers with their access. The workers share ``http``."""
    index = await manager.create_project("index")
    # Remembered for ever: a page that was crawled must not come back through a link that is found later.
    pages = await manager.create_project("pages", chain=index.id, remember_closed=-1)
    workers = []
    for number in range(1, size + 1):
        worker = AsyncClient(url, http=http)
        worker.worker = await worker.create_worker(f"crawler-{number}")
        await worker.request_access(pages.id, submit=True)
        await worker.request_access(index.id)
        await manager.accept(worker.worker, pages)
        await manager.accept(worker.worker, index)
        workers.append(worker)
    return Fleet(manager, pages, index, workers)
