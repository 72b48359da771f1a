"""Commands that speak to a broker that runs, as any client may: ``worker``, ``submit``, ``tasks`` and ``status``."""

import argparse
from collections.abc import Callable
from typing import Any

from broker.cli.options import add_option, between

STATES = ("queue", "verifying", "assigned", "failed")

_ADMIN_HELP = (
    "The manager's account is that of --admin-file, a file of the form "
    '{"username": "ada", "password": "..."}; its session ends with the command.'
)

_ASK = "ask for access to this project; may be repeated"

Commands = Any  # argparse keeps the type of add_subparsers() to itself


def add(commands: Commands) -> None:
    """Each sets ``run``, which gives the exit code."""
    _add_worker(commands)
    _add_submit(commands)
    _add_tasks(commands)
    _add_status(commands)


def _add_worker(commands: Commands) -> None:
    worker = commands.add_parser("worker", help="make a worker, and ask for its access")
    create = worker.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser(
        "create",
        help="make a worker and its credentials file",
        description="Makes a worker and its credentials file, unless the file is there, and asks for access.",
    )
    create.add_argument("--alias", default="", metavar="NAME", help="what people call it")
    create.add_argument("--project", type=between(1), action="append", default=[], metavar="ID", help=_ASK)
    create.add_argument("--submit", action="store_true", help="ask for the right to submit there as well")
    add_option(create, "worker_file")
    _finish(create, "worker_create")


def _add_submit(commands: Commands) -> None:
    submit = commands.add_parser(
        "submit",
        help="submit tasks from a file",
        description="Submits a task for each line of a file: the line is the recipe, or, with --jsonl, an object with "
        "the fields of /task/submit. Empty lines are left out. Recipes that the project has already are counted as "
        "duplicates, and no error.",
        epilog="An interrupted run leaves FILE.offset; the same command goes on there, and removes it in the end.",
    )
    submit.add_argument("file", metavar="FILE", help="- is standard input")
    submit.add_argument("--project", type=between(1), required=True, metavar="ID", help="where the tasks go")
    submit.add_argument("--jsonl", action="store_true", help="lines are JSON objects")
    for name, low, high, what in (
        ("priority", -(2**15), 2**15 - 1, "higher goes first"),
        ("max-retries", 0, 2**15 - 1, "fails before a task is failed"),
        ("max-assign-time", 0, 2**31 - 1, "seconds that a worker has; 0 is the server's default"),
        ("verification-count", 0, 2**15 - 1, "workers that must agree"),
    ):
        usual = int(name == "verification-count")
        submit.add_argument(f"--{name}", type=between(low, high), default=usual, metavar="N", help=what)
    submit.add_argument(
        "--allow-duplicates", action="store_true", help="submit recipes that the project has already once more"
    )
    add_option(submit, "worker_file")
    _finish(submit, "submit")


def _add_tasks(commands: Commands) -> None:
    tasks = commands.add_parser(
        "tasks", help="list tasks of a project", description="Lists tasks of a project. " + _ADMIN_HELP
    )
    tasks.add_argument("project", type=between(1), metavar="ID", help="of the project: broker status shows it")
    tasks.add_argument("--state", choices=STATES, default="queue", help="default: queue")
    tasks.add_argument("--limit", type=between(0), default=50, metavar="N", help="the first N (default: 50; 0: all)")
    add_option(tasks, "admin_file")
    _finish(tasks, "tasks")


def _add_status(commands: Commands) -> None:
    status = commands.add_parser(
        "status",
        help="show all projects",
        description="Shows how many tasks each project has, in which state. Hidden projects are shown to managers "
        "who may see them. " + _ADMIN_HELP,
    )
    add_option(status, "admin_file")
    _finish(status, "status")


def _finish(parser: argparse.ArgumentParser, name: str) -> None:
    add_option(parser, "url")
    parser.add_argument("--json", action="store_true", help="for programs: a JSON object a line")
    parser.set_defaults(run=_runner(name), parser=parser)


def _runner(name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        from broker.cli.perform import perform  # noqa: PLC0415 - httpx takes longer to load than the server's start

        return perform(name, arguments)

    return run
