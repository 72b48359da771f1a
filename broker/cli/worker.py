"""``broker worker create``: creates a worker and its credentials file."""

import argparse

from broker.cli import whole_number
from broker.cli.client import about, add_client_options, connected
from broker.cli.output import print_json
from broker.client.joining import JoinTokens


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_create)
    create = parser.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser(
        "create",
        help="create a worker and its credentials file",
        description="Creates a worker and its credentials file, unless the file exists. It joins the projects of its "
        "join tokens, and requests access to others.",
    )
    create.add_argument("--alias", default="", metavar="NAME", help="the worker's name, for people")
    create.add_argument(
        "--project",
        type=whole_number(1),
        action="append",
        default=[],
        metavar="ID",
        help="request access to this project; may be repeated",
    )
    create.add_argument("--submit", action="store_true", help="request the right to submit there as well")
    add_client_options(create, "worker_file", "join")
    create.set_defaults(parser=create)


def _create(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client:
        with about(arguments, "worker_file"):
            worker = client.identify(arguments.worker_file, alias=arguments.alias)
            stored = client.worker_info(worker.id)
            if stored.alias != worker.alias:
                # A manager or another program has renamed it.
                worker = worker.rename(arguments.worker_file, stored.alias)
        with about(arguments, "join"):
            tokens = JoinTokens(arguments.join or "").of_project
        for project, token in tokens.items():
            client.join(project, token)
        access = {project: client.request_access(project, submit=arguments.submit) for project in arguments.project}
        pages = {project: f"{client.url}/ui/projects/{project}/access" for project in arguments.project}
    asked = [project for project, state in access.items() if state == "requested"]
    if arguments.json:
        print_json(
            {"id": worker.id, "alias": worker.alias, "file": arguments.worker_file, "asked": asked, "joined": [*tokens]}
        )
        return 0
    print(f"worker {worker.id} ({worker.alias}): {arguments.worker_file}")
    for project in tokens:
        print(f"joined project {project}")
    for project, state in access.items():
        if state != "granted":
            print(f"access to project {project} is {state}: {pages[project]}")
        elif project not in tokens:
            print(
                f"project {project}: this worker has access already. To request more, reject it first: {pages[project]}"
            )
    return 0
