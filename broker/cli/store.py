"""``broker redis-cli`` and ``broker repair``, and what the commands share that use the store directly."""

import argparse
import asyncio
import os
import re
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from redis import RedisError, Sentinel
from redis.asyncio.connection import SSLConnection, parse_url
from redis.backoff import NoBackoff
from redis.retry import Retry

from broker import redis_url
from broker.cli import STORE, add_settings, read_settings
from broker.errors import StartError, Unavailable
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.check import StoreAway, check
from broker.store.redis import aof, watched
from broker.store.redis.aof import Damage
from broker.store.redis.connection import message
from broker.store.redis.embedded import EmbeddedStore

T = TypeVar("T")

CONTINUES = "run it again: it continues where it stopped"

_ATTEMPTS = 50
"""0.1 s apart, for a store that has just been started."""

_TLS = {"ssl_ca_certs": "--cacert", "ssl_certfile": "--cert", "ssl_keyfile": "--key"}

_POLL = 0.1
"""Seconds between checks whether the store has loaded its data."""


def run_on_store(
    settings: Settings, work: Callable[[Store, Settings], Awaitable[T]], advice: str = "run it again"
) -> T:
    """Returns what ``work`` returns. ``advice``: what to do if the store stops answering in the middle."""
    with located(settings) as found:
        return asyncio.run(_run(found, work, advice))


@contextmanager
def located(settings: Settings) -> Iterator[Settings]:
    """The settings with the URL of the store. An embedded one that is not running is started for the block."""
    if settings.redis_url:
        yield settings
        return
    embedded = EmbeddedStore(settings)
    found = replace(settings, redis_url=embedded.url)
    if embedded.answers():
        yield found
        return
    embedded.start()
    try:
        yield found
    finally:
        embedded.stop()


async def _run(settings: Settings, work: Callable[[Store, Settings], Awaitable[T]], advice: str) -> T:
    await must_answer(settings)
    store = open_store(settings)
    try:
        return await work(store, settings)
    except Unavailable as error:
        raise StartError(f"{error.message}; {advice}") from error
    finally:
        await store.close()


async def must_answer(settings: Settings) -> None:
    for _ in range(_ATTEMPTS):
        try:
            await check(settings)
            return
        except StoreAway as error:
            away = error
            await asyncio.sleep(0.1)
    raise StartError(f"the store does not answer: {away}", setting="redis_url")


def add_redis_cli(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_redis_cli)
    parser.description = "Runs redis-cli or valkey-cli on the store of the broker. All other arguments are passed on."
    parser.epilog = "for example: broker redis-cli ZRANGE 'broker:{project:1}:queue' 0 9 WITHSCORES"
    add_settings(parser, *STORE)
    parser.set_defaults(takes_rest=True)


def _redis_cli(arguments: argparse.Namespace) -> NoReturn:
    """Replaces this process by redis-cli or valkey-cli."""
    settings = read_settings(arguments)
    embedded = EmbeddedStore(settings)
    if not settings.redis_url and not embedded.answers():
        raise StartError(f"no broker runs on {settings.data_dir}", setting="data_dir")
    program = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if program is None:
        raise StartError("neither redis-cli nor valkey-cli is on PATH; Debian has them in redis-tools and valkey-tools")
    server, secret = _server(settings.redis_url or embedded.url)
    environment = {**os.environ, "REDISCLI_AUTH": secret} if secret else os.environ
    os.execve(program, [program, *server, *arguments.rest], environment)  # noqa: S606 - a program on the operator's own PATH


def _server(text: str) -> tuple[list[str], str]:
    """The options of redis-cli for the server, and its password, which ``ps`` must not show."""
    url = redis_url.parse(text)
    server: dict[str, Any] = dict(
        parse_url(url.of(_primary(url) if url.kind == "sentinel" else "".join(url.nodes[:1])))
    )
    if path := server.get("path"):
        options = ["-s", path]
    else:
        options = ["-h", str(server.get("host", "localhost")), "-p", str(server.get("port", 6379))]
    if url.kind == "cluster":
        options.append("-c")
    if server.get("db"):
        options += ["-n", str(server["db"])]
    if server.get("username"):
        options += ["--user", str(server["username"])]
    if server.get("connection_class") is SSLConnection:
        options.append("--tls")
        if server.get("ssl_cert_reqs") == "none":
            options.append("--insecure")
        options += [word for name, flag in _TLS.items() if name in server for word in (flag, str(server[name]))]
    return options, str(server.get("password", ""))


def _primary(url: redis_url.RedisUrl) -> str:
    sentinels, theirs, _ = watched(url)
    options = {"socket_timeout": 5, "retry": Retry(NoBackoff(), 0), **theirs}
    try:
        watching = Sentinel(sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        host, port = watching.discover_master(url.service)  # type: ignore[no-untyped-call]
    except RedisError as error:
        raise StartError(message(error), setting="redis_url") from None
    return redis_url.joined(str(host), port)


def add_repair(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_repair)
    parser.description = (
        "Looks for damage in the append-only files of the embedded store, whose broker must not be running. Shows "
        "what would be lost, asks, and cuts it. A copy of the original files stays beside them."
    )
    add_settings(parser, "data_dir")
    parser.add_argument("--yes", action="store_true", help="cut without asking")


def _repair(arguments: argparse.Namespace) -> int:
    """Returns 1 if the answer was no."""
    settings = read_settings(arguments)
    if settings.redis_url:
        raise StartError("broker repair is for the embedded store; a server of your own has redis-check-aof")
    folder = Path(settings.data_dir) / aof.FOLDER
    if not folder.is_dir():
        raise StartError(f"there is no data in {settings.data_dir}", setting="data_dir")
    store = EmbeddedStore(settings)
    store.reserve()
    try:
        return _cut(settings, store, folder, yes=arguments.yes)
    finally:
        store.stop()


def _cut(settings: Settings, store: EmbeddedStore, folder: Path, *, yes: bool) -> int:
    if done := aof.trim(folder):
        print(done)
    found, cut = aof.damage(folder), False
    while found or (found := _refused(settings, store, folder)):
        print(_description(found))
        if not yes and not _confirmed():
            print("nothing was changed")
            return 1
        copy = aof.cut(folder, found)
        print(f"cut. {copy} has the original files: to restore them, stop the broker and replace {folder} by it")
        found, cut = None, True
    print("the store starts" if cut else f"nothing in {folder} has to be cut: the store starts")
    return 0


def _refused(settings: Settings, store: EmbeddedStore, folder: Path) -> Damage | None:
    """The damage that keeps the store from starting although all commands can be read. None when it starts.

    Raises :class:`StartError` when the store does not start and nothing can be cut.
    """
    reason = start_error(settings, store)
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
    return "\n".join([*lines, "all changes after that will be lost"])


def _confirmed() -> bool:
    print("cut it? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def start_error(settings: Settings, store: EmbeddedStore) -> str:
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
