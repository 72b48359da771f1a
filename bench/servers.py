"""What is measured: a broker as it is shipped, its store alone, and the no-op. Each is gone when its block ends."""

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from bench import BenchError
from bench.load import Job, Worker
from bench.results import ROOT
from broker import processes
from broker.settings import Settings
from broker.store.redis.embedded import EmbeddedStore

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

    def __init__(self, port: int, supervisor: int, workers: int, stack: contextlib.ExitStack) -> None:
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
        servers = [pid for pid, command in commands.items() if "broker.server" in command]
        store = next(pid for pid in commands if pid not in servers)
        super().__init__(port, servers, store)
        path = re.search(r"unixsocket:?\0?([^\0 ]+\.sock)", commands[store])
        if path is None:
            raise BenchError(f"the store has no socket: {commands[store]}")
        self.redis = stack.enter_context(Redis.from_url(f"unix://{path[1]}", decode_responses=True))
        url = f"http://127.0.0.1:{port}"
        self._manager = stack.enter_context(httpx.Client(base_url=url, timeout=60, trust_env=False))
        self._anybody = stack.enter_context(httpx.Client(base_url=url, timeout=60, trust_env=False))
        _content(self._manager.post("/register", json={"username": "bench", "password": secrets.token_hex(8)}))
        self.workers = tuple(self._worker() for _ in range(workers))

    def rewrites(self) -> int:
        return int(self.redis.info("stats")["total_forks"])

    def _worker(self) -> Worker:
        made = _content(self._anybody.post("/worker/create", json={"alias": "bench"}))["worker"]
        return Worker(made["id"], made["secret"])

    def project(self) -> int:
        """A new project, to which all workers have access."""
        made = self._manager.post("/project/create", json={"name": f"bench {secrets.token_hex(6)}"})
        project: int = _content(made)["id"]
        for worker in self.workers:
            access = {"project": project, "assign": True, "submit": True}
            _content(self._anybody.post("/project/request_access", json=access, headers=worker.headers))
            self.maintain(project, "accept_request", f"/{worker.id}")
        return project

    def maintain(self, project: int, call: str, more: str = "") -> None:
        """``call``: hard_reset or delete."""
        _content(self._manager.post(f"/project/{call}/{project}{more}"))

    def stats(self, project: int) -> dict[str, Any]:
        """Tasks in each state, and totals, as the broker counts them."""
        stats: dict[str, Any] = _content(self._manager.get(f"/project/stats/{project}"))["stats"]
        return stats

    def job(
        self, load: str, seconds: float, projects: list[int], *, connections: int = 32, rate: float = 0, calls: int = 0
    ) -> Job:
        """A job on this broker, by its workers."""
        return Job(
            port=self.port,
            load=load,
            seconds=seconds,
            connections=connections,
            rate=rate,
            calls=calls,
            projects=projects,
            workers=self.workers,
        )


def _content(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json() if answer.content else {"ok": True}
    if not body["ok"]:
        raise BenchError(f"{answer.request.method} {answer.request.url.path}: {body.get('message')}")
    content: dict[str, Any] = body.get("content", {})
    return content


@contextlib.contextmanager
def broker(processes: int = 1, workers: int = 16, checkout: Path = ROOT) -> Iterator[Broker]:
    """A broker with so many server processes, on data of its own, from the sources of a checkout."""
    with contextlib.ExitStack() as stack:
        data, port = Path(stack.enter_context(_folder())) / "data", _free_port()
        its = environment(checkout) | {"BROKER_DATA_DIR": str(data), "BROKER_LOG_LEVEL": "warning"}
        command = [sys.executable, "-m", "broker", "serve", "--port", str(port), "--workers", str(processes)]
        child = stack.enter_context(_running(command, f"http://127.0.0.1:{port}/project/list", its))
        yield Broker(port, child.pid, workers, stack)


@contextlib.contextmanager
def noop() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port, its = listener.getsockname()[1], listener.fileno()
        command = [sys.executable, "-m", "bench.noop", str(its)]
        with _running(command, f"http://127.0.0.1:{port}/", environment(), keep=[its]) as child:
            yield Server(port, [child.pid])


@contextlib.contextmanager
def store() -> Iterator[tuple[Settings, Redis]]:
    """The embedded store alone: settings that lead to it, and a client."""
    with _folder() as folder:
        settings = Settings(data_dir=str(Path(folder) / "data"))
        embedded = EmbeddedStore(settings)
        embedded.start()
        try:
            _until(embedded.answers, _START, "the store does not answer")
            with Redis.from_url(embedded.url, decode_responses=True) as redis:
                yield replace(settings, redis_url=embedded.url), redis
        finally:
            embedded.stop()


def settle(redis: Redis) -> None:
    """Until no rewrite of the append-only file is under way: it would take a core of the next measurement."""

    def settled() -> bool:
        state = redis.info("persistence")
        return not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]

    _until(settled, _SETTLE, f"the append-only file is still rewritten after {_SETTLE:.0f} s")


def environment(checkout: Path = ROOT) -> dict[str, str]:
    """For programs of a checkout, whichever one is installed.

    Without BROKER_REDIS_URL and the like, which would lead the bench to data that somebody needs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    return kept | {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}


def _folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="broker-bench-")


@contextlib.contextmanager
def _running(
    command: Sequence[str], url: str, its: dict[str, str], keep: Sequence[int] = ()
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program that answers at ``url``, stopped when the block ends."""
    child = processes.spawn(command, environment=its, keep=keep)

    def answers() -> bool:
        if child.poll() is not None:
            raise BenchError("what was to be measured does not start")
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(url, timeout=5, trust_env=False).status_code == 200
        return False

    try:
        _until(answers, _START, f"{url} does not answer")
        try:
            yield child
        except Exception:
            if child.poll() is not None:
                # 0: somebody has stopped the broker, gently.
                raise BenchError(f"what is measured has ended meanwhile, with exit code {child.returncode}") from None
            raise
    finally:
        processes.stop([child], _STOP)


def _until(true: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise BenchError(otherwise)
        time.sleep(0.02)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
