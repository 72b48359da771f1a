"""A proxy between a worker and its broker answers by itself: the worker goes on, and no finished work is lost."""

from collections import Counter

import pytest

from broker.client import Fail, Refused, Skip, Task, Worker
from tests.client import Fleet
from tests.client_library.conftest import Producer, WorkerFile
from tests.client_library.proxy import Proxy
from tests.client_library.running import counters, running, stats
from tests.serving import until


def answer(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


PAGE = "<html><h1>Sorry</h1></html>"

ANSWERS = {
    "a page to sign in": answer("200 OK", PAGE),
    "no content": answer("204 No Content", ""),
    "a redirect": answer("302 Found", "", "Location: http://127.0.0.1:9/login"),
    "a firewall": answer("403 Forbidden", PAGE),
    "a gateway": answer("403 Forbidden", '{"message":"Forbidden"}'),
    "a router without a route": answer("404 Not Found", PAGE),
    "a timeout": answer("408 Request Timeout", ""),
    "a body that is too large for it": answer("413 Content Too Large", PAGE),
    "an overload": answer("429 Too Many Requests", "slow down", "Retry-After: 1"),
    "a fault": answer("500 Internal Server Error", PAGE),
    "a fault of the broker": answer("500 Internal Server Error", '{"ok":false,"code":"internal","message":"Oops"}'),
    "nobody behind it": answer("502 Bad Gateway", PAGE),
    "a status of its own": answer("520 Unknown", PAGE),
    "broken compression": answer("200 OK", PAGE, "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("of", ANSWERS)
def test_an_answer_that_is_not_the_brokers_costs_time_and_nothing_else(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy, of: str
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for recipe in ("ok", "fail", "skip", "links"):
        submitter.submit(project, recipe, max_retries=1, max_assign_time=5)
    worker = Worker(proxy.url, file=worker_file(project), wait=0)
    called: Counter[str] = Counter()
    # Each repeat of an overload waits for a second.
    left = dict.fromkeys(("request_access", "assigned", "get/", "turn", "extend"), 1 if of == "an overload" else 2)

    def instead(request: bytes) -> bytes | None:
        """Answers the first requests of each kind."""
        path = request.split(b" ", 2)[1].decode()
        for kind in left:
            if f"/{kind}" in path and left[kind]:
                left[kind] -= 1
                return ANSWERS[of]
        return None

    @worker.task(project=project, concurrency=4)
    async def act(task: Task) -> None:
        called[task.recipe] += 1
        if task.recipe == "fail":
            raise Fail("gone")
        if task.recipe == "skip":
            raise Skip("later", delay=3600)
        if task.recipe == "links":
            for link in range(3):
                task.submit(str(link), unique_string=str(link), delay=3600)

    proxy.instead = instead
    with running(worker):
        until(lambda: sum(counters(fleet, project)[name] for name in ("closed", "failed", "skipped")) == 4, 30)
        until(lambda: stats(fleet, project)["delayed"] == 4)

    assert called == dict.fromkeys(("ok", "fail", "skip", "links"), 1)
    names = ("closed", "failed", "skipped", "reclaimed")
    assert [counters(fleet, project)[name] for name in names] == [2, 1, 1, 0]
    assert left["turn"] == left["get/"] == 0


def test_what_is_too_large_for_a_proxy_goes_in_smaller_parts(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy
) -> None:
    project = fleet.project()
    submitter = producer(project)
    for recipe in ("small", "large", "small"):
        submitter.submit(project, recipe)
    worker = Worker(proxy.url, file=worker_file(project), wait=0)
    proxy.instead = lambda request: ANSWERS["a body that is too large for it"] if len(request) > 10_000 else None

    @worker.task(project=project, submit=True, concurrency=3)
    async def act(task: Task) -> None:
        for link in range(100 if task.recipe == "large" else 1):
            task.submit(f"{task.id} {link} {'x' * 1000}", unique_string=f"{task.id} {link}", delay=3600)

    with running(worker):
        until(lambda: stats(fleet, project)["delayed"] == 102, 20)
        until(lambda: counters(fleet, project)["closed"] == 3)

    assert counters(fleet, project)["duplicates"] == 0


def test_a_release_that_a_firewall_never_lets_through_delays_no_other(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    project = fleet.project()
    submitter = producer(project)
    bad = submitter.submit(project, "bad")
    for n in range(30):
        submitter.submit(project, str(n))
    worker = Worker(proxy.url, file=worker_file(project), wait=0)
    proxy.instead = lambda request: ANSWERS["a firewall"] if b"<script>" in request else None

    @worker.task(project=project, concurrency=3)
    async def act(task: Task) -> None:
        if task.recipe == "bad":
            raise Fail("it found <script>")

    with running(worker):
        until(lambda: counters(fleet, project)["closed"] == 30, 20)
        assert (stats(fleet, project)["assigned"], stats(fleet, project)["failed"]) == (1, 0)
        until(lambda: f"the result of task {bad} does not arrive" in caplog.text)
        proxy.instead = lambda request: None
        until(lambda: stats(fleet, project)["failed"] == 1)


def test_a_project_that_is_deleted_ends_its_function_only(
    fleet: Fleet, worker_file: WorkerFile, producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    deleted, other = fleet.project(), fleet.project()
    worker = Worker(fleet.url, file=worker_file(deleted, other), wait=0)
    done: list[str] = []

    @worker.task(project=deleted)
    async def gone(task: Task) -> None: ...

    @worker.task(project=other)
    async def act(task: Task) -> None:
        done.append(task.recipe)

    producer(deleted).submit(deleted, "r")
    with running(worker):
        until(lambda: counters(fleet, deleted)["closed"] == 1)
        fleet.admin.post(f"/project/delete/{deleted}").content()
        until(lambda: "a function ends, and the others continue" in caplog.text, 20)
        producer(other).submit(other, "after")
        until(lambda: done == ["after"])

    assert "404 not_found" in caplog.text


def test_a_worker_of_which_no_function_is_left_ends(fleet: Fleet, worker_file: WorkerFile) -> None:
    first, second = fleet.project(), fleet.project()
    worker = Worker(fleet.url, file=worker_file(first, second), wait=0)
    for project in (first, second):

        @worker.task(project=project)
        async def act(task: Task) -> None: ...

        fleet.admin.post(f"/project/delete/{project}").content()

    with pytest.raises(Refused, match="404 not_found"):
        worker.run()
