"""Simulated workers of ``bench.fleet``: what each does with a task follows from the task's number, so that both sides
of the books are known."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bench.errors import BenchError
from bench.job import Worker
from bench.wire import Wire

_IDLE = 0.05
"""Seconds until the next look when there was no task."""

_KINDS = 20
FAILS_ONCE, FAILS, SKIPPED, ABANDONED, TWO_VOTES, TWICE = range(6)
"""What is special about a task, by its number modulo 20: it is released as failed once, or each time; skipped once; not
released by the first worker; closed by two votes; submitted twice. The other 14 of 20 are plain."""

_FIELDS: dict[int, dict[str, int]] = {
    FAILS_ONCE: {"max_retries": 3},
    FAILS: {"max_retries": 2},
    ABANDONED: {"max_assign_time": 1},
    TWO_VOTES: {"verification_count": 2},
}


def kind_of(number: int) -> int:
    return number % _KINDS


@dataclass
class Books:
    """What the workers saw."""

    total: int
    counts: Counter[str] = field(default_factory=Counter)
    """By the names of the broker's own counters."""
    closed: Counter[int] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)
    """By a task's number, how often."""
    taken: Counter[int] = field(default_factory=Counter)
    abandoned: list[tuple["Simulated", int]] = field(default_factory=list)
    """Who abandoned which task id."""
    late: int = 0
    """Releases of abandoned tasks that were still taken."""
    calls: int = 0

    @property
    def done(self) -> int:
        return self.closed.total() + self.failed.total()


class Simulated(Wire):
    """A worker with a connection of its own."""

    def __init__(self, port: int, worker: Worker, project: int, books: Books) -> None:
        self._port = port
        self._project = project
        self._books = books
        self._head = f"Host: 127.0.0.1:{port}\r\nX-Worker-ID: {worker.id}\r\nX-Secret: {worker.secret}\r\n"
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def answered(self, answer: bytes, body: int) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((int(answer[9:12]), answer[body:]))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BenchError("the broker hung up"))

    async def _call(self, request: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer."""
        self._books.calls += 1
        content = msgspec.json.encode(body) if body is not None else b""
        self._answer = asyncio.get_running_loop().create_future()
        head = f"{request} HTTP/1.1\r\n{self._head}Content-Length: {len(content)}\r\n\r\n"
        self.transport.write(head.encode() + content)
        status, answer = await self._answer
        if status not in {200, 409}:
            raise BenchError(f"{request} answers {status}: {answer[:200].decode(errors='replace')}")
        decoded: dict[str, Any] = msgspec.json.decode(answer)
        return status, decoded

    async def work(self, to_submit: Iterator[int]) -> None:
        """Submits a task and takes one, until all that were submitted have come to their end."""
        while self._books.done < self._books.total:
            number = next(to_submit, None)
            if number is not None:
                await self._submit(number)
            _, answer = await self._call(f"GET /task/get/{self._project}")
            if answer["ok"]:
                await self._act(answer["content"]["task"])
            elif number is None:
                await asyncio.sleep(_IDLE)

    async def _submit(self, number: int) -> None:
        kind = kind_of(number)
        task = {"project": self._project, "recipe": str(number), "unique_string": str(number), **_FIELDS.get(kind, {})}
        for _ in range(2 if kind == TWICE else 1):
            status, _ = await self._call("POST /task/submit", task)
            self._books.counts["submitted" if status == 200 else "duplicates"] += 1

    async def _act(self, task: dict[str, Any]) -> None:
        books, number = self._books, int(task["recipe"])
        kind, first = kind_of(number), not books.taken[number]
        books.taken[number] += 1
        books.counts["assigned"] += 1
        if kind == ABANDONED and first:
            books.abandoned.append((self, task["id"]))
        elif kind == FAILS or (kind == FAILS_ONCE and first):
            await self._fail(number, task)
        elif kind == SKIPPED and first:
            await self._release(task["id"], 2)
            books.counts["skipped"] += 1
        else:
            books.counts["voted"] += kind == TWO_VOTES
            if await self._release(task["id"], 0):
                books.counts["closed"] += 1
                books.closed[number] += 1

    async def _fail(self, number: int, task: dict[str, Any]) -> None:
        await self._release(task["id"], 1)
        if task["retries"] + 1 < task["max_retries"]:
            self._books.counts["retried"] += 1
        else:
            self._books.counts["failed"] += 1
            self._books.failed[number] += 1

    async def _release(self, task: int, result: int) -> bool:
        """Whether it was updated."""
        _, answer = await self._call("POST /task/release", {"task_id": task, "result": result, "verification": 1})
        updated: bool = answer["content"]["updated"]
        return updated

    async def release_late(self, task: int) -> None:
        """A task that somebody else has had since: nothing may come of it."""
        self._books.late += await self._release(task, 0)
