"""``broker backup`` and ``broker restore``: copies the embedded store while it runs, and restores such a copy.

A backup is a folder with the form of a data directory: its base file is a snapshot, which the store saves in the
background.
"""

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis, RedisError
from redis.exceptions import ResponseError

from broker.cli import add_settings, read_settings
from broker.cli.output import Progress
from broker.cli.store import located, must_answer, start_error
from broker.errors import StartError, system_message
from broker.settings import Settings
from broker.store.redis import aof
from broker.store.redis.data_dir import lock
from broker.store.redis.embedded import EmbeddedStore

_POLL = 0.1
"""Seconds between checks whether the store has saved its snapshot."""

_TIMEOUT = 60.0
"""Seconds for an answer of the store: a fork of a large one takes some."""

_RDB = (b"REDIS", b"VALKE")
"""The first bytes of a snapshot."""


def add_backup(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_backup)
    parser.description = (
        "Copies the embedded store into a new folder, while the broker runs. The copy has all changes that were "
        "acknowledged before it began. Meanwhile, the store needs memory for changes, and space on its disk for the "
        "copy."
    )
    parser.add_argument("folder", metavar="DIR", help="the new folder; it contains secrets, as the data do")
    add_settings(parser, "data_dir")


def add_restore(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_restore)
    parser.description = (
        "Restores a backup into a data directory that has no data yet, and checks that the store starts with it. "
        "All changes since the backup are undone: stop the workers first."
    )
    parser.add_argument("backup", metavar="BACKUP", help="a folder that broker backup created, or a snapshot file")
    add_settings(parser, "data_dir")


def _backup(arguments: argparse.Namespace) -> int:
    settings, folder = _embedded(arguments, "backup"), Path(arguments.folder).absolute()
    if not (Path(settings.data_dir) / aof.FOLDER).is_dir():
        raise StartError(f"there is no data in {settings.data_dir}", setting="data_dir")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StartError(f"{folder}: exists, and is not an empty folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    try:
        with _alone(Path(settings.data_dir)), located(settings) as found:
            asyncio.run(must_answer(found))
            with Redis.from_url(found.redis_url, socket_timeout=_TIMEOUT) as store:
                _save(store)
            snapshot = Path(settings.data_dir) / "dump.rdb"
            try:
                _write(folder / aof.FOLDER, snapshot)
            finally:
                snapshot.unlink()
    except RedisError as error:
        raise StartError(f"the store: {error}") from error
    size = (folder / aof.FOLDER / aof.BASE).stat().st_size
    print(f"{folder}: {size:,} bytes. To restore it: broker restore {folder} --data-dir NEW")
    return 0


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Allows one backup of this data at a time: all use the same file of the store."""
    try:
        held = lock(data / "backup.lock")
    except BlockingIOError:
        raise StartError(f"another backup of {data} is in progress") from None
    try:
        yield
    finally:
        os.close(held)


def _embedded(arguments: argparse.Namespace, command: str) -> Settings:
    settings = read_settings(arguments)
    if settings.redis_url:
        raise StartError(
            f"broker {command} is for the embedded store; docs/operating.md says what to do on your own server"
        )
    return settings


def _save(store: Redis) -> None:
    """Makes the store save a snapshot, and waits for it. A save that is in progress is waited for first."""
    progress = Progress(sys.stderr)
    saves = _begun(store, progress)
    while (info := store.info("persistence"))["rdb_bgsave_in_progress"]:
        done, total = info.get("current_save_keys_processed", 0), info.get("current_save_keys_total", 0)
        progress.show(f"{done:,} of {total:,} keys are saved")
        time.sleep(_POLL)
    progress.clear()
    if info["rdb_last_bgsave_status"] != "ok" or info["rdb_saves"] <= saves:
        raise StartError("the store could not save a snapshot: the end of store.log in the data directory says why")


def _begun(store: Redis, progress: Progress) -> int:
    """Starts a save, and returns how many there were before."""
    while True:
        saves: int = store.info("persistence")["rdb_saves"]
        try:
            store.bgsave(schedule=False)
        except ResponseError as error:
            if "progress" not in str(error) and "child" not in str(error):
                raise
            progress.show("the store is rewriting its files: waiting for the end")
            time.sleep(_POLL)
        else:
            return saves


def _write(folder: Path, snapshot: Path) -> None:
    """Writes append-only files with a snapshot. The manifest comes last: without it, the store ignores the others."""
    folder.mkdir(mode=0o700, exist_ok=True)
    _copy(snapshot, folder / aof.BASE)
    _write_manifest(folder, f"file {aof.BASE} seq 1 type b\n")


def _write_manifest(folder: Path, text: str) -> None:
    new = folder / f"{aof.MANIFEST}.new"
    with new.open("w") as manifest:
        manifest.write(text)
        manifest.flush()
        os.fsync(manifest.fileno())
    new.chmod(0o600)
    new.replace(folder / aof.MANIFEST)
    aof.sync(folder)


def _copy(source: Path, target: Path) -> None:
    new = target.with_name(f"{target.name}.new")
    shutil.copyfile(source, new)
    new.chmod(0o600)
    aof.sync(new)
    new.replace(target)


def _restore(arguments: argparse.Namespace) -> int:
    settings, backup = _embedded(arguments, "restore"), Path(arguments.backup)
    folder = Path(settings.data_dir) / aof.FOLDER
    files = _files(backup)
    store = EmbeddedStore(settings)
    store.reserve()
    try:
        if (folder / aof.MANIFEST).exists():
            raise StartError(f"{settings.data_dir} has data already: name a new directory", setting="data_dir")
        if files is None:
            _write(folder, backup)
        else:
            for file in files:
                _copy(file.path, folder / file.path.name)
            _write_manifest(folder, "".join(f"{file.line}\n" for file in files))
        if reason := start_error(settings, store):
            (folder / aof.MANIFEST).unlink()
            raise StartError(f"{backup}: the store does not start with it: {aof.problem(reason) or reason}")
    finally:
        store.stop()
    print(f"{settings.data_dir} has the data of the backup. To serve it: broker serve --data-dir {settings.data_dir}")
    return 0


def _files(backup: Path) -> list[aof.File] | None:
    """The files of a backup folder; None for a snapshot file."""
    if backup.is_dir():
        folder = backup / aof.FOLDER
        files = aof.files(folder if folder.is_dir() else backup)
        for file in files:
            # The store would start without data.
            if file.type == "b" and not file.path.stat().st_size:
                raise StartError(f"{file.path} is empty: take another backup")
        return files
    try:
        with backup.open("rb") as snapshot:
            begin = snapshot.read(5)
    except OSError as error:
        raise StartError(system_message(error)) from None
    if begin not in _RDB:
        raise StartError(f"{backup}: not a snapshot of a store")
    return None
