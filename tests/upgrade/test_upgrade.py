"""A broker continues with the data of an earlier release, and leaves alone what it cannot read."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from broker.store.redis.keys import LAYOUT
from tests.client import Answer, Caller, WorkerCaller
from tests.servers import until_it_answers
from tests.serving import Serving, free_port, until
from tests.upgrade.make import CENTURY, PASSWORD

WRITTEN = Path(__file__).parent / f"layout-{LAYOUT}"
BASE = Path("appendonlydir") / "appendonly.aof.1.base.aof"


class Upgraded:
    """A broker on a copy of the data, and what is known of it."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.known: dict[str, Any] = json.loads((WRITTEN / "known.json").read_text())
        self.tasks: dict[str, int] = self.known["tasks"]
        self.pages, self.index, self.failing = (self.known["projects"][name] for name in ("pages", "index", "failing"))
        self.ada = self.manager("ada")

    def manager(self, name: str) -> Caller:
        """In the session that was open."""
        caller = self.serving.caller()
        caller.http.cookies["tt"] = self.known["sessions"][name]
        return caller

    def worker(self, alias: str) -> WorkerCaller:
        worker = WorkerCaller(self.serving.url, {"alias": alias, **self.known["workers"][alias]})
        self.serving.callers.append(worker)
        return worker

    def waiting(self, project: int) -> int:
        stats: dict[str, int] = self.ada.get(f"/project/stats/{project}").content()["stats"]
        return stats["waiting"]


def start(folder: Path) -> Serving:
    return Serving.start(folder, monitoring_history=CENTURY)


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    folder = tmp_path_factory.mktemp("upgraded")
    shutil.copytree(WRITTEN / "data", folder / "data")
    serving = start(folder)
    yield Upgraded(serving)
    assert serving.stop() == 0


def holds(now: Any, before: Any) -> bool:
    """Whether an answer has everything that the earlier one had; there may be new fields."""
    if isinstance(before, dict):
        return isinstance(now, dict) and all(name in now and holds(now[name], value) for name, value in before.items())
    if isinstance(before, list):
        return isinstance(now, list) and len(now) == len(before) and all(map(holds, now, before))
    return bool(now == before)


# The tests go on from each other, in their order: a second look must not find what the first has changed.
def test_every_answer_is_the_one_that_the_earlier_release_gave(upgraded: Upgraded) -> None:
    known = upgraded.known["answers"]
    answers = {path: upgraded.ada.get(path).content() for path in known}
    # What workers have closed over all projects is counted after the start.
    counts = known.pop("/worker/stats")
    # A snapshot stands for those after it, until something changes.
    (snapshots,) = [known.pop(path) for path in list(known) if path.startswith("/project/monitoring/")]

    assert {path: answers[path] for path, before in known.items() if not holds(answers[path], before)} == {}
    until(lambda: holds(upgraded.ada.get("/worker/stats").content(), counts))
    times = [row["time_stamp"] for row in snapshots["snapshots"]]
    between = f"/project/monitoring-between/{upgraded.index}?from={times[-1]}&to={times[0]}"
    assert holds(upgraded.ada.get(between).content(), snapshots)
    logs = upgraded.ada.post("/logs", {"level": 4, "since": 1}).content()["logs"]
    assert [line["message"] for line in logs if line["timestamp"] == 1_700_000_000] == ["slow"]


def test_what_was_half_done_is_done(upgraded: Upgraded) -> None:
    until(lambda: (upgraded.waiting(upgraded.pages), upgraded.waiting(upgraded.failing)) == (1, 3))

    ann = upgraded.worker("ann")
    assert ann.take(upgraded.pages)["recipe"] == "on its way"
    assert [ann.take(upgraded.failing)["recipe"] for _ in range(3)] == ["fails 0", "fails 1", "fails 2"]


def test_managers_are_still_signed_in_and_their_passwords_hold(upgraded: Upgraded) -> None:
    for name in ("ada", "bob"):
        assert upgraded.manager(name).get("/account").content()["manager"]["username"] == name
        login = {"username": name, "password": PASSWORD}
        assert upgraded.serving.caller().post("/login", login).content()["manager"]["username"] == name
    assert upgraded.manager("bob").post(f"/project/update/{upgraded.index}", {"motd": "by bob"}).status == 200
    assert upgraded.manager("bob").post(f"/project/update/{upgraded.pages}", {"motd": "by bob"}).status == 403


def test_workers_go_on_with_their_secrets_and_tasks(upgraded: Upgraded) -> None:
    ann, ben, tasks = upgraded.worker("ann"), upgraded.worker("ben"), upgraded.tasks
    assert [task["id"] for task in ann.get(f"/task/assigned/{upgraded.index}").content()["tasks"]] == [tasks["held"]]
    assert ann.release(tasks["held"])
    # Ann has voted; with Ben's vote it is done.
    assert ben.take(upgraded.index)["id"] == tasks["verifying"]
    assert ben.release(tasks["verifying"], 0, 7)
    assert ben.take(upgraded.index)["id"] == tasks["waiting"]
    assert ben.release(tasks["waiting"])

    def submit(**fields: Any) -> Answer:
        return ann.post("/task/submit", {"project": upgraded.index, "recipe": "new", **fields})

    # Live and remembered hashes; ids go on.
    assert [submit(unique_string="closed").code, submit(hash64=-5).code, submit(hash64=2**62).code] == ["duplicate"] * 3
    assert submit().content()["task_id"] > max(tasks.values())
    upgraded.ada.post(f"/project/reset_failed_tasks/{upgraded.index}").content()
    assert {ann.take(upgraded.index)["id"] for _ in range(2)} > {tasks["failed"]}


def test_data_that_an_older_store_has_rewritten_are_read(tmp_path: Path) -> None:
    older = shutil.which("redis-server")
    if older is None:
        pytest.skip("redis-server is not on PATH")
    data = shutil.copytree(WRITTEN / "data", tmp_path / "data")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), "--appendonly", "yes", "--save", ""]
    server = subprocess.Popen([older, *options], stdout=subprocess.DEVNULL)
    try:
        until_it_answers(f"redis://127.0.0.1:{port}")
        with Redis(port=port) as client:
            client.bgrewriteaof()
            until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
    finally:
        server.terminate()
        server.wait(10)
    (base,) = (data / "appendonlydir").glob("*.base.*")
    assert base.read_bytes().startswith(b"REDIS")

    serving = start(tmp_path)
    upgraded = Upgraded(serving)
    assert upgraded.ada.get("/account").content()["manager"]["username"] == "ada"
    assert upgraded.worker("ben").take(upgraded.index)["id"] == upgraded.tasks["verifying"]
    assert serving.stop() == 0


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        (LAYOUT + 1, f"the data has key layout {LAYOUT + 1}, made by a newer broker; this one knows {LAYOUT}"),
        (
            LAYOUT - 1,
            f"the data has key layout {LAYOUT - 1}, made by an older broker; this one needs {LAYOUT}: start "
            "that broker once more, export its projects with `broker export`, and import the files into a new one",
        ),
    ],
)
def test_data_of_another_layout_stop_the_start_and_are_left_as_they_are(tmp_path: Path, layout: int, says: str) -> None:
    data = shutil.copytree(WRITTEN / "data", tmp_path / "data")
    of = b"broker:{directory}:layout\r\n$1\r\n%d\r\n"
    text = (data / BASE).read_bytes().replace(of % LAYOUT, of % layout)
    (data / BASE).write_bytes(text)

    ended = subprocess.run(
        [sys.executable, "-m", "broker", "serve", "--port", str(free_port()), "--data-dir", str(data)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith(says)
    assert "Traceback" not in ended.stderr
    assert (data / BASE).read_bytes() == text
    # A store of its own accord deletes keys that have expired since the data were written; nothing else is changed.
    (appended,) = data.glob("appendonlydir/*.incr.aof")
    assert set(re.findall(rb"\$[0-9]+\r\n([A-Z]+)\r\n", appended.read_bytes())) <= {b"SELECT", b"UNLINK", b"DEL"}
