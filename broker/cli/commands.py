"""Commands that speak to a broker that runs, as any client may: ``worker``, ``submit``, ``tasks`` and ``status``."""

import argparse
import os
from collections.abc import Callable, Mapping
from typing import Any

URL = "TASK_BROKER_URL"
WORKER_FILE = "TASK_BROKER_WORKER_FILE"
ADMIN_FILE = "TASK_BROKER_ADMIN_FILE"

STATES = ("queue", "verifying", "assigned", "failed")

_ADMIN_HELP = (
    "The manager's account is that of --admin-file, a file of the form "
    '{"username": "ada", "password": "..."}; its session ends with the command.'
)

_ASK = "ask for access to this project; may be repeated"

Commands = Any  # argparse keeps the type of add_subparsers() to itself


def add(commands: Commands, environment: Mapping[str, str] = os.environ) -> None:
    """Each sets ``run``, which gives the exit code."""
    _add_worker(commands, environment)
    _add_submit(commands, environment)
    _add_tasks(commands, environment)
    _add_status(commands, environment)


def _add_worker(commands: Commands, environment: Mapping[str, str]) -> None:
    worker = commands.add_parser("worker", help="make a worker, and ask for its access")
    create = worker.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser(
        "create",
        help="make a worker and its credentials file",
        description="Makes a worker and its credentials file, unless the file is there, and asks for access.",
    )
    create.add_argument("--alias", default="", metavar="NAME", help="what people call it")
    create.add_argument("--project", type=int, action="append", default=[], metavar="ID", help=_ASK)
    create.add_argument("--submit", action="store_true", help="ask for the right to submit there as well")
    _add_worker_file(create, environment)
    _finish(create, environment, "worker_create")


def _add_submit(commands: Commands, environment: Mapping[str, str]) -> None:
    submit = commands.add_parser(
        "submit",
        help="submit tasks from a file",
        description="Submits a task for each line of a file: the line is the recipe, or, with --jsonl, an object with "
        "the fields of /task/submit. Empty lines are left out. Recipes that the project has already are counted as "
        "duplicates, and no error.",
        epilog="An interrupted run leaves FILE.offset; the same command goes on there, and removes it in the end.",
    )
    submit.add_argument("file", metavar="FILE", help="- is standard input")
    submit.add_argument("--project", type=int, required=True, metavar="ID", help="where the tasks go")
    submit.add_argument("--jsonl", action="store_true", help="lines are JSON objects")
    for name, what in (
        ("priority", "higher goes first"),
        ("max-retries", "fails before a task is failed"),
        ("max-assign-time", "seconds that a worker has; 0 is the server's default"),
        ("verification-count", "workers that must agree"),
    ):
        submit.add_argument(f"--{name}", type=int, default=int(name == "verification-count"), metavar="N", help=what)
    submit.add_argument(
        "--allow-duplicates", action="store_true", help="submit recipes that the project has already once more"
    )
    _add_worker_file(submit, environment)
    _finish(submit, environment, "submit")


def _add_tasks(commands: Commands, environment: Mapping[str, str]) -> None:
    tasks = commands.add_parser(
        "tasks", help="list tasks of a project", description="Lists tasks of a project. " + _ADMIN_HELP
    )
    tasks.add_argument("project", type=int, metavar="ID", help="of the project: broker status shows it")
    tasks.add_argument("--state", choices=STATES, default="queue", help="default: queue")
    tasks.add_argument("--limit", type=_count, default=50, metavar="N", help="the first N (default: 50; 0: all)")
    _add_admin_file(tasks, environment)
    _finish(tasks, environment, "tasks")


def _add_status(commands: Commands, environment: Mapping[str, str]) -> None:
    status = commands.add_parser(
        "status",
        help="show all projects",
        description="Shows how many tasks each project has, in which state. Hidden projects are shown to managers "
        "who may see them. " + _ADMIN_HELP,
    )
    _add_admin_file(status, environment)
    _finish(status, environment, "status")


def _count(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError("must be at least 0")
    return number


def _add_worker_file(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    file = environment.get(WORKER_FILE) or "worker.json"
    parser.add_argument(
        "--worker-file",
        default=file,
        metavar="FILE",
        help=f"the worker's credentials; or ${WORKER_FILE} (default: worker.json)",
    )


def _add_admin_file(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    parser.add_argument(
        "--admin-file",
        default=environment.get(ADMIN_FILE) or None,
        metavar="FILE",
        help=f"a manager's account; or ${ADMIN_FILE}",
    )


def _finish(parser: argparse.ArgumentParser, environment: Mapping[str, str], name: str) -> None:
    url = environment.get(URL) or "http://127.0.0.1:3010"
    parser.add_argument("--url", default=url, help=f"the broker; or ${URL} (default: http://127.0.0.1:3010)")
    parser.add_argument("--json", action="store_true", help="for programs: a JSON object a line")
    parser.set_defaults(run=_runner(name))


def _runner(name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        from broker.cli.perform import perform  # noqa: PLC0415 - httpx takes longer to load than the server's start

        return perform(name, arguments)

    return run
