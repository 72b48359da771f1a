"""The credentials file: who may read it, and what happens when two programs create it at once."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker.client import Client, ClientError, Credentials
from broker.client.credentials import SharedLock
from tests.client import Fleet
from tests.client_library.running import program
from tests.serving import until


def test_a_worker_is_created_once_and_only_its_owner_may_read_its_file(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "worker.json"
    with Client(fleet.url) as client:
        made = client.identify(file, alias="crawler-1")
        client.update_worker("crawler-1")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"id": made.id, "alias": "crawler-1", "secret": made.secret}
    assert os.listdir(tmp_path) == ["worker.json"]
    with Client(fleet.url) as client:
        assert client.identify(file) == made


def test_a_file_that_the_older_python_client_wrote_is_read(fleet: Fleet, tmp_path: Path) -> None:
    worker = fleet.worker(alias="veteran")
    file = tmp_path / "worker.json"
    with file.open("w") as stream:
        json.dump({"id": worker.id, "alias": worker.alias, "secret": worker.secret}, stream)

    with Client(fleet.url) as client:
        assert client.identify(file).id == worker.id
        client.update_worker("veteran-2")


def test_another_alias_renames_the_worker(fleet: Fleet, tmp_path: Path) -> None:
    with Client(fleet.url) as client:
        client.identify(tmp_path / "worker.json", alias="old")
        worker = client.identify(tmp_path / "worker.json", alias="new")

        assert client.worker_info(worker.id).alias == "new"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1, "alias": "w"}', '{"id": "1", "alias": "w", "secret": "s"}'])
def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "worker.json"
    file.write_text(text)

    with Client("http://broker") as client, pytest.raises(ClientError, match=r"worker.json does not hold a worker's"):
        client.identify(file)

    assert file.read_text() == text


def test_programs_that_create_the_file_at_once_are_one_worker(fleet: Fleet, tmp_path: Path) -> None:
    def identify(_: int) -> Credentials:
        with Client(fleet.url) as client:
            return client.identify(tmp_path / "worker.json", alias="crowd")

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(identify, range(16)))) == 1
    assert os.listdir(tmp_path) == ["worker.json"]


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(fleet: Fleet, tmp_path: Path) -> None:
    with Client(fleet.url) as client, pytest.raises(FileNotFoundError):
        client.identify(tmp_path / "nowhere" / "worker.json")

    assert os.listdir(tmp_path) == []


LOCK = """
import sys, time
from broker.client.credentials import SharedLock
lock = SharedLock("worker.json")
print("locked", lock.alone())
time.sleep(60)
"""


def test_a_lock_is_not_alone_while_another_program_runs(tmp_path: Path) -> None:
    file = tmp_path / "worker.json"
    Credentials(1, "w", "s").save(file)
    lock = SharedLock(file)
    assert lock.alone()

    with program(tmp_path, LOCK) as other:
        until(lambda: "locked" in other.text())
        assert "locked False" in other.text()
        assert not lock.alone()

    assert lock.alone()
    lock.release()
