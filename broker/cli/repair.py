"""``broker repair``: cuts what cannot be read off the embedded store's append-only files, after asking."""

import asyncio
import re
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
    if done := aof.trim(folder):
        print(done)
    found, cut = aof.damage(folder), False
    while found or (found := _refused(settings, store, folder)):
        print(_told(found))
        if not yes and not _agreed():
            print("nothing was changed")
            return 1
        copy = aof.cut(folder, found)
        print(
            f"cut. {copy} has all files as they were: to go back, stop the broker and put it in the place of {folder}"
        )
        found, cut = None, True
    print("the store starts" if cut else f"nothing in {folder} has to be cut: the store starts")
    return 0


def _refused(settings: Settings, store: EmbeddedStore, folder: Path) -> Damage | None:
    """What keeps the store from starting, though all commands can be read: None when it starts.

    Raises :class:`StartError` when that is nothing that can be cut.
    """
    reason = _tried(settings, store)
    if not reason:
        return None
    # In a name, a byte can be damaged so that it could be another one's.
    unknown = re.search(r"(?i)unknown command '([A-Z]+)'", reason)
    found = aof.damage(folder, unknown[1].upper().encode()) if unknown else None
    if found is None:
        reason = aof.problem(reason) or reason
        raise StartError(f"the store does not start, and nothing more can be cut: {reason}")
    return found


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


def _tried(settings: Settings, store: EmbeddedStore) -> str:
    """Why the store does not start; empty when it does."""
    store.start()
    while True:
        try:
            asyncio.run(check(replace(settings, redis_url=store.url)))
            return ""
        except StoreAway:
            try:
                store.must_run()
            except StartError:
                return store.last_line()
        time.sleep(_LOOK)
