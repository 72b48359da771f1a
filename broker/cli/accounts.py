"""Who a command speaks for: a worker, or a manager. ``broker worker create``."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from broker.cli.output import say, system_said
from broker.client import Client, ClientError, Credentials, Refused, Unreachable


class _Account(msgspec.Struct):
    username: str
    password: str


@contextmanager
def about(arguments: argparse.Namespace, option: str) -> Iterator[None]:
    """What is wrong with the value of an option is said with where it came from: its flag, or its variable."""
    try:
        yield
    except (Refused, Unreachable):
        raise
    except OSError as error:
        raise ClientError(f"{arguments.sources[option]}: {system_said(error)}") from error
    except (ClientError, ValueError) as error:
        raise ClientError(f"{arguments.sources[option]}: {error}") from error


def as_worker(client: Client, arguments: argparse.Namespace) -> None:
    """Raises :class:`ClientError` when there is no credentials file."""
    with about(arguments, "worker_file"):
        client.worker = Credentials.load(arguments.worker_file)
        if client.worker is None:
            raise ClientError(f"there is no {arguments.worker_file}: broker worker create makes it")


@contextmanager
def as_manager(client: Client, arguments: argparse.Namespace, *, required: bool) -> Iterator[None]:
    """Signed in for the length of the block; without an account, as anybody."""
    if arguments.admin_file is None:
        if required:
            raise ClientError(
                "only managers may do this: name the file of an account with --admin-file or TASK_BROKER_ADMIN_FILE"
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
        return msgspec.json.decode(Path(file).read_bytes(), type=_Account)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ClientError(f'{file} is not {{"username": ..., "password": ...}}: {error}') from None


def worker_create(client: Client, arguments: argparse.Namespace) -> None:
    with about(arguments, "worker_file"):
        worker = client.identify(arguments.worker_file, alias=arguments.alias)
        stored = client.worker_info(worker.id)
        if stored.alias != worker.alias:
            # A manager or another program has renamed it.
            worker = worker.rename(arguments.worker_file, stored.alias)
    asked = [project for project in arguments.project if client.request_access(project, submit=arguments.submit)]
    before = [project for project in arguments.project if project not in asked]
    if arguments.json:
        say({"id": worker.id, "alias": worker.alias, "file": arguments.worker_file, "asked": asked})
        return
    print(f"worker {worker.id} ({worker.alias}): {arguments.worker_file}")
    for project in asked:
        print(f"access to project {project} is asked for: {client.url}/ui/projects/{project}/access")
    for project in before:
        where = f"{client.url}/ui/projects/{project}/access"
        print(f"project {project}: this worker has asked or has access. To ask for more, take that away: {where}")
