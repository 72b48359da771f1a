"""``broker tasks`` and ``broker why``: the tasks of a project, and why a worker gets none."""

import argparse
import shutil
import sys
from collections.abc import Sequence

from broker.cli import whole_number
from broker.cli.client import ADMIN_HELP, add_client_options, add_commands, as_manager, connected
from broker.cli.output import local_time, one_line, print_json, table
from broker.client import Client
from broker.client.types import TaskRow

_STATES = ("waiting", "verifying", "delayed", "assigned", "failed")
_REMOVABLE = ("waiting", "verifying", "delayed", "failed")
_PAGE = 500
_RECIPE = 40
"""Characters of a recipe that a narrow terminal shows at least, on a second line if necessary."""
_MESSAGE = 40
"""Characters of an error that are shown."""

_MORE_COLUMNS = {"delayed": ("not before",), "assigned": ("worker", "deadline"), "failed": ("failed", "why")}


def add(parser: argparse.ArgumentParser) -> None:
    commands = add_commands(parser)
    listing = commands("list", _list_tasks, "list tasks of a project")
    _add_project(listing)
    listing.add_argument("--state", choices=_STATES, default="waiting", help="default: waiting")
    listing.add_argument(
        "--limit", type=whole_number(0), default=50, metavar="N", help="the first N (default: 50; 0: all)"
    )
    retry = commands("retry", _retry, "retry the failed tasks that match; without an option, all of them")
    remove = commands("remove", _remove, "delete tasks of a state that match")
    remove.add_argument("--state", choices=_REMOVABLE, required=True, help="the state of the tasks")
    for command in (retry, remove):
        _add_project(command)
        command.add_argument("--contains", metavar="TEXT", help="tasks with this text in the recipe or the last error")
        command.add_argument("--group", metavar="NAME", help="tasks of this group")
        command.add_argument(
            "--worker", type=whole_number(1), metavar="ID", help="tasks that this worker was the last to fail"
        )
    for command in (listing, retry, remove):
        add_client_options(command, "admin_file")


def _add_project(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("project", type=whole_number(1), metavar="ID", help="the project's id: broker status shows it")


def _retry(arguments: argparse.Namespace) -> int:
    return _change(arguments, "retry_tasks", {}, "retried")


def _remove(arguments: argparse.Namespace) -> int:
    return _change(arguments, "remove_tasks", {"state": arguments.state}, "removed")


def _change(arguments: argparse.Namespace, call: str, body: dict[str, object], done: str) -> int:
    body |= {"contains": arguments.contains, "group": arguments.group, "worker": arguments.worker}
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        content = client.call("POST", f"/project/{call}/{arguments.project}", body)
    if arguments.json:
        print_json(content)
        return 0
    more = " so far; the broker continues" if content["pending"] else ""
    print(f"{content['affected_tasks']:,} {done}{more}")
    return 0


def add_why(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_why)
    parser.description = f"Explains why a worker gets no task of a project now. {ADMIN_HELP}"
    parser.add_argument("--worker", type=whole_number(1), required=True, metavar="ID", help="the worker")
    parser.add_argument("--project", type=whole_number(1), required=True, metavar="ID", help="the project")
    add_client_options(parser, "admin_file")


def _why(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        content = client.call("GET", f"/project/why/{arguments.project}?worker={arguments.worker}", safe=True)
    for reason in content["reasons"]:
        if arguments.json:
            print_json(reason)
            continue
        notes = [f"{reason['count']:,}"] if reason["count"] else []
        notes += [f"until {local_time(reason['until'])}"] if reason["until"] else []
        print(reason["message"] + (f" ({', '.join(notes)})" if notes else ""))
    return 0


def _list_tasks(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        rows, total = _pages(client, arguments)
    if arguments.json:
        for row in rows:
            print_json(row)
        return 0
    if rows:
        print(_task_table(rows, arguments.state))
    print(f"{len(rows):,} of {total:,} tasks, {arguments.state}")
    return 0


def _pages(client: Client, arguments: argparse.Namespace) -> tuple[list[TaskRow], int]:
    """The tasks up to the limit, and how many there are in all."""
    rows: list[TaskRow] = []
    total = 0
    whole = arguments.json or not sys.stdout.isatty()
    while not arguments.limit or len(rows) < arguments.limit:
        limit = min(_PAGE, arguments.limit - len(rows)) if arguments.limit else _PAGE
        page = client.project_tasks(arguments.project, arguments.state, offset=len(rows), limit=limit, full=whole)
        total = page.total
        rows += page.tasks
        if not page.tasks or len(rows) >= total:
            break
    return rows, total


def _task_table(rows: Sequence[TaskRow], state: str) -> str:
    """A terminal may cut recipes; a pipe or a file gets all of them."""
    head = ["id", "priority", "retries", "created", *_MORE_COLUMNS.get(state, ())]
    cells = [_cells(row, state) for row in rows]
    before = max(map(len, table(head, cells).splitlines())) + 2
    width = max(_RECIPE, shutil.get_terminal_size().columns - before) if sys.stdout.isatty() else sys.maxsize
    recipes = [one_line(row.recipe, width) for row in rows]
    return table([*head, "recipe"], [[*cell, recipe] for cell, recipe in zip(cells, recipes, strict=True)])


def _cells(row: TaskRow, state: str) -> list[int | str]:
    cells: list[int | str] = [str(row.id), row.priority, row.retries, local_time(row.created)]
    if state == "assigned":
        cells += [str(row.assignee), local_time(row.deadline)]
    if state == "delayed":
        cells += [local_time(row.not_before)]
    if state == "failed":
        cells += [local_time(row.fail_time), one_line(row.error.message if row.error else "", _MESSAGE)]
    return cells
