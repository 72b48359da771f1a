"""Accounts from the operator's shell."""

import asyncio
import getpass
import sys

from broker.api.bodies import new_password, new_username
from broker.cli.offline_store import opened, reachable
from broker.errors import StartError
from broker.settings import Settings


def create_admin(settings: Settings, username: str) -> str:
    """Makes the account, or promotes it: what was done. Raises :class:`StartError`, or ``invalid``."""
    with reachable(settings) as found:
        return asyncio.run(_create_admin(found, username))


async def _create_admin(settings: Settings, username: str) -> str:
    async with opened(settings) as store:
        # Older accounts may have names that new ones may not.
        manager = await store.managers.find(username) if username.isprintable() else None
        if manager is None:
            new_username(username)
            manager = (await store.managers.register(username, _password(), open_to_all=True)).id
            await store.managers.set_admin(None, manager, True)
            return f"{username} has an account now, and is admin"
        await store.managers.set_admin(None, manager, True)
        return f"{username} is admin now"


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
