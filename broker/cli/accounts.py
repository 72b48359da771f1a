"""``broker create-admin`` and ``broker worker create``: accounts of people, and credentials of programs."""

import argparse
import getpass
import sys

from broker.api.bodies import new_password, new_username
from broker.cli import STORE, add_settings, read_settings, whole_number
from broker.cli.client import about, add_client_options, connected
from broker.cli.output import print_json
from broker.cli.store import run_on_store
from broker.errors import StartError
from broker.settings import Settings
from broker.store import Store


def add_admin(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_admin)
    parser.description = (
        "Creates a manager's account that is admin, or makes an existing account admin. The broker may be running. "
        "The password of a new account is asked for, or read from standard input when that is not a terminal."
    )
    add_settings(parser, *STORE)
    parser.add_argument("username", metavar="NAME", help="3 to 16 ASCII letters, digits, or any of _ . -")


def _admin(arguments: argparse.Namespace) -> int:
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


def add_worker(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_worker)
    create = parser.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser(
        "create",
        help="create a worker and its credentials file",
        description="Creates a worker and its credentials file, unless the file exists, and requests access.",
    )
    create.add_argument("--alias", default="", metavar="NAME", help="what people call the worker")
    create.add_argument(
        "--project",
        type=whole_number(1),
        action="append",
        default=[],
        metavar="ID",
        help="request access to this project; may be repeated",
    )
    create.add_argument("--submit", action="store_true", help="request the right to submit there as well")
    add_client_options(create, "worker_file")
    create.set_defaults(parser=create)


def _worker(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client:
        with about(arguments, "worker_file"):
            worker = client.identify(arguments.worker_file, alias=arguments.alias)
            stored = client.worker_info(worker.id)
            if stored.alias != worker.alias:
                # A manager or another program has renamed it.
                worker = worker.rename(arguments.worker_file, stored.alias)
        asked = [project for project in arguments.project if client.request_access(project, submit=arguments.submit)]
        pages = {project: f"{client.url}/ui/projects/{project}/access" for project in arguments.project}
    if arguments.json:
        print_json({"id": worker.id, "alias": worker.alias, "file": arguments.worker_file, "asked": asked})
        return 0
    print(f"worker {worker.id} ({worker.alias}): {arguments.worker_file}")
    for project in asked:
        print(f"access to project {project} is requested: {pages[project]}")
    for project in arguments.project:
        if project not in asked:
            print(
                f"project {project}: this worker has requested access or has it. To request more, remove that first: "
                f"{pages[project]}"
            )
    return 0
