"""What the commands share that are clients of a running broker: options, connection and authentication."""

import argparse
import codecs
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import httpx
import msgspec

from broker.cli.output import span
from broker.client import Client, ClientError, Credentials, Refused, Unreachable
from broker.client.joining import JOIN_TOKEN
from broker.errors import StartError, system_message

ADMIN_HELP = (
    "Managers authenticate with a token in $TASK_BROKER_TOKEN (see broker token create), or with --admin-file, a file "
    "of "
    'the form {"username": "ada", "password": "..."}; the command then signs in and out.'
)

_TOKEN_FROM = "TASK_BROKER_TOKEN"  # noqa: S105 - a name
"""Only a variable: other users of the machine can see the options of a command."""


class _Option(NamedTuple):
    flag: str
    variable: str
    default: str | None
    help: str


_OPTIONS = {
    "url": _Option("--url", "TASK_BROKER_URL", "http://127.0.0.1:3010", "the broker"),
    "worker_file": _Option("--worker-file", "TASK_BROKER_WORKER_FILE", "worker.json", "the worker's credentials"),
    "admin_file": _Option("--admin-file", "TASK_BROKER_ADMIN_FILE", None, "a manager's account"),
    "join": _Option("--join", JOIN_TOKEN, None, "join tokens of projects, with spaces between them"),
}


class _Account(msgspec.Struct):
    username: str
    password: str


def add_client_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Adds the options of ``names``, ``--url`` and ``--json``."""
    for name in (*names, "url"):
        flag, variable, default, text = _OPTIONS[name]
        shown = f" (default: {default})" if default else ""
        metavar = {"url": "URL", "join": "TOKEN"}.get(name, "FILE")
        parser.add_argument(flag, metavar=metavar, help=f"{text}; or ${variable}{shown}")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object per line")


class AddCommand(Protocol):
    def __call__(self, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser: ...


def add_commands(parser: argparse.ArgumentParser) -> AddCommand:
    """A function that adds a command below the one of ``parser``, for managers."""
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sentence = f"{text[:1].upper()}{text[1:]}. {ADMIN_HELP}"
        command = below.add_parser(name, help=text, description=sentence)
        command.set_defaults(parser=command, run=run)
        return command

    return add


@contextmanager
def connected(arguments: argparse.Namespace) -> Iterator[Client]:
    """A client of the broker at ``--url``. Raises :class:`StartError` for errors in the block."""
    _fill(arguments)
    try:
        with _client(arguments) as client:
            yield client
    except Unreachable as error:
        advice = "" if error.sent else f": is a broker running there? {arguments.sources['url']} sets the URL"
        raise StartError(f"{error}{advice}") from error
    except (ClientError, ValueError, httpx.HTTPError) as error:
        raise StartError(str(error)) from error


def _client(arguments: argparse.Namespace) -> Client:
    try:
        # A person waits: a broker that does not answer is an error at once.
        client = Client(arguments.url, patience=0)
    except ValueError as error:
        raise ClientError(f"{arguments.sources['url']}: {error}") from None
    client.on_wait = lambda seconds: print(f"waiting {span(seconds)} for a rate limit of the broker", file=sys.stderr)
    return client


def _fill(arguments: argparse.Namespace) -> None:
    """An option that was not given gets the value of its variable, or its default. ``sources`` notes which it was."""
    arguments.sources = {}
    for name, option in _OPTIONS.items():
        if name not in arguments:
            continue
        given = getattr(arguments, name)
        from_environment = given is None and os.environ.get(option.variable)
        arguments.sources[name] = option.variable if from_environment else option.flag
        setattr(arguments, name, from_environment or (option.default if given is None else given))


@contextmanager
def about(arguments: argparse.Namespace, option: str) -> Iterator[None]:
    """Errors in the value of an option name its flag or its variable."""
    try:
        yield
    except (Refused, Unreachable):
        raise
    except OSError as error:
        raise ClientError(f"{arguments.sources[option]}: {system_message(error)}") from error
    except (ClientError, ValueError) as error:
        raise ClientError(f"{arguments.sources[option]}: {error}") from error


def as_worker(client: Client, arguments: argparse.Namespace) -> None:
    """Authenticates as the worker. Raises :class:`ClientError` if there is no credentials file."""
    with about(arguments, "worker_file"):
        client.worker = Credentials.load(arguments.worker_file)
        if client.worker is None:
            raise ClientError(f"there is no {arguments.worker_file}: create it with broker worker create")


@contextmanager
def as_manager(client: Client, arguments: argparse.Namespace, *, required: bool) -> Iterator[None]:
    """With a token, or signed in for the length of the block; without an account, anonymous."""
    token = os.environ.get(_TOKEN_FROM, "")
    if token and arguments.sources["admin_file"] == _OPTIONS["admin_file"].variable:
        arguments.admin_file = None
    if token and arguments.admin_file is None:
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise ClientError(f"{_TOKEN_FROM}: not a token")
        client.token = token
        yield
        return
    if arguments.admin_file is None:
        if required:
            raise ClientError(
                "only managers may do this: set TASK_BROKER_TOKEN, or name the file of an account with --admin-file or "
                "TASK_BROKER_ADMIN_FILE"
            )
        yield
        return
    with about(arguments, "admin_file"):
        account = _account(arguments.admin_file)
    client.login(account.username, account.password)
    try:
        yield
    finally:
        client.logout()


def _account(file: str) -> _Account:
    try:
        return msgspec.json.decode(Path(file).read_bytes().removeprefix(codecs.BOM_UTF8), type=_Account)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ClientError(f'{file} is not {{"username": ..., "password": ...}}: {error}') from None
