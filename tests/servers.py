"""Servers beside the broker, as an operator may run them."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from redis import ConnectionError as RedisConnectionError
from redis import Redis

from broker.store.redis.embedded import binary
from tests.serving import free_port

AS_ADVISED = [
    *("--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"),
    *("--maxmemory-policy", "noeviction", "--hash-max-listpack-value", "1024"),
    # By default, servers wait five seconds for further replicas before they send a copy.
    *("--repl-diskless-sync-delay", "0"),
]
"""What docs/operating.md tells operators to set."""


def until_it_answers(url: str) -> None:
    with Redis.from_url(url) as client:
        for _ in range(500):
            try:
                client.ping()
                return
            except RedisConnectionError:
                time.sleep(0.01)
    raise AssertionError(f"{url} does not answer")


@contextmanager
def running(command: Sequence[str], folder: Path, **environment: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A process in this directory, stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.log").open("ab") as log:
        its = {**os.environ, **environment}
        process = subprocess.Popen(command, cwd=folder, env=its, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def a_server(folder: Path, *options: str, **environment: str) -> Iterator[int]:
    """The embedded store's program on a port of this machine; its port."""
    port = free_port()
    with running([binary(), *AS_ADVISED, "--port", str(port), *options], folder, **environment):
        until_it_answers(f"redis://127.0.0.1:{port}")
        yield port
