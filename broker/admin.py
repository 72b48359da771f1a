"""Accounts from the operator's shell."""

import asyncio
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from broker.errors import StartError
from broker.schemas import new_password, new_username
from broker.settings import Settings
from broker.store import open_store
from broker.store.check import StoreAway, check
from broker.store.embedded import EmbeddedStore

_PATIENCE = 50
"""Looks, 0.1 s apart, for a store that was started a moment ago."""


def create_admin(settings: Settings, username: str) -> str:
    """Makes the account, or promotes it: what was done. Raises :class:`StartError`, or ``invalid``."""
    new_username(username)
    with _reachable(settings) as reachable:
        return asyncio.run(_create_admin(reachable, username))


@contextmanager
def _reachable(settings: Settings) -> Iterator[Settings]:
    """The store of a running broker, or the embedded one, started for as long as this takes."""
    if settings.redis_url:
        yield settings
        return
    embedded = EmbeddedStore(settings)
    reachable = replace(settings, redis_url=embedded.url)
    if embedded.answers():
        yield reachable
        return
    embedded.start()
    try:
        yield reachable
    finally:
        embedded.stop()


async def _create_admin(settings: Settings, username: str) -> str:
    await _checked(settings)
    store = open_store(settings)
    try:
        manager = await store.managers.find(username)
        if manager is None:
            manager = (await store.managers.register(username, _password(), open_to_all=True)).id
            await store.managers.set_admin(None, manager, True)
            return f"{username} has an account now, and is admin"
        await store.managers.set_admin(None, manager, True)
        return f"{username} is admin now"
    finally:
        await store.close()


async def _checked(settings: Settings) -> None:
    for _ in range(_PATIENCE):
        try:
            await check(settings)
            return
        except StoreAway as error:
            away = error
            await asyncio.sleep(0.1)
    raise StartError(f"the store does not answer: {away}")


def _password() -> str:
    if not sys.stdin.isatty():
        try:
            return new_password(sys.stdin.readline().rstrip("\n"))
        except UnicodeError:
            raise StartError("the password is not UTF-8") from None
    first = new_password(getpass.getpass("Password: "))
    if getpass.getpass("Again: ") != first:
        raise StartError("the two passwords differ")
    return first
