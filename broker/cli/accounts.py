"""Who a command speaks for: a worker, or a manager. ``broker worker create``."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from broker.cli.output import say
from broker.client import Client, ClientError, Credentials


class _Account(msgspec.Struct):
    username: str
    password: str


def as_worker(client: Client, arguments: argparse.Namespace) -> None:
    """Raises :class:`ClientError` when there is no credentials file."""
    client.worker = Credentials.load(arguments.worker_file)
    if client.worker is None:
        raise ClientError(f"there is no {arguments.worker_file}: broker worker create makes it")


@contextmanager
def as_manager(client: Client, arguments: argparse.Namespace, *, required: bool) -> Iterator[None]:
    """Signed in for the length of the block; without an account, as anybody."""
    if arguments.admin_file is None:
        if required:
            raise ClientError("only managers may do this: name the file of an account with --admin-file")
        yield
        return
    try:
        account = msgspec.json.decode(Path(arguments.admin_file).read_bytes(), type=_Account)
    except msgspec.DecodeError as error:
        raise ClientError(f'{arguments.admin_file} is not {{"username": ..., "password": ...}}: {error}') from None
    client.login(account.username, account.password)
    try:
        yield
    finally:
        client.logout()


def worker_create(client: Client, arguments: argparse.Namespace) -> None:
    worker = client.identify(arguments.worker_file, alias=arguments.alias)
    asked = [project for project in arguments.project if client.request_access(project, submit=arguments.submit)]
    before = [project for project in arguments.project if project not in asked]
    if arguments.json:
        say({"id": worker.id, "alias": arguments.alias or worker.alias, "file": arguments.worker_file, "asked": asked})
        return
    print(f"worker {worker.id} ({arguments.alias or worker.alias}): {arguments.worker_file}")
    for project in asked:
        print(f"access to project {project} is asked for: {client.url}/ui/projects/{project}/access")
    for project in before:
        where = f"{client.url}/ui/projects/{project}/access"
        print(f"project {project}: this worker has asked or has access. To ask for more, take that away: {where}")
