"""Backup and restore of a broker under load: the commands of docs/operating.md, as they stand there."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from redis import Redis

from broker.cli import main
from broker.store.redis.embedded import binary
from tests.client import Caller, Fleet, WorkerCaller
from tests.servers import until_it_answers
from tests.serving import Serving, free_port, until

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"

_SECTION = OPERATING.read_text().partition("## Backup and restore\n")[2].partition("\n## ")[0]
BACKUP, RESTORE, ONE_FILE, RESTORE_ONE_FILE, FILES, RESTORE_FILES = re.findall(r"```sh\n(.*?)```", _SECTION, re.DOTALL)
SAVED = "cp DIR/dump.rdb /backup/tasks.rdb"
"""The command after a BGSAVE."""

PASSWORD = "a long password"
_BULK = 50


@dataclass
class Place:
    """Where a broker has its data: in its embedded store, or in a server of its own."""

    folder: Path
    own: bool = False
    server: "subprocess.Popen[bytes] | None" = None
    url: str = ""
    """The URL of its own server."""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> Serving:
        self.data.mkdir(parents=True, exist_ok=True)
        if self.own:
            port = free_port()
            command = [shutil.which("redis-server") or binary(), "--port", str(port), "--bind", "127.0.0.1"]
            options = ["--dir", str(self.data), "--appendonly", "yes", "--save", ""]
            self.server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
            self.url = f"redis://127.0.0.1:{port}/0"
            until_it_answers(self.url)
        return Serving.start(self.folder, redis_url=self.url)

    def store(self, serving: Serving) -> Redis:
        return Redis.from_url(self.url or f"unix://{serving.store_socket()}")

    def close(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait(10)

    def shell(self, script: str, folder: Path) -> None:
        """Runs what the page says, with its paths moved below ``folder``."""
        moved = script.replace("/var/lib/broker", str(self.data)).replace("DIR", str(self.data))
        moved = moved.replace("/var/lib/restored", str(folder / "restored" / "data"))
        moved = moved.replace("/backup/", f"{folder}/backup/")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "BROKER_DATA_DIR": str(self.data), "BROKER_REDIS_URL": self.url}
        done = subprocess.run(
            ["bash", "-eu"], input=moved, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def _has_a_client() -> None:
    if not (shutil.which("redis-cli") or shutil.which("valkey-cli")):
        pytest.skip("neither redis-cli nor valkey-cli is on PATH")


@contextmanager
def running(place: Place) -> Iterator[Serving]:
    try:
        serving = place.start()
        try:
            yield serving
        finally:
            code = serving.stop()
        assert code == 0
    finally:
        place.close()


@dataclass
class Load:
    """Two workers submit and one closes tasks, all the time; acknowledged changes are noted."""

    project: int
    submitted: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    """Whether that was acknowledged or not."""
    failures: list[BaseException] = field(default_factory=list)

    @contextmanager
    def on(self, workers: list[WorkerCaller]) -> Iterator[None]:
        end = threading.Event()

        def repeat(step: Callable[[WorkerCaller], None], worker: WorkerCaller) -> None:
            try:
                while not end.wait(0.01):
                    step(worker)
            except BaseException as error:
                self.failures.append(error)

        steps = (self.submit, self.submit, self.close)
        threads = [
            threading.Thread(target=repeat, args=(step, worker)) for step, worker in zip(steps, workers, strict=True)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            end.set()
            for thread in threads:
                thread.join(20)
        assert self.failures == []

    def submit(self, worker: WorkerCaller) -> None:
        tasks = [{"project": self.project, "recipe": "x" * 100} for _ in range(_BULK)]
        self.submitted += worker.post("/task/bulk_submit", {"requests": tasks}).content()["outcomes"]

    def close(self, worker: WorkerCaller) -> None:
        answer = worker.get(f"/task/get/{self.project}?count={_BULK}")
        tasks = [task["id"] for task in answer.body.get("content", {}).get("tasks", [])]
        self.released += tasks
        if tasks:
            releases = [{"task_id": task, "result": 0} for task in tasks]
            updated = worker.post("/task/bulk_release", {"requests": releases}).content()["updated"]
            assert all(updated)
            self.closed += tasks


def live_tasks(admin: Caller, project: int) -> set[int]:
    live: set[int] = set()
    for state in ("queue", "assigned"):
        offset, total = 0, 1
        while offset < total:
            page = admin.get(f"/project/tasks/{project}?state={state}&limit=500&offset={offset}").content()
            live |= {task["id"] for task in page["tasks"]}
            offset, total = offset + 500, page["total"]
    return live


@pytest.mark.parametrize(
    ("own", "backup", "restore"),
    [
        pytest.param(False, BACKUP, RESTORE, id="embedded"),
        pytest.param(
            *(False, ONE_FILE, RESTORE.replace("tasks", "tasks.rdb")),
            id="embedded-one-file-restored",
            marks=pytest.mark.slow,
        ),
        pytest.param(False, ONE_FILE, RESTORE_ONE_FILE, id="embedded-one-file", marks=pytest.mark.slow),
        pytest.param(False, FILES, RESTORE_FILES, id="embedded-files", marks=pytest.mark.slow),
        pytest.param(True, ONE_FILE, RESTORE_ONE_FILE, id="own-one-file", marks=pytest.mark.slow),
        pytest.param(True, SAVED, RESTORE_ONE_FILE, id="own-bgsave", marks=pytest.mark.slow),
        pytest.param(True, FILES, RESTORE_FILES, id="own-files", marks=pytest.mark.slow),
    ],
)
def test_a_backup_under_load_has_all_that_was_acknowledged_before_it_began(
    tmp_path: Path, own: bool, backup: str, restore: str
) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "restored").mkdir()
    original = Place(tmp_path / "original", own)
    with running(original) as serving:
        admin = serving.caller()
        admin.post("/register", {"username": "admin", "password": PASSWORD}).content()
        fleet = Fleet(serving.url, admin)
        load = Load(fleet.project())
        workers = [fleet.worker(load.project) for _ in range(3)]
        with load.on(workers), original.store(serving) as client:
            until(lambda: len(load.submitted) >= 5000 and len(load.closed) >= 500)
            # By default, the store waits five seconds for further replicas before it sends a copy.
            client.config_set("repl-diskless-sync-delay", 0)
            if backup is SAVED:
                begun = save(client, load)
            else:
                # A rewrite is under way when the backup begins.
                client.bgrewriteaof()
                begun = set(load.submitted), set(load.closed)
            original.shell(backup, tmp_path)
            until(lambda: len(load.submitted) > len(begun[0]) + 1000)
        fleet.close()

    original.shell(restore, tmp_path)

    with running(Place(tmp_path / "restored", own)) as again:
        admin = again.caller()
        admin.post("/login", {"username": "admin", "password": PASSWORD}).content()
        live = live_tasks(admin, load.project)
        submitted, closed = begun
        assert submitted - live <= set(load.released)
        assert closed & live == set()
        # Nothing is half there.
        counters = admin.get(f"/project/stats/{load.project}").content()["stats"]["counters"]
        assert counters["submitted"] == len(live) + counters["closed"]
        assert live <= set(load.submitted)
        # And the work goes on, with the workers' old secrets.
        worker = WorkerCaller(again.url, {"id": workers[0].id, "alias": "again", "secret": workers[0].secret})
        assert worker.submit(load.project, priority=9) not in live
        assert worker.release(worker.take(load.project)["id"])
        worker.close()


def save(client: Redis, load: Load) -> tuple[set[int], set[int]]:
    """Saves, and returns what was acknowledged before."""
    begun = set(load.submitted), set(load.closed)
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == 0)
    return begun


def test_a_copy_that_ends_in_the_middle_of_a_change_restores_without_it(tmp_path: Path) -> None:
    with running(Place(tmp_path)) as serving:
        admin = serving.caller()
        admin.post("/register", {"username": "admin", "password": PASSWORD}).content()
        fleet = Fleet(serving.url, admin)
        project = fleet.project()
        worker = fleet.worker(project)
        kept, cut = worker.submit(project), worker.submit(project)
        fleet.close()

    (changes,) = (tmp_path / "data" / "appendonlydir").glob("*.incr.aof")
    # A submit is one transaction of several commands: the last one ends in the middle now.
    changes.write_bytes(changes.read_bytes()[: changes.read_bytes().rindex(str(cut).encode()) + 3])

    with running(Place(tmp_path)) as again:
        admin = again.caller()
        admin.post("/login", {"username": "admin", "password": PASSWORD}).content()
        assert live_tasks(admin, project) == {kept}
        assert admin.get(f"/project/stats/{project}").content()["stats"]["counters"]["submitted"] == 1


def command(place: Place, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: several may run at once."""
    return subprocess.run(
        [sys.executable, "-m", "broker", *map(str, arguments)],
        env={**os.environ, "BROKER_DATA_DIR": str(place.data), "BROKER_REDIS_URL": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Done(NamedTuple):
    returncode: int
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on the data of a place."""

    def run(place: Place, *arguments: object) -> Done:
        monkeypatch.setenv("BROKER_DATA_DIR", str(place.data))
        monkeypatch.setenv("BROKER_REDIS_URL", "")
        return Done(main([str(argument) for argument in arguments]), capsys.readouterr().err)

    return run


def one_task(serving: Serving) -> int:
    """Submits a task. Returns its project."""
    admin = serving.caller()
    admin.post("/register", {"username": "admin", "password": PASSWORD}).content()
    fleet = Fleet(serving.url, admin)
    project = fleet.project()
    fleet.worker(project).submit(project)
    fleet.close()
    return project


def test_a_backup_is_taken_whether_the_broker_runs_or_not_and_replaces_nothing(tmp_path: Path, run: Run) -> None:
    place, backup = Place(tmp_path), tmp_path / "backup"
    assert "there is no data in" in run(place, "backup", backup).stderr
    with running(place) as serving:
        one_task(serving)
        done = run(place, "backup", backup)
        assert done.returncode == 0, done.stderr
    assert run(place, "backup", tmp_path / "another").returncode == 0
    assert {path.name for path in place.data.iterdir()} <= {"appendonlydir", "lock", "store.log", "backup.lock"}

    before = {path: path.read_bytes() for path in backup.rglob("*") if path.is_file()}
    again = run(place, "backup", backup)
    assert (again.returncode, "exists, and is not an empty folder" in again.stderr) == (1, True)
    assert {path: path.read_bytes() for path in backup.rglob("*") if path.is_file()} == before
    # It contains secrets.
    assert all(path.stat().st_mode & 0o077 == 0 for path in [backup, *backup.rglob("*")])


def test_a_restore_needs_a_new_directory_and_a_whole_backup(tmp_path: Path, run: Run) -> None:
    place, backup, new = Place(tmp_path / "old"), tmp_path / "backup", Place(tmp_path / "new")
    with running(place) as serving:
        project = one_task(serving)
        assert run(place, "backup", backup).returncode == 0
        other = run(place, "restore", backup)
        assert (other.returncode, "is running on" in other.stderr) == (1, True)
    assert "has data already" in run(place, "restore", backup).stderr

    (base,) = (backup / "appendonlydir").glob("*.rdb")
    whole = base.read_bytes()
    for damaged in (whole[:-20], whole[: len(whole) // 2] + b"x" + whole[len(whole) // 2 + 1 :], b""):
        base.write_bytes(damaged)
        done = run(new, "restore", backup)
        why = "the store does not start with it" if damaged else "is empty"
        assert (done.returncode, why in done.stderr) == (1, True), done
        assert not (new.data / "appendonlydir" / "appendonly.aof.manifest").exists()
    for nothing in (tmp_path / "nowhere", tmp_path / "old", Path(__file__)):
        done = run(new, "restore", nothing)
        assert done.returncode == 1
        assert done.stderr.startswith("broker: ")
        assert len(done.stderr.splitlines()) == 1

    base.write_bytes(whole)
    assert run(new, "restore", backup).returncode == 0
    with running(new) as serving:
        admin = serving.caller()
        admin.post("/login", {"username": "admin", "password": PASSWORD}).content()
        assert len(live_tasks(admin, project)) == 1


def test_two_backups_at_once_are_both_whole(tmp_path: Path) -> None:
    place = Place(tmp_path / "old")
    with running(place) as serving:
        one_task(serving)
        with ThreadPoolExecutor(3) as threads:
            folders = [tmp_path / f"backup-{n}" for n in range(3)]
            done = list(threads.map(lambda folder: command(place, "backup", folder), folders))
    whole = [folder for folder, one in zip(folders, done, strict=True) if one.returncode == 0]
    assert whole
    assert all("another backup" in one.stderr for one in done if one.returncode)
    for n, folder in enumerate(whole):
        restored = command(Place(tmp_path / f"new-{n}"), "restore", folder)
        assert restored.returncode == 0, restored.stderr
