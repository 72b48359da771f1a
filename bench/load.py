"""What a connection sends, request after request, and what it takes for a good answer. Requests are bytes made before.

Where a number goes, a request has ``#`` as many times as the number has digits: its Content-Length never changes.
"""

import secrets
from collections.abc import Callable, Iterator
from itertools import count, cycle, islice
from typing import TypeVar

import msgspec

from bench.job import Job, Worker

BULK, BATCH = 1_000, 100
"""Tasks of a bulk_submit, and of a get?count= with its bulk_release."""

_TOKEN = secrets.token_hex(4)
"""In each unique_string, so that no two driver processes submit the same one."""

_numbers = count()
T = TypeVar("T")


class Load:
    """Of one connection. ``tasks`` counts those that went all the way."""

    tasks = 0

    def request(self) -> bytes:
        """The next one."""
        raise NotImplementedError

    def wrong(self, answer: bytes, body: int) -> str:
        """What is wrong with an answer of status 200, whose body begins at ``body``; '' when nothing is."""
        return ""


class Noop(Load):
    def __init__(self, job: Job, worker: Worker, first: int) -> None:
        self._request = _request(job, "GET", "/")

    def request(self) -> bytes:
        return self._request


class Poll(Load):
    """Asks for a task where there is none."""

    def __init__(self, job: Job, worker: Worker, first: int) -> None:
        self._requests = _rotated([_request(job, "GET", f"/task/get/{p}", worker) for p in job.projects], first)

    def request(self) -> bytes:
        return next(self._requests)

    def wrong(self, answer: bytes, body: int) -> str:
        return "" if answer.find(b'"no_task"', body) >= 0 else "there was a task"


class Submit(Load):
    """One task a call, with a recipe of 30 bytes and a unique_string."""

    def __init__(self, job: Job, worker: Worker, first: int) -> None:
        made = [_request(job, "POST", "/task/submit", worker, _task(p, "#" * 10, hashed=True)) for p in job.projects]
        self._pieces = _rotated([request.split(b"#" * 10) for request in made], first)

    def request(self) -> bytes:
        return (b"%010d" % next(_numbers)).join(next(self._pieces))

    def wrong(self, answer: bytes, body: int) -> str:
        self.tasks += 1
        return ""


class BulkSubmit(Load):
    """BULK tasks a call, as those of :class:`Submit`."""

    hashed = True

    def __init__(self, job: Job, worker: Worker, first: int) -> None:
        project = job.projects[first % len(job.projects)]
        tasks = [_task(project, f"{'#' * 6}{place:04d}", hashed=self.hashed) for place in range(BULK)]
        body = f'{{"requests":[{",".join(tasks)}]}}'
        self._pieces = _request(job, "POST", "/task/bulk_submit", worker, body).split(b"#" * 6)

    def request(self) -> bytes:
        return (b"%06d" % next(_numbers)).join(self._pieces)

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

    def __init__(self, job: Job, worker: Worker, first: int) -> None:
        self._gets = _rotated([_request(job, "GET", f"/task/get/{p}", worker) for p in job.projects], first)
        self._head = _head(job, "POST", "/task/release", worker)
        self._task = 0
        self._releasing = False

    def request(self) -> bytes:
        task, self._task = self._task, 0
        self._releasing = task > 0
        if not task:
            return next(self._gets)
        body = b'{"task_id":%d,"result":0}' % task
        return b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)

    def wrong(self, answer: bytes, body: int) -> str:
        if self._releasing:
            self.tasks += 1
            return "" if answer.find(b'"updated":true', body) >= 0 else "not released"
        content = _decode(answer[body:]).content
        if content is None or content.task is None:
            return "no task"
        self._task = content.task.id
        return ""


class BatchGetRelease(Load):
    """Takes BATCH tasks in one call, and releases them as ok in the next."""

    def __init__(self, job: Job, worker: Worker, first: int) -> None:
        project = job.projects[first % len(job.projects)]
        self._get = _request(job, "GET", f"/task/get/{project}?count={BATCH}", worker)
        self._head = _head(job, "POST", "/task/bulk_release", worker)
        self._tasks: list[int] = []
        self._releasing = 0

    def request(self) -> bytes:
        tasks, self._tasks = self._tasks, []
        self._releasing = len(tasks)
        if not tasks:
            return self._get
        body = b'{"requests":[{"task_id":%b,"result":0}]}' % b',"result":0},{"task_id":'.join(b"%d" % t for t in tasks)
        return b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)

    def wrong(self, answer: bytes, body: int) -> str:
        if self._releasing:
            self.tasks += self._releasing
            return "" if answer.find(b"false", body) < 0 else "not released"
        content = _decode(answer[body:]).content
        if content is None or not content.tasks:
            return "no task"
        self._tasks = [task.id for task in content.tasks]
        return "" if len(self._tasks) == BATCH else "few tasks"


LOADS: dict[str, Callable[[Job, Worker, int], Load]] = {
    "noop": Noop,
    "poll": Poll,
    "submit": Submit,
    "get_release": GetRelease,
    "bulk_submit": BulkSubmit,
    "bulk_submit_unhashed": BulkSubmitUnhashed,
    "batch": BatchGetRelease,
}


def _rotated(requests: list[T], first: int) -> Iterator[T]:
    """For ever, each connection beginning at another one."""
    return islice(cycle(requests), first % len(requests), None)


def _task(project: int, number: str, *, hashed: bool) -> str:
    """JSON of a task; ``number`` is ten characters."""
    unique = f',"unique_string":"{_TOKEN}-{number}"' if hashed else ""
    return f'{{"project":{project},"recipe":"https://example.org/{number}"{unique}}}'


def _request(job: Job, method: str, path: str, worker: Worker | None = None, body: str = "") -> bytes:
    head = _head(job, method, path, worker)
    if method == "GET":
        return head + b"\r\n"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body.encode())


def _head(job: Job, method: str, path: str, worker: Worker | None = None) -> bytes:
    """Request line and headers, without Content-Length and the empty line."""
    who = f"X-Worker-ID: {worker.id}\r\nX-Secret: {worker.secret}\r\n" if worker else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {job.host}:{job.port}\r\n{who}".encode()
