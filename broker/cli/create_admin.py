"""``broker create-admin``: creates an admin account from the operator's shell."""

import argparse
import getpass
import sys

from broker.api.values import new_password, new_username
from broker.cli import STORE, add_settings, read_settings
from broker.cli.store import run_on_store
from broker.errors import StartError
from broker.settings import Settings
from broker.store import Store


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run)
    parser.description = (
        "Creates an admin account, or makes an existing account admin. The broker may be running. "
        "The password of a new account is asked for, or read from standard input when that is not a terminal."
    )
    add_settings(parser, *STORE)
    parser.add_argument("username", metavar="NAME", help="3 to 16 ASCII letters, digits, or any of _ . -")


def _run(arguments: argparse.Namespace) -> int:
    username: str = arguments.username

    async def create_admin(store: Store, _settings: Settings) -> str:
        # Older accounts may have names that new ones may not.
        manager = await store.managers.find(username) if username.isprintable() else None
        if manager is None:
            new_username(username)
            manager = (await store.managers.register(username, _password(), open_to_all=True)).id
            await store.managers.set_admin(None, manager, True)
            return f"{username} has an account now, and is admin"
        await store.managers.set_admin(None, manager, True)
        return f"{username} is admin now"

    print(run_on_store(read_settings(arguments), create_admin))
    return 0


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
