"""The disk of the append-only file is full: nothing is changed any more until there is room, and nothing is lost."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import Caller, Fleet, WorkerCaller
from tests.serving import Serving

PASSWORD = "a long password"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Eight megabytes, of which most are taken."""
    folder = tmp_path / "data"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=8m", "broker-test", str(folder)]
    if os.getuid() or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("durability", ["everysec", "always"])
def test_a_full_disk_stops_all_changes_and_when_there_is_room_again_nothing_is_lost(
    tmp_path: Path, disk: Path, durability: str
) -> None:
    serving = Serving.start(tmp_path, durability=durability)
    admin = serving.caller()
    admin.post("/register", {"username": "admin", "password": PASSWORD}).content()
    fleet = Fleet(serving.url, admin)
    project = fleet.project()
    worker = fleet.worker(project)
    held = worker.submit(project)
    assert worker.take(project)["id"] == held

    ballast = disk / "ballast"
    ballast.write_bytes(bytes(6 << 20))
    submitted = [held, *submit_until_refused(worker, project)]
    # So that nothing fits any more, however small.
    fill(ballast)
    for answer in (
        worker.get(f"/task/get/{project}"),
        worker.post("/task/release", {"task_id": held, "result": 0}),
        fleet.anybody.get("/readyz"),
    ):
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")

    ballast.unlink()
    serving.wait_for(200, "/readyz")
    submitted.append(worker.submit(project))
    assert worker.release(held) is True
    fleet.close()
    assert serving.stop() == 0

    again = Serving.start(tmp_path, durability=durability)
    admin = again.caller()
    admin.post("/login", {"username": "admin", "password": PASSWORD}).content()
    assert waiting(admin, project) >= set(submitted) - {held}
    counters = admin.get(f"/project/stats/{project}").content()["stats"]["counters"]
    assert counters["submitted"] == len(waiting(admin, project)) + 1
    assert again.stop() == 0


def submit_until_refused(worker: WorkerCaller, project: int) -> list[int]:
    """The ids of those that were taken."""
    taken: list[int] = []
    while len(taken) < 1000:
        answer = worker.post("/task/submit", {"project": project, "recipe": "x" * 50_000})
        if answer.status != 200:
            assert answer.code == "unavailable"
            return taken
        taken.append(answer.content()["task_id"])
    raise AssertionError("the disk takes 50 MB")


def fill(ballast: Path) -> None:
    with ballast.open("ab", buffering=0) as file:
        try:
            for size in (4096, 1):
                while file.write(bytes(size)) == size:
                    pass
        except OSError:
            pass


def waiting(admin: Caller, project: int) -> set[int]:
    page = admin.get(f"/project/tasks/{project}?state=queue&limit=500").content()
    return {task["id"] for task in page["tasks"]}
