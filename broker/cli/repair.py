"""``broker repair``: cuts what cannot be read off the embedded store's append-only files, after asking."""

import argparse
import asyncio
import re
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from broker.cli.options import add_settings, read_settings
from broker.errors import StartError
from broker.settings import Settings
from broker.store.check import StoreAway, check
from broker.store.redis import aof
from broker.store.redis.aof import Damage
from broker.store.redis.embedded import EmbeddedStore

_POLL = 0.1
"""Seconds between checks whether the store has loaded its data."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Looks for damage in the append-only files of the embedded store, whose broker must not be running. Shows "
        "what would be lost, asks, and cuts it. A copy of the original files stays beside them."
    )
    add_settings(parser, "data_dir")
    parser.add_argument("--yes", action="store_true", help="cut without asking")


def run(arguments: argparse.Namespace) -> int:
    """1 when the answer was no."""
    settings = read_settings(arguments)
    if settings.redis_url:
        raise StartError("broker repair is for the embedded store; a server of your own has redis-check-aof")
    folder = Path(settings.data_dir) / aof.FOLDER
    if not folder.is_dir():
        raise StartError(f"there are no data in {settings.data_dir}", setting="data_dir")
    store = EmbeddedStore(settings)
    store.reserve()
    try:
        return _repair(settings, store, folder, yes=arguments.yes)
    finally:
        store.stop()


def _repair(settings: Settings, store: EmbeddedStore, folder: Path, *, yes: bool) -> int:
    if done := aof.trim(folder):
        print(done)
    found, cut = aof.damage(folder), False
    while found or (found := _refused(settings, store, folder)):
        print(_description(found))
        if not yes and not _confirmed():
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
    """The damage that keeps the store from starting although all commands can be read. None when it starts.

    Raises :class:`StartError` when the store does not start and nothing can be cut.
    """
    reason = _start_error(settings, store)
    if not reason:
        return None
    # A damaged byte may have changed the name of a command into another name.
    unknown = re.search(r"(?i)unknown command '([A-Z]+)'", reason)
    found = aof.damage(folder, unknown[1].upper().encode()) if unknown else None
    if found is None:
        reason = aof.problem(reason) or reason
        raise StartError(f"the store does not start, and nothing more can be cut: {reason}")
    return found


def _description(found: Damage) -> str:
    when = f", at {datetime.fromtimestamp(found.time, UTC):%Y-%m-%d %H:%M:%S} UTC" if found.time else ""
    lines = [
        f"{found.path} cannot be read from byte {found.offset:,} on: {found.problem}",
        f"the last change before that{when}: {found.last or 'none'}",
        f"to be cut: {found.size - found.offset:,} of its {found.size:,} bytes",
    ]
    lines += [f"and {path}, which was written later: {path.stat().st_size:,} bytes" for path in found.later]
    return "\n".join([*lines, "all that was changed from there on is lost then"])


def _confirmed() -> bool:
    print("cut it? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _start_error(settings: Settings, store: EmbeddedStore) -> str:
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
        time.sleep(_POLL)
