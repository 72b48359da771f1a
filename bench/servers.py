"""What is measured: a broker with its defaults, its store alone, and the no-op. Each is stopped when its block ends."""

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from bench.load import Job, Worker
from bench.results import ROOT
from broker import processes
from broker.settings import Settings
from broker.store.redis.embedded import EmbeddedStore
from tests.client import Fleet
from tests.servers import until_it_answers
from tests.serving import Serving, until

_START, _STOP, _SETTLE = 20.0, 12.0, 60.0
"""Seconds that a start, a stop, and a rewrite of the append-only file may take."""


class Server:
    """Something that serves HTTP on 127.0.0.1; ``servers`` are its processes that do, ``store`` that of its store."""

    def __init__(self, port: int, servers: Sequence[int], store: int = 0) -> None:
        self.port = port
        self.servers = servers
        self.store = store

    def rewrites(self) -> int:
        """How often the append-only file was rewritten."""
        return 0


class Broker(Server):
    """``broker serve`` with its embedded store, a manager, and workers that have access to every project there is."""

    manager = 1
    """Registers the admin, the first account."""

    def __init__(self, serving: Serving, workers: int) -> None:
        super().__init__(httpx.URL(serving.url).port or 0, serving.servers(), serving.store())
        self.store_url = serving.store_url
        self.redis = Redis.from_url(self.store_url, decode_responses=True)
        self._fleet = Fleet(serving.url, serving.admin())
        self._fleet.admin.http.timeout = _SETTLE
        self._callers = [self._fleet.worker(alias="bench") for _ in range(workers)]
        self.workers = tuple(Worker(caller.id, caller.secret) for caller in self._callers)

    def rewrites(self) -> int:
        return int(self.redis.info("stats")["total_forks"])

    def project(self, **fields: Any) -> int:
        """A new project, to which all workers have access."""
        project = self._fleet.project(**fields)
        for caller in self._callers:
            access = {"project": project, "assign": True, "submit": True}
            caller.post("/project/request_access", access).content()
            self.maintain(project, "accept_request", f"/{caller.id}")
        return project

    def maintain(self, project: int, call: str, more: str = "") -> None:
        """``call``: hard_reset or delete."""
        self._fleet.admin.post(f"/project/{call}/{project}{more}").content()

    def stats(self, project: int) -> dict[str, Any]:
        """Tasks in each state, and totals, as the broker counts them."""
        stats: dict[str, Any] = self._fleet.admin.get(f"/project/stats/{project}").content()["stats"]
        return stats

    @property
    def cookie(self) -> str:
        """Of the admin's session, as a header has it."""
        return "; ".join(f"{name}={value}" for name, value in self._fleet.admin.http.cookies.items())

    def job(self, load: str, seconds: float, projects: list[int], **options: Any) -> Job:
        """A job on this broker, by its workers; ``options`` as those of :class:`~bench.load.Job`."""
        options.setdefault("workers", self.workers)
        return Job(port=self.port, load=load, seconds=seconds, projects=projects, **options)

    def close(self) -> None:
        self.redis.close()
        self._fleet.close()


@contextlib.contextmanager
def broker(processes: int = 1, workers: int = 16, checkout: Path = ROOT) -> Iterator[Broker]:
    """A broker with so many server processes, on data of its own, from the sources of a checkout."""
    with _folder() as folder:
        sources = environment(checkout)
        serving = Serving.start(Path(folder), workers=processes, environment=sources, log_level="warning")
        try:
            with contextlib.closing(Broker(serving, workers)) as made:
                yield made
        finally:
            serving.stop()


@contextlib.contextmanager
def noop() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        command = [sys.executable, "-m", "bench.noop", str(listener.fileno())]
        child = processes.spawn(command, environment=environment(), keep=[listener.fileno()])
        try:
            port = listener.getsockname()[1]
            # The listener has a backlog: the first answer comes when the server runs.
            httpx.get(f"http://127.0.0.1:{port}/", timeout=_START, trust_env=False).raise_for_status()
            yield Server(port, [child.pid])
        finally:
            processes.stop([child], _STOP)


@contextlib.contextmanager
def store() -> Iterator[tuple[Settings, Redis]]:
    """The embedded store alone: settings that lead to it, and a client."""
    with _folder() as folder:
        embedded = EmbeddedStore(Settings(data_dir=folder))
        embedded.start()
        try:
            until_it_answers(embedded.url)
            with Redis.from_url(embedded.url, decode_responses=True) as redis:
                yield Settings(redis_url=embedded.url), redis
        finally:
            embedded.stop()


def settle(redis: Redis) -> None:
    """Waits until no rewrite of the append-only file is in progress: it would use a core of the next measurement."""

    def settled() -> bool:
        state = redis.info("persistence")
        return not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]

    until(settled, _SETTLE)


def environment(checkout: Path = ROOT) -> dict[str, str]:
    """For programs of a checkout, whichever one is installed.

    Without BROKER_REDIS_URL and the like, which would lead the bench to data that somebody needs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    return kept | {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}


def _folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="broker-bench-")
