"""What do workers cost that wait for a task, and how soon do they have it? ``python -m bench.waiters --help``"""

import argparse
import asyncio
import os
import resource
import time
from pathlib import Path

import httpx
import uvloop

from bench import command
from bench.crowd import Crowd
from bench.errors import BenchError
from bench.figures import Waiters
from bench.job import Worker
from bench.servers import broker

_TICKS = os.sysconf("SC_CLK_TCK")
_WAIT = 60
"""Seconds, the longest that there is."""

_AT_ONCE = 200
"""Connections that are opened together."""

_TASKS = 50
"""That come one by one, and reach one of those that wait."""

_SPARE = 200
"""Files that the bench needs besides."""


class Crew:
    """Connections of one worker that wait for a task, and when each was answered."""

    def __init__(self, port: int, project: int, worker: Worker) -> None:
        self.port = port
        lines = (
            f"GET /task/get/{project}?wait={_WAIT} HTTP/1.1",
            "Host: bench",
            *(f"{name}: {text}" for name, text in _headers(worker).items()),
        )
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._opening = asyncio.Semaphore(_AT_ONCE)
        self.answered: list[float] = []

    async def wait(self) -> None:
        async with self._opening:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(self._request)
            await writer.drain()
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise BenchError(f"a wait was answered {head[:80]!r}")
            self.answered.append(time.monotonic())
        finally:
            writer.close()

    async def until(self, count: int) -> None:
        deadline = time.monotonic() + _WAIT
        while len(self.answered) < count:
            if time.monotonic() > deadline:
                raise BenchError(f"{len(self.answered)} of {count} workers have a task after {_WAIT} s")
            await asyncio.sleep(0.0005)


async def measure(crowd: Crowd, waiters: int, seconds: float) -> Waiters:
    """``seconds``: how long they wait in vain, meanwhile the CPU is measured."""
    project, worker, served = crowd.project(), crowd.workers[0], crowd.broker
    crew = Crew(served.port, project, worker)
    (server,), memory = served.servers, _memory(served.servers[0])
    waiting = [asyncio.create_task(crew.wait()) for _ in range(waiters)]
    try:
        await asyncio.sleep(max(3.0, waiters / 1000))
        grown = _memory(server) - memory
        before = _cpu(server), _cpu(served.store)
        await asyncio.sleep(seconds)
        shares = [(_cpu(of) - was) / seconds for of, was in zip((server, served.store), before, strict=True)]
        if crew.answered:
            raise BenchError("a wait ended before there was a task")
        delays = [await _delay(crew, project, worker, count) for count in range(1, min(_TASKS, waiters // 2) + 1)]
        for task in waiting:
            if task.done():
                task.result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    delays.sort()
    return Waiters(
        waiters=waiters,
        bytes_each=round(grown / waiters),
        server_share=round(shares[0], 4),
        store_share=round(shares[1], 4),
        delay_ms=round(delays[len(delays) // 2], 1),
        worst_ms=round(delays[-1], 1),
    )


async def _delay(crew: Crew, project: int, worker: Worker, count: int) -> float:
    """Milliseconds from the submit of a task until ``count`` were answered, one more than before."""
    url = f"http://127.0.0.1:{crew.port}/task/submit"
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501 - no TLS here, and slow to load
        begun = time.monotonic()
        await client.post(url, json={"project": project, "recipe": "r"}, headers=_headers(worker))
        await crew.until(count)
    return (crew.answered[-1] - begun) * 1000


def _headers(worker: Worker) -> dict[str, str]:
    return {"X-Worker-ID": str(worker.id), "X-Secret": worker.secret}


def _memory(process: int) -> int:
    """Bytes that are in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def _cpu(process: int) -> float:
    """Seconds used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> int:
    parser = command.parser("bench.waiters", __doc__, seconds=15.0)
    parser.add_argument("--waiters", type=int, default=10_000, metavar="N", help="(default: %(default)s)")
    return command.run(_ask, parser.parse_args())


def _ask(arguments: argparse.Namespace) -> Waiters:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if arguments.waiters + _SPARE > limit:
        raise BenchError(f"{arguments.waiters} connections need more open files than the {limit} that are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with broker() as served, Crowd(served, workers=1) as crowd:
        made = uvloop.run(measure(crowd, arguments.waiters, arguments.seconds))
    command.say(
        f"  {made.waiters:,} wait: {made.bytes_each / 1024:.1f} KiB each, server {made.server_share:.1%} of a core, "
        f"store {made.store_share:.1%}; a task reaches one in {made.delay_ms} ms, at worst {made.worst_ms}"
    )
    return made


if __name__ == "__main__":
    raise SystemExit(main())
