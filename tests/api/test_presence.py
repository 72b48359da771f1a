"""When a worker was last seen and what it reports about itself: only managers and the worker itself see it."""

import time
from typing import Any

import pytest

from tests.client import Caller, Fleet, WorkerCaller, exchange
from tests.serving import Serving, until

MORE = {"last_seen", "held_task_count", "failed_task_count", "version", "host"}
PLAIN = {"id", "created", "alias", "secret", "paused"}
IN_STATS = {"id", "alias", "closed_task_count", "paused"}


def shown(caller: Caller, worker: WorkerCaller) -> dict[str, Any]:
    found: dict[str, Any] = caller.get(f"/worker/get/{worker.id}").content()["worker"]
    return found


def calls(worker: WorkerCaller, info: str | bytes | None = None) -> None:
    headers = {} if info is None else {"X-Worker-Info": info}
    worker.send("GET", "/task/get", headers=headers)


def says(fleet: Fleet, worker: WorkerCaller) -> tuple[str | None, str | None]:
    row = shown(fleet.admin, worker)
    return row["version"], row["host"]


@pytest.fixture
def manager(fleet: Fleet) -> Caller:
    return fleet.manager()


def test_only_managers_and_the_worker_itself_see_it(fleet: Fleet, manager: Caller) -> None:
    worker, other = fleet.worker(), fleet.worker()
    around = f"/worker/stats?offset={worker.id - 1}&limit=2"

    for caller in (manager, worker):
        assert set(shown(caller, worker)) == PLAIN | MORE
    for caller in (fleet.anybody, other):
        assert set(shown(caller, worker)) == PLAIN
    for path in (around, "/worker/stats"):
        seen = {
            who: {row["id"]: set(row) - IN_STATS for row in caller.get(path).content()["stats"]}
            for who, caller in {"manager": manager, "worker": worker, "nobody": fleet.anybody}.items()
        }
        assert [seen["manager"][one.id] for one in (worker, other)] == [MORE, MORE]
        assert [seen["worker"][one.id] for one in (worker, other)] == [MORE, set()]
        assert not any(seen["nobody"].values())
        assert list(seen["worker"]) == list(seen["nobody"]) == list(seen["manager"])


def test_wrong_credentials_see_what_everybody_sees_and_are_not_seen(fleet: Fleet) -> None:
    worker = fleet.worker()
    for headers in (
        {"X-Worker-ID": str(worker.id), "X-Secret": fleet.worker().secret},
        {"X-Worker-ID": "None", "X-Secret": worker.secret},
        {"X-Worker-ID": str(worker.id)},
        {"Cookie": "tt=wrong"},
    ):
        for path in (f"/worker/get/{worker.id}", f"/worker/stats?offset={worker.id - 1}&limit=1", "/worker/stats"):
            answer = fleet.anybody.send("GET", path, headers={**headers, "X-Worker-Info": "version=1; host=liar"})
            assert answer.status == 200
            assert "last_seen" not in str(answer.body)

    honest = fleet.worker()
    calls(honest, "version=1")
    until(lambda: says(fleet, honest) == ("1", None))
    assert says(fleet, worker) == (None, None)
    assert shown(fleet.admin, worker)["last_seen"] is None


def test_a_worker_was_never_here_until_it_makes_a_call_of_its_own(fleet: Fleet, manager: Caller) -> None:
    created = fleet.anybody.post("/worker/create").content()["worker"]
    worker = WorkerCaller(str(fleet.anybody.http.base_url), created)
    assert shown(manager, worker)["last_seen"] is None
    before = int(time.time())

    assert worker.get("/task/get").status == 200
    worker.close()

    until(lambda: shown(manager, worker)["last_seen"] is not None)
    last_seen = shown(manager, worker)["last_seen"]
    assert last_seen % 60 == 0
    assert before - 60 < last_seen <= time.time()


@pytest.mark.parametrize(
    "path", ["/task/get", "/task/assigned/{project}", "/api/task/get", "/worker/stats", "/worker/get/{worker}"]
)
def test_any_call_that_a_worker_signs_counts(fleet: Fleet, manager: Caller, path: str) -> None:
    worker = fleet.worker(project := fleet.project())

    worker.send(
        "GET", path.format(project=project, worker=worker.id), headers={"X-Worker-Info": "version=2.0; host=node-7"}
    )

    until(lambda: says(fleet, worker) == ("2.0", "node-7"))
    assert shown(manager, worker)["last_seen"]


def test_a_turn_counts(fleet: Fleet) -> None:
    worker = fleet.worker()

    worker.post("/task/turn", {"get": {}}, headers={"X-Worker-Info": "host=t"})

    until(lambda: says(fleet, worker) == (None, "t"))


SAID: dict[str | bytes, tuple[str | None, str | None]] = {
    "version=1.4.2; host=crawler-07.example": ("1.4.2", "crawler-07.example"),
    "host=a;version=b": ("b", "a"),
    "VERSION = 1 ; Host = h h": ("1", "h h"),
    "version=1; version=2; other=3; nonsense; =4": ("1", None),
    "host=<script>alert(1)</script>": (None, "<script>alert(1)</script>"),
    "version=a=b": ("a=b", None),
    "host=" + "x" * 195: (None, "x" * 195),
    "host=" + "x" * 196: ("before", "before"),
    "host=" + "x" * 20_000: ("before", "before"),
    "": ("before", "before"),
    b"host=\xc3\xa9": ("before", "before"),
    b"host=\xff": ("before", "before"),
    b"version=\t1": ("before", "before"),
}
"""What a worker sends after version=before and host=before, and what is shown then."""


def test_text_that_is_not_visible_ascii_or_too_long_is_ignored(fleet: Fleet) -> None:
    workers = {info: fleet.worker() for info in SAID}
    for worker in workers.values():
        calls(worker, "version=before; host=before")
    until(lambda: all(says(fleet, worker) == ("before", "before") for worker in workers.values()))

    for info, worker in workers.items():
        # Each process is asked.
        for _ in range(4):
            calls(worker, info)

    expected = list(SAID.values())
    until(lambda: [says(fleet, worker) for worker in workers.values()] == expected, seconds=6)


def test_what_a_worker_said_stays_when_it_says_nothing_more(fleet: Fleet) -> None:
    worker = fleet.worker()
    calls(worker, "version=1; host=h")
    until(lambda: says(fleet, worker) == ("1", "h"))

    calls(worker)
    calls(other := fleet.worker(), "host=after")
    until(lambda: says(fleet, other) == (None, "after"))

    assert says(fleet, worker) == ("1", "h")


def test_the_direct_path_and_asgi_note_the_same(fleet: Fleet, serving: Serving) -> None:
    usual, unusual = fleet.worker(), fleet.worker()
    for worker, url in ((usual, "/task/get"), (unusual, "/task/g%65t")):
        head = f"GET {url} HTTP/1.1\r\nHost: b\r\nX-Worker-ID: {worker.id}\r\nX-Secret: {worker.secret}\r\n"
        answer = exchange(serving.url, f"{head}x-worker-info: version=1; host=h\r\n\r\n".encode(), "GET")
        assert answer.status == 200

    for worker in (usual, unusual):
        until(lambda worker=worker: says(fleet, worker) == ("1", "h"))  # type: ignore[misc]


def test_what_a_worker_holds_and_has_failed_is_counted(fleet: Fleet) -> None:
    first, second = fleet.project(), fleet.project()
    worker = fleet.worker(first, second)
    for project in (first, first, first, second):
        worker.submit(project, max_retries=5)
    for project in (first, second):
        worker.release(worker.take(project)["id"], 1)
    worker.release(worker.take(first)["id"], 1)
    worker.release(worker.take(first)["id"], 2)
    worker.take(first)

    until(lambda: (row := shown(worker, worker))["failed_task_count"] == 3 and row["held_task_count"] == 1, seconds=15)
    (row,) = worker.get(f"/worker/stats?offset={worker.id - 1}&limit=1&project={first}").content()["stats"]
    assert (row["failed_task_count"], row["held_task_count"], row["closed_task_count"]) == (2, 1, 0)
    assert worker.post(
        "/task/bulk_release", {"requests": [{"task_id": worker.take(first)["id"], "result": 1} for _ in range(2)]}
    ).content()["updated"] == [True, True]
    until(lambda: shown(fleet.admin, worker)["failed_task_count"] == 5, seconds=15)
