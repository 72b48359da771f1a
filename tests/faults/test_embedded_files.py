"""Somebody deletes the embedded store's socket or locks, or creates them first."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.store.redis.data_dir import SocketPath
from tests.client import Fleet
from tests.faults.test_damaged_files import broker
from tests.serving import Serving, until


def long_path(tmp_path: Path) -> Path:
    """A path that is too long for a socket."""
    return tmp_path / ("x" * 100) / ("y" * 100)


def delete_socket(path: Path) -> None:
    path.unlink()


def delete_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


def test_the_socket_is_in_the_data_directory(tmp_path: Path) -> None:
    # With characters that have a meaning in a URL.
    serving = Serving.start(tmp_path / "50% {}?#")
    path = tmp_path / "50% {}?#" / "data" / "store.sock"

    assert path.stat().st_mode & 0o777 == 0o700
    assert serving.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize("known", [True, False], ids=["XDG_RUNTIME_DIR", "tmp"])
def test_where_a_path_is_too_long_for_a_socket_it_is_in_a_directory_of_its_own(tmp_path: Path, known: bool) -> None:
    # Short, whatever the test's own directory is called.
    runtime = Path(tempfile.mkdtemp(dir="/tmp")) if known else Path("/tmp")
    serving = Serving.start(long_path(tmp_path), environment={"XDG_RUNTIME_DIR": str(runtime) if known else ""})
    path = serving.store_socket()

    assert path.parent.parent == runtime
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert (long_path(tmp_path) / "data").stat().st_mode & 0o777 == 0o700
    assert serving.stop() == 0
    assert not path.parent.exists()
    if known:
        runtime.rmdir()


@pytest.mark.parametrize("delete", [delete_socket, delete_directory])
def test_a_deleted_socket_is_noticed_and_made_again_with_nothing_lost(
    tmp_path: Path, delete: Callable[[Path], None]
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    serving = Serving.start(long_path(tmp_path), environment={"XDG_RUNTIME_DIR": str(runtime)})
    fleet = Fleet(serving.url, serving.admin())
    project = fleet.project()
    task = fleet.worker(project).submit(project)
    path, store = serving.store_socket(), serving.store()

    delete(path)

    until(lambda: f"the store's socket {path} was deleted" in serving.log.read_text())
    until(path.is_socket)
    assert serving.store() != store
    serving.wait_for(200)
    # A process that is new finds it as well.
    (server,) = serving.servers()
    os.kill(server, signal.SIGKILL)
    until(lambda: server not in serving.servers())
    serving.wait_for(200, "/readyz")
    assert fleet.worker(project).take(project)["id"] == task
    fleet.close()
    assert serving.log.read_text().count("was deleted") == 1
    assert serving.stop() == 0


def test_a_second_broker_is_refused_though_the_lock_file_was_deleted(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    data = tmp_path / "data"
    (data / "lock").unlink()

    for _ in range(2):
        refused = broker("serve", "--port", "0", "--data-dir", str(data))
        assert (refused.returncode, refused.stderr) == (1, f"broker: --data-dir: another broker is running on {data}\n")

    # Not even when the socket is gone, by which the second would find the store of the first.
    serving.store_socket().unlink()
    refused = broker("repair", "--yes", "--data-dir", str(data))
    assert (refused.returncode, refused.stderr) == (1, f"broker: --data-dir: another broker is running on {data}\n")
    until(lambda: "was deleted" in serving.log.read_text())
    serving.wait_for(200, "/readyz")
    assert serving.stop() == 0


def test_a_store_that_a_killed_supervisor_left_without_a_socket_is_waited_for(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    admin = serving.admin()
    admin.post("/project/create", {"name": "first"}).content()
    store, path = serving.store(), serving.store_socket()
    os.kill(store, signal.SIGSTOP)
    serving.kill()
    path.unlink()

    again = Serving.start(tmp_path, ready=False)
    with pytest.raises(AssertionError):
        until(path.exists, 0.5)
    os.kill(store, signal.SIGCONT)
    again.wait_for(200)

    (project,) = again.caller().get("/project/list").content()["projects"]
    assert project["name"] == "first"
    assert path.exists()
    assert again.stop() == 0


@pytest.mark.slow
def test_an_adopted_store_whose_socket_is_deleted_is_replaced_when_it_has_ended(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path)
    serving.admin().post("/project/create", {"name": "first"}).content()
    store, path = serving.store(), serving.store_socket()
    # It cannot hear that it should end with its supervisor.
    os.kill(store, signal.SIGSTOP)
    serving.kill()
    again = Serving.start(tmp_path, ready=False)
    until(lambda: again.log.read_text().count("serves at") == 2)

    path.unlink()

    until(lambda: "the store of an earlier broker cannot be reached any more" in again.log.read_text())
    assert not path.exists()
    os.kill(store, signal.SIGCONT)
    again.wait_for(200)
    assert len(again.caller().get("/project/list").content()["projects"]) == 1
    assert again.stop() == 0


def a_link(path: Path, elsewhere: Path) -> None:
    elsewhere.mkdir()
    path.symlink_to(elsewhere)


def a_link_to_nothing(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


def a_file(path: Path, elsewhere: Path) -> None:
    path.write_text("")


def an_open_directory(path: Path, elsewhere: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def another_users_directory(path: Path, elsewhere: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a directory away")
    path.mkdir(mode=0o700)
    os.chown(path, 65534, 65534)


@pytest.mark.parametrize(
    "make", [a_link, a_link_to_nothing, a_file, an_open_directory, another_users_directory], ids=lambda it: it.__name__
)
def test_nothing_starts_in_a_directory_that_somebody_else_created_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path, Path], None]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    data = long_path(tmp_path) / "data"
    place = SocketPath(data).path.parent
    make(place, tmp_path / "elsewhere")

    refused = broker("serve", "--port", "0", "--data-dir", str(data))

    assert refused.returncode == 1
    assert refused.stderr == (
        f"broker: the store's socket: {place} belongs to another user, is not a directory, or is open to others: "
        "remove it, or use a --data-dir with a shorter path\n"
    )
    for folder in (place, tmp_path / "elsewhere"):
        assert not folder.is_dir() or not list(folder.iterdir())
