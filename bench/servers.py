"""What is measured: a broker as it is shipped, and the no-op on the same server. Each is gone when its block ends."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
from redis import Redis

from bench.errors import BenchError
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


class Broker(Server):
    """``broker serve`` with its embedded store; its data are in ``folder``."""

    def __init__(self, port: int, folder: Path, supervisor: int) -> None:
        found = _children(supervisor)
        servers = [pid for pid, command in found.items() if "broker.server.process" in command]
        store = next(pid for pid in found if pid not in servers)
        super().__init__(port, servers, store)
        url = EmbeddedStore(Settings(data_dir=str(folder / "data"))).url
        self.redis = Redis.from_url(url, decode_responses=True)

    def rewrites(self) -> int:
        """How often the append-only file was rewritten."""
        return int(self.redis.info("stats")["total_forks"])


def settle(redis: Redis) -> None:
    """Until no rewrite of the append-only file is under way: it would take a core of the next measurement."""
    deadline = time.monotonic() + _SETTLE
    while time.monotonic() < deadline:
        state = redis.info("persistence")
        if not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]:
            return
        time.sleep(0.05)
    raise BenchError(f"the append-only file is still rewritten after {_SETTLE:.0f} s")


@contextlib.contextmanager
def noop() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "bench.noop", str(listener.fileno())]
        with _running(processes.spawn(command, environment=_environment(), keep=[listener.fileno()])) as child:
            _wait(child, f"http://127.0.0.1:{port}/")
            yield Server(port, [child.pid])


@contextlib.contextmanager
def broker(workers: int = 1) -> Iterator[Broker]:
    """A broker with so many server processes, and data of its own."""
    with tempfile.TemporaryDirectory(prefix="broker-bench-") as name:
        folder, port = Path(name), _free_port()
        environment = _environment() | {"BROKER_DATA_DIR": str(folder / "data"), "BROKER_LOG_LEVEL": "warning"}
        command = [sys.executable, "-m", "broker", "serve", "--port", str(port), "--workers", str(workers)]
        with _running(processes.spawn(command, environment=environment)) as child:
            _wait(child, f"http://127.0.0.1:{port}/project/list")
            made = Broker(port, folder, child.pid)
            with made.redis:
                yield made


@contextlib.contextmanager
def _running(child: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Stopped when the block ends. One that ended before is what the user must hear of, whatever came of it."""
    try:
        yield child
    except Exception:
        if child.poll() is not None:
            # 0: somebody has stopped the broker, gently.
            raise BenchError(f"what is measured has ended meanwhile, with exit code {child.returncode}") from None
        raise
    finally:
        processes.stop([child], _STOP)


def _environment() -> dict[str, str]:
    """Without BROKER_REDIS_URL and the like, which would lead the bench to data that somebody needs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}


def _wait(child: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise BenchError("what was to be measured does not start")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.02)
    raise BenchError(f"{url} does not answer")


def _children(parent: int) -> dict[int, str]:
    """Process id and command of each."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(pid): Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in children}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@contextlib.contextmanager
def store() -> Iterator[tuple[Settings, Redis]]:
    """The embedded store alone: settings that lead to it, and a client."""
    with tempfile.TemporaryDirectory(prefix="broker-bench-") as name:
        settings = Settings(data_dir=str(Path(name) / "data"))
        embedded = EmbeddedStore(settings)
        embedded.start()
        try:
            deadline = time.monotonic() + _START
            while not embedded.answers():
                if time.monotonic() > deadline:
                    raise BenchError("the store does not answer")
                time.sleep(0.02)
            with Redis.from_url(embedded.url, decode_responses=True) as redis:
                yield replace(settings, redis_url=embedded.url), redis
        finally:
            embedded.stop()
