"""Servers that stand beside the broker: ones of one's own, and what a network does between them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.store.embedded import binary
from tests.conftest import until_it_answers
from tests.serving import free_port


@contextmanager
def a_server(folder: Path, *options: str, **environment: str) -> Iterator[int]:
    """The embedded store's program on a port of this machine, as an operator may run it; its port."""
    folder.mkdir(parents=True)
    port = free_port()
    where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "yes"]
    # It waits five seconds for others who want a copy as well; a test does not.
    command = [binary(), *where, "--repl-diskless-sync-delay", "0", *options]
    server = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        until_it_answers(f"redis://127.0.0.1:{port}")
        yield port
    finally:
        server.terminate()
        server.wait(10)
