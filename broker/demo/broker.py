"""Finds a broker that is running, or starts one for the length of the demo."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from broker.client import AsyncClient, ClientError
from broker.demo.errors import DemoError
from broker.processes import die_with_parent

_START_TIME = 30.0  # seconds until GET /healthz must answer
_STOP_TIME = 15.0  # seconds from SIGTERM to SIGKILL
_POLL = 0.05


async def find(url: str, http: httpx.AsyncClient) -> bool:
    """True when a broker, and not something else, answers at this address."""
    try:
        async with AsyncClient(url, patience=0, timeout=5, http=http) as client:
            content = await client.call("GET", "/")
    except (ClientError, ValueError):
        return False
    return {"name", "version"} <= content.keys()


@contextlib.asynccontextmanager
async def started(directory: Path) -> AsyncIterator[str]:
    """A broker on a free port with its data in this directory; it is gone when the block ends."""
    url = f"http://127.0.0.1:{_free_port()}"
    errors = directory / "broker.log"
    command = [sys.executable, "-m", "broker", "serve", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    command += ["--data-dir", str(directory / "data"), "--log-level", "warning"]
    # A caller's BROKER_REDIS_URL and the like must not lead the demo to data that somebody needs.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    with errors.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=log,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
    try:
        await _wait_until_healthy(process, url, errors)
        yield url
    finally:
        await _stop(process)


async def _wait_until_healthy(process: Process, url: str, errors: Path) -> None:
    try:
        async with asyncio.timeout(_START_TIME), httpx.AsyncClient(trust_env=False) as http:
            while process.returncode is None:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{url}/healthz")).status_code == 200:
                        return
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise DemoError(f"a broker was started, but did not answer within {_START_TIME:.0f} s") from None
    raise DemoError(f"a broker was started, but it ended: {_last_line(errors) or f'exit {process.returncode}'}")


def _last_line(log: Path) -> str:
    return log.read_text(errors="replace").strip().rpartition("\n")[2]


async def _stop(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_TIME):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
