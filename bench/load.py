"""What connections send, request after request, and which answers are correct. Requests are prepared as bytes.

Where a number goes, a request has ``#`` as many times as the number has digits: its Content-Length never changes.
"""

import asyncio
import re
import secrets
from itertools import count, cycle
from typing import Any

import msgspec

from bench import BenchError

BULK, BATCH = 1_000, 100
"""Tasks of a bulk_submit, and of a get?count= with its bulk_release."""

PATIENCE = 5.0
"""Seconds after the end of a run for which answers are waited for."""

LINKS, KNOWN = 10, 8
"""Of a page; and how many of them are known already, where some are."""

_TOKEN = secrets.token_hex(4)
"""In each unique_string, so that no two driver processes submit the same one."""

_numbers = count()


class Worker(msgspec.Struct, frozen=True):
    """As the broker knows it."""

    id: int
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Worker-ID": str(self.id), "X-Secret": self.secret}


NOBODY = Worker(0, "")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Load on one server. Closed loop: each connection has one request under way, all the time."""

    port: int
    load: str
    """A name in ``LOADS``."""
    seconds: float
    connections: int = 32
    rate: float = 0.0
    """Above 0 an open loop: requests a second, each due at its own moment, whatever has become of those before."""
    calls: int = 0
    """Above 0: stop after so many, even if there is time left."""
    projects: list[int] = []
    workers: tuple[Worker, ...] = (NOBODY,)
    """Connections use them in turn."""
    paths: list[str] = []
    """What a ``visit`` asks for, in turn."""
    cookie: str = ""


class Outcome(msgspec.Struct, kw_only=True):
    """What one driver process saw. ``calls`` counts answers of every kind."""

    seconds: float
    calls: int
    tasks: int
    errors: dict[str, int]
    """Status, or what was wrong, to how often."""
    latency: dict[int, int]
    """Buckets of a :class:`~bench.histogram.Histogram`, from when a request was due."""
    late: dict[int, int]
    """Of an open loop the same, for how late the driver itself was to send a request, with a connection free."""
    cpu: float
    """Seconds of this process."""


class Load:
    """Of one connection: this one is the no-op's. ``tasks`` counts those that went all the way."""

    tasks = 0
    digits = 10

    def __init__(self, job: Job, worker: Worker, number: int) -> None:
        self._headers = _headers(job.port, worker, job.cookie)
        projects = job.projects or [0]
        first = number % len(projects)
        # Each connection begins at another project.
        made = [self.make(project).split(b"#" * self.digits) for project in projects[first:] + projects[:first]]
        self._requests = cycle(made)

    def make(self, project: int) -> bytes:
        return self.get("/")

    def get(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\n{self._headers}\r\n".encode()

    def post(self, path: str, body: bytes) -> bytes:
        return f"POST {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def request(self) -> bytes:
        """The next one."""
        return (b"%0*d" % (self.digits, next(_numbers))).join(next(self._requests))

    def wrong(self, answer: bytes, body: int) -> str:
        """What is wrong with an answer of status 200 whose body begins at ``body``; '' if it is correct."""
        return ""


class Visit(Load):
    """Any paths."""

    def __init__(self, job: Job, worker: Worker, number: int) -> None:
        super().__init__(job, worker, number)
        self._visits = cycle(map(self.get, job.paths))

    def request(self) -> bytes:
        return next(self._visits)


class Poll(Load):
    """Asks for a task where there is none."""

    def make(self, project: int) -> bytes:
        return self.get(f"/task/get/{project}")

    def wrong(self, answer: bytes, body: int) -> str:
        return "" if answer.find(b'"no_task"', body) >= 0 else "there was a task"


class Submit(Load):
    """One task a call, with a recipe of 30 bytes and a unique_string."""

    def make(self, project: int) -> bytes:
        return self.post("/task/submit", _task(project, "#" * self.digits).encode())

    def wrong(self, answer: bytes, body: int) -> str:
        self.tasks += 1
        return ""


class BulkSubmit(Load):
    """BULK tasks a call, as those of :class:`Submit`."""

    digits = 6
    hashed = True

    def make(self, project: int) -> bytes:
        tasks = [_task(project, f"{'#' * self.digits}{number:04d}", hashed=self.hashed) for number in range(BULK)]
        return self.post("/task/bulk_submit", f'{{"requests":[{",".join(tasks)}]}}'.encode())

    def wrong(self, answer: bytes, body: int) -> str:
        self.tasks += BULK
        return "" if answer.find(b'"duplicates":0', body) >= 0 else "duplicates"


class BulkSubmitUnhashed(BulkSubmit):
    hashed = False


class _Id(msgspec.Struct):
    id: int


class _Content(msgspec.Struct):
    task: _Id | None = None
    tasks: list[_Id] = []


class _Got(msgspec.Struct):
    content: _Content | None = None


_decode = msgspec.json.Decoder(_Got).decode


class GetRelease(Load):
    """Takes a task and releases it as ok: two calls."""

    count = 1
    query, path, body = "", "/task/release", b"%b"

    def __init__(self, job: Job, worker: Worker, number: int) -> None:
        super().__init__(job, worker, number)
        self._held: list[int] = []
        self._releasing: list[int] = []

    def make(self, project: int) -> bytes:
        return self.get(f"/task/get/{project}{self.query}")

    def request(self) -> bytes:
        self._releasing, self._held = self._held, []
        if not self._releasing:
            return super().request()
        releases = b",".join(b'{"task_id":%d,"result":0}' % task for task in self._releasing)
        return self.post(self.path, self.body % releases)

    def wrong(self, answer: bytes, body: int) -> str:
        if self._releasing:
            self.tasks += len(self._releasing)
            return "" if answer.find(b"false", body) < 0 else "not released"
        content = _decode(answer[body:]).content
        if content is None:
            return "no task"
        self._held = [task.id for task in content.tasks or ([content.task] if content.task else [])]
        return "" if len(self._held) == self.count else "few tasks" if self._held else "no task"


class BatchGetRelease(GetRelease):
    """Takes BATCH tasks in one call, and releases them as ok in the next."""

    count = BATCH
    query, path, body = f"?count={BATCH}", "/task/bulk_release", b'{"requests":[%b]}'


class Turn(Load):
    """A crawler's page in one call: releases the last one, submits its links, and gets the next one."""

    digits = 9
    known = 0
    new = LINKS
    """Links that nobody knows yet; ``known``: that are submitted again and again."""

    def __init__(self, job: Job, worker: Worker, number: int) -> None:
        self._number = number
        self._project = job.projects[0]
        self._held: list[int] = []
        super().__init__(job, worker, number)

    def make(self, project: int) -> bytes:
        """Its links: those that are known are the same on each page of a connection."""
        known = [f"k{self._number:05d}{link:04d}" for link in range(self.known)]
        new = [f"{'#' * self.digits}{link}" for link in range(self.new)]
        return ",".join(_task(project, number) for number in known + new).encode()

    def request(self) -> bytes:
        parts = self.releases(), super().request(), self._project
        return self.post("/task/turn", b'{"releases":[%b],"submits":[%b],"get":{"project":%d}}' % parts)

    def releases(self) -> bytes:
        held, self._held = self._held, []
        return b",".join(b'{"task_id":%d,"result":0}' % task for task in held)

    def wrong(self, answer: bytes, body: int) -> str:
        return "refused" if answer.find(b'"refused":{}', body) < 0 else self.got(answer, body)

    def got(self, answer: bytes, body: int) -> str:
        """As :meth:`wrong`, for the part with the tasks."""
        content = _decode(answer[body:]).content
        self._held = [task.id for task in content.tasks or ([content.task] if content.task else [])] if content else []
        self.tasks += 1
        return "" if self._held and answer.find(b"[false]", body) < 0 else "no task, or not released"


class Page(Turn):
    """The same in three calls."""

    def __init__(self, job: Job, worker: Worker, number: int) -> None:
        super().__init__(job, worker, number)
        self._calls = cycle(["submit", "get", "release"])
        self._call = ""

    def request(self) -> bytes:
        self._call = next(self._calls)
        if self._call == "submit":
            return self.post("/task/bulk_submit", b'{"requests":[%b]}' % Load.request(self))
        if self._call == "get":
            return self.get(f"/task/get/{self._project}")
        return self.post("/task/release", self.releases())

    def wrong(self, answer: bytes, body: int) -> str:
        if self._call == "get":
            return self.got(answer, body)
        return "" if answer.find(b'"updated":false', body) < 0 else "not released"


class TurnKnown(Turn):
    known, new = KNOWN, LINKS - KNOWN


class PageKnown(Page):
    known, new = KNOWN, LINKS - KNOWN


class TurnOfOne(Turn):
    """Releases one task, submits one and gets one: as many come as go."""

    new = 1


LOADS: dict[str, type[Load]] = {
    "noop": Load,
    "visit": Visit,
    "poll": Poll,
    "submit": Submit,
    "get_release": GetRelease,
    "bulk_submit": BulkSubmit,
    "bulk_submit_unhashed": BulkSubmitUnhashed,
    "batch": BatchGetRelease,
    "turn": Turn,
    "turn_known": TurnKnown,
    "turn_of_one": TurnOfOne,
    "page": Page,
    "page_known": PageKnown,
}


class Connection:
    """One call at a time, by a worker that does something with the answer."""

    def __init__(self, port: int, worker: Worker) -> None:
        self._port = port
        self._headers = _headers(port, worker)

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        self._writer.close()

    async def call(self, request: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to ``GET /path``, or a POST with a body."""
        content = msgspec.json.encode(body) if body is not None else b""
        head = f"{request} HTTP/1.1\r\n{self._headers}Content-Length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)
        try:
            answer = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", answer, re.IGNORECASE)
            content = await self._reader.readexactly(int(length[1]) if length else 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise BenchError("the broker closed a connection") from None
        status, decoded = int(answer[9:12]), msgspec.json.decode(content)
        if status not in {200, 409}:
            raise BenchError(f"{request} answers {status}: {decoded}")
        return status, decoded


def _task(project: int, number: str, *, hashed: bool = True) -> str:
    """JSON of a task; ``number`` is ten characters."""
    unique = f',"unique_string":"{_TOKEN}-{number}"' if hashed else ""
    return f'{{"project":{project},"recipe":"https://example.org/{number}"{unique}}}'


def _headers(port: int, worker: Worker, cookie: str = "") -> str:
    headers = {"Host": f"127.0.0.1:{port}", **(worker.headers if worker.secret else {})}
    headers |= {"Cookie": cookie} if cookie else {}
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
