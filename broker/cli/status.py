"""``broker status`` and ``broker tasks``: what the projects hold."""

import argparse
import shutil
import sys
from collections.abc import Sequence

from broker.cli import whole_number
from broker.cli.client import ADMIN_HELP, add_client_options, as_manager, connected
from broker.cli.output import local_time, one_line, print_json, table
from broker.client import Client, Refused
from broker.client.types import Project, Stats, TaskRow

_STATES = ("queue", "verifying", "delayed", "assigned", "failed")
_PAGE = 500
_RECIPE = 40
"""Characters of a recipe that a narrow terminal shows at least, on a second line if necessary."""
_MESSAGE = 40
"""Characters of why a task failed that are shown."""

_MORE_COLUMNS = {"delayed": ("not before",), "assigned": ("worker", "deadline"), "failed": ("failed", "why")}


def add_status(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_status)
    parser.description = (
        "Shows how many tasks each project has in which state. Hidden projects are shown to managers who may see "
        f"them. {ADMIN_HELP}"
    )
    add_client_options(parser, "admin_file")


def _status(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=False):
        found = [(project, stats) for project in client.projects() if (stats := _stats(client, project.id))]
    if arguments.json:
        for project, stats in found:
            print_json({"id": project.id, "name": project.name, "paused": project.paused, "stats": stats})
    elif found:
        head = ("id", "project", "waiting", "verifying", "delayed", "assigned", "failed", "closed", "")
        print(table(head, [_project_row(project, stats) for project, stats in found]))
    else:
        print("no projects")
    return 0


def _stats(client: Client, project: int) -> Stats | None:
    """None when the project was deleted a moment ago."""
    try:
        return client.project_stats(project)
    except Refused as refused:
        if refused.code != "not_found":
            raise
        return None


def _project_row(project: Project, stats: Stats) -> tuple[int | str, ...]:
    counts = (stats.waiting, stats.verifying, stats.delayed, stats.assigned, stats.failed, stats.counters.closed)
    return (str(project.id), one_line(project.name, 40), *counts, "paused" if project.paused else "")


def add_tasks(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_tasks)
    parser.description = f"Lists tasks of a project. {ADMIN_HELP}"
    parser.add_argument("project", type=whole_number(1), metavar="ID", help="of the project: broker status shows it")
    parser.add_argument("--state", choices=_STATES, default="queue", help="default: queue")
    parser.add_argument(
        "--limit", type=whole_number(0), default=50, metavar="N", help="the first N (default: 50; 0: all)"
    )
    add_client_options(parser, "admin_file")


def _tasks(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        rows, total = _list(client, arguments)
    if arguments.json:
        for row in rows:
            print_json(row)
        return 0
    if rows:
        print(_task_table(rows, arguments.state))
    print(f"{len(rows):,} of {total:,} tasks, {arguments.state}")
    return 0


def _list(client: Client, arguments: argparse.Namespace) -> tuple[list[TaskRow], int]:
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
