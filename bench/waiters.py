"""What do workers cost that wait for a task, and how soon do they have it? ``python -m bench.waiters --help``"""

import argparse
import asyncio
import resource
import time
from pathlib import Path

import uvloop

from bench import BenchError, command
from bench.load import Connection
from bench.measure import cpu_of
from bench.results import Waiters
from bench.servers import Broker, broker

_WAIT = 60
"""Seconds, the longest that there is."""

_AT_ONCE = 200
"""Connections that are opened together."""

_TASKS = 50
"""That come one by one, and reach one of those that wait."""

_SPARE = 200
"""Files that the bench needs besides."""


async def measure(served: Broker, waiters: int, seconds: float) -> Waiters:
    """``seconds``: how long they wait in vain, meanwhile the CPU is measured."""
    project, worker, (server,) = served.project(), served.workers[0], served.servers
    opening, answered = asyncio.Semaphore(_AT_ONCE), asyncio.Queue[float]()

    async def wait() -> None:
        connection = Connection(served.port, worker)
        async with opening:
            await connection.open()
        try:
            await connection.call(f"GET /task/get/{project}?wait={_WAIT}")
            answered.put_nowait(time.monotonic())
        finally:
            connection.close()

    async def delay() -> float:
        """Milliseconds from the submit of a task until a worker has it."""
        submitter = Connection(served.port, worker)
        begun = time.monotonic()
        await submitter.open()
        await submitter.call("POST /task/submit", {"project": project, "recipe": "r"})
        submitter.close()
        return (await asyncio.wait_for(answered.get(), _WAIT) - begun) * 1000

    memory = _memory(server)
    waiting = [asyncio.create_task(wait()) for _ in range(waiters)]
    try:
        await asyncio.sleep(max(3.0, waiters / 1000))
        grown = _memory(server) - memory
        before = cpu_of(server), cpu_of(served.store)
        await asyncio.sleep(seconds)
        shares = [(cpu_of(of) - was) / seconds for of, was in zip((server, served.store), before, strict=True)]
        for task in waiting:
            if task.done():
                task.result()
                raise BenchError("a wait ended before there was a task")
        delays = sorted([await delay() for _ in range(min(_TASKS, waiters // 2))])
    except TimeoutError:
        raise BenchError(f"no worker has a task after {_WAIT} s") from None
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return Waiters(
        waiters=waiters,
        bytes_each=round(grown / waiters),
        server_share=round(shares[0], 4),
        store_share=round(shares[1], 4),
        delay_ms=round(delays[len(delays) // 2], 1),
        worst_ms=round(delays[-1], 1),
    )


def _memory(process: int) -> int:
    """Bytes that are in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> int:
    parser = command.parser("bench.waiters", __doc__, seconds=15.0)
    parser.add_argument("--waiters", type=int, default=10_000, metavar="N", help="(default: %(default)s)")
    return command.run(_ask, parser)


def _ask(arguments: argparse.Namespace) -> Waiters:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if arguments.waiters + _SPARE > limit:
        raise BenchError(f"{arguments.waiters} connections need more open files than the {limit} that are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with broker(workers=1) as served:
        made = uvloop.run(measure(served, arguments.waiters, arguments.seconds))
    command.say(f"  {made.line()}")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
