"""The programs of docs/cookbook.md and docs/fleet.md run unchanged, except for the broker's address."""

import http.server
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import Fleet
from tests.client_library.running import counters, program, stats
from tests.client_library.test_documented_programs import accept
from tests.serving import Serving, until

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "".join((DOCS / page).read_text() for page in ("cookbook.md", "fleet.md"))
PROGRAMS: dict[str, str] = {
    re.match(r'"""(\w+\.py)', text)[1]: text  # type: ignore[index]
    for text in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A broker with project 1."""
    serving = Serving.start(tmp_path_factory.mktemp("broker"))
    fleet = Fleet(serving.url, serving.admin())
    assert fleet.project() == 1
    yield fleet
    fleet.close()
    assert serving.stop() == 0


@pytest.fixture
def broker(served: Fleet) -> Fleet:
    """Its project 1 has no tasks."""
    served.admin.post("/project/hard_reset/1").content()
    return served


def since(broker: Fleet, before: Counter[str]) -> Counter[str]:
    """By how much the totals of project 1 have grown."""
    return counters(broker, 1) - before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "admin.json").write_text('{"username": "admin", "password": "a long password"}')
    return tmp_path


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Answers each path with the status that it names."""

    class Statuses(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path[1:]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Statuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def text_of(broker: Fleet, name: str) -> str:
    assert "http://localhost:3010" in PROGRAMS[name]
    return PROGRAMS[name].replace("http://localhost:3010", broker.url)


def run(broker: Fleet, folder: Path, name: str, *arguments: str) -> str:
    """What the program prints, or says as it ends."""
    command = [sys.executable, "-c", text_of(broker, name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout or done.stderr


def test_a_page_that_cannot_be_had_now_is_delayed(broker: Fleet, folder: Path, site: str) -> None:
    before = counters(broker, 1)
    for status in (200, 500, 503):
        broker.worker(1).submit(1, f"{site}{status}", max_retries=3)

    with program(folder, text_of(broker, "later.py")) as running:
        accept(broker.admin, 1, "later")
        until(lambda: stats(broker, 1)["delayed"] == 2)
        assert running.end() == 0

    found = since(broker, before)
    assert (found["closed"], found["retried"], found["skipped"]) == (1, 1, 1)


def test_a_page_comes_again_after_a_day(broker: Fleet, folder: Path, site: str) -> None:
    broker.worker(1).submit(1, f"{site}200")

    with program(folder, text_of(broker, "daily.py")) as running:
        accept(broker.admin, 1, "daily")
        until(lambda: stats(broker, 1)["delayed"] == 1)
        assert running.end() == 0

    (task,) = broker.admin.get("/project/tasks/1?state=delayed").content()["tasks"]
    assert task["round"] == 2
    assert 86_000 < task["not_before"] - task["created"] < 87_000


def test_it_is_finished_when_nothing_is_unfinished(broker: Fleet, folder: Path) -> None:
    worker = broker.worker(1)
    worker.submit(1, "r")
    assert worker.release(worker.take(1)["id"]) is True

    closed = counters(broker, 1)["closed"]
    assert run(broker, folder, "finished.py") == f"0 unfinished, {closed} closed, 0 failed\n" * 2


def test_a_host_is_blocked_and_goes_on(broker: Fleet, folder: Path) -> None:
    worker = broker.worker(1)
    worker.submit(1, "r", group="down.example")

    assert run(broker, folder, "block.py", "down.example", "3600") == "down.example: 1 waiting, blocked\n"
    assert worker.get("/task/get/1").body["ok"] is False
    assert run(broker, folder, "block.py", "down.example", "0") == "down.example: 1 waiting, not blocked\n"
    assert worker.take(1)["recipe"] == "r"


def test_tasks_are_submitted_on_which_two_must_agree(broker: Fleet, folder: Path) -> None:
    assert "access to project 1 is requested" in run(broker, folder, "agree.py", "u")
    accept(broker.admin, 1, "producer")

    assert re.fullmatch(r"\[\d+00001, \d+00001, None\]\n", run(broker, folder, "agree.py", "u", "v", "u"))
    assert broker.worker(1).take(1)["verification_count"] == 2


def test_tasks_with_a_text_are_deleted(broker: Fleet, folder: Path) -> None:
    for recipe in ("https://a.example/", "https://b.example/", "https://a.example/2"):
        broker.worker(1).submit(1, recipe)

    assert run(broker, folder, "cancel.py", "//a.example/") == "2 tasks deleted\n"
    assert stats(broker, 1)["waiting"] == 1


def test_what_is_closed_goes_on_to_the_next_step(broker: Fleet, folder: Path) -> None:
    said = run(broker, folder, "steps.py")
    match = re.fullmatch(r"submit to project (\d+); it is finished when project (\d+) is\n", said)
    assert match, said
    fetch, parse = int(match[1]), int(match[2])

    worker = broker.worker(fetch, parse)
    worker.submit(fetch, "page")
    assert worker.release(worker.take(fetch)["id"]) is True
    assert worker.take(parse)["recipe"] == "page"


def test_workers_of_a_customer_get_in_with_a_token(broker: Fleet, folder: Path) -> None:
    project, token = run(broker, folder, "customer.py", "Ada and sons").split()

    worker = broker.worker()
    access = worker.post("/project/join", {"project": int(project), "token": token})
    assert access.status == 200, access
    assert worker.submit(int(project), "r")
    assert broker.anybody.get(f"/project/get/{project}").status == 401


def test_a_token_lets_workers_in(broker: Fleet, folder: Path) -> None:
    token = run(broker, folder, "join_token.py", "1").strip()

    worker = broker.worker()
    assert worker.post("/project/join", {"project": 1, "token": token}).status == 200
    (kept,) = broker.admin.get("/project/join_tokens/1").content()["tokens"]
    assert 89 * 86_400 < kept["expires"] - time.time() <= 90 * 86_400


DIES = """
import time

from broker.client import Task, Worker

worker = Worker("http://localhost:3010", alias="dies", lease=6)


@worker.task(project=1, concurrency=4)
def hold(task: Task) -> None:
    time.sleep(600)


worker.run()
"""


def reasons(broker: Fleet, worker: int) -> set[str]:
    found = broker.admin.get(f"/project/why/1?worker={worker}").content()["reasons"]
    return {reason["code"] for reason in found}


def test_what_a_dead_machine_held_is_seen_and_comes_back_as_the_page_says(broker: Fleet, folder: Path) -> None:
    other, before = broker.worker(1), counters(broker, 1)
    broker.admin.post("/project/update/1", {"group_limit": 1}).content()
    for host in "abcd":
        other.submit(1, host, group=host)
        other.submit(1, host * 2, group=host)

    with program(folder, DIES.replace("http://localhost:3010", broker.url)) as machine:
        accept(broker.admin, 1, "dies")
        until(lambda: stats(broker, 1)["assigned"] == 4)
        assert machine.end(signal.SIGKILL) == -signal.SIGKILL

    held = broker.admin.get("/project/tasks/1?state=assigned").content()["tasks"]
    assert {task["assignee"] for task in held} == {other.id + 1}
    assert all(0 < task["deadline"] - time.time() <= 7 for task in held)
    assert {"groups_full", "held"} <= reasons(broker, other.id)
    until(lambda: stats(broker, 1)["waiting"] == 8, 20)
    assert since(broker, before)["reclaimed"] == 4
    assert reasons(broker, other.id) == {"available"}
    assert [other.take(1)["retries"] for _ in range(4)] == [0] * 4


def test_workers_that_are_silent_are_deleted(broker: Fleet, folder: Path) -> None:
    broker.worker(1)

    assert run(broker, folder, "tidy.py", "1") == "0 deleted\n"


def test_each_program_is_tried() -> None:
    tried = set(re.findall(r'"(\w+\.py)"', Path(__file__).read_text()))

    assert set(PROGRAMS) == tried


def test_no_program_of_any_page_hides_a_module_of_python() -> None:
    """All are saved in one folder, and Python looks there first: token.py would break every other program."""
    pages = [page.read_text() for page in DOCS.glob("*.md")]
    programs = {name for page in pages for name in re.findall(r'^"""(\w+)\.py', page, re.MULTILINE)}

    assert programs >= {name.removesuffix(".py") for name in PROGRAMS}
    assert not programs & sys.stdlib_module_names
