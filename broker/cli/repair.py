"""``broker repair``: cuts what cannot be read off the embedded store's append-only files, after asking."""

import asyncio
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from broker.errors import StartError
from broker.settings import Settings
from broker.store.check import StoreAway, check
from broker.store.redis import aof
from broker.store.redis.aof import Damage
from broker.store.redis.embedded import EmbeddedStore

_LOOK = 0.1
"""Seconds between looks whether the store has loaded its data."""


def run(settings: Settings, *, yes: bool) -> int:
    """The exit code: 1 when the answer was no. Raises :class:`StartError` when there is nothing that can be cut."""
    if settings.redis_url:
        raise StartError("broker repair is for the embedded store; a server of your own has redis-check-aof")
    folder = Path(settings.data_dir) / aof.FOLDER
    if not folder.is_dir():
        raise StartError(f"there are no data in {settings.data_dir}", setting="data_dir")
    store = EmbeddedStore(settings)
    store.reserve()
    try:
        return _repair(settings, store, folder, yes=yes)
    finally:
        store.stop()


def _repair(settings: Settings, store: EmbeddedStore, folder: Path, *, yes: bool) -> int:
    if done := aof.cut_zeros(folder):
        print(done)
    found = aof.damage(folder)
    if found is None:
        _try(settings, store)
        print(f"nothing in {folder} has to be cut: the store starts")
        return 0
    print(_told(found))
    if not yes and not _agreed():
        print("nothing was changed")
        return 1
    copy = aof.cut(folder, found)
    print(f"cut. {copy} has all files as they were: to go back, stop the broker and put it in the place of {folder}")
    _try(settings, store)
    print("the store starts")
    return 0


def _told(found: Damage) -> str:
    when = f", at {datetime.fromtimestamp(found.time, UTC):%Y-%m-%d %H:%M:%S} UTC" if found.time else ""
    lines = [
        f"{found.path} cannot be read from byte {found.offset:,} on: {found.problem}",
        f"the last change before that{when}: {found.last or 'none'}",
        f"to be cut: {found.size - found.offset:,} of its {found.size:,} bytes",
    ]
    lines += [f"and {path}, which was written later: {path.stat().st_size:,} bytes" for path in found.later]
    return "\n".join([*lines, "all that was changed from there on is lost then"])


def _agreed() -> bool:
    print("cut it? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _try(settings: Settings, store: EmbeddedStore) -> None:
    """Raises :class:`StartError` when the store does not start, whatever could be cut."""
    store.start()
    while True:
        try:
            asyncio.run(check(replace(settings, redis_url=store.url)))
            return
        except StoreAway:
            try:
                store.must_run()
            except StartError:
                reason = aof.problem(store.last_line()) or store.last_line()
                raise StartError(f"the store does not start, and nothing more can be cut: {reason}") from None
        time.sleep(_LOOK)
