"""``broker status`` and ``broker tasks``."""

import argparse
import shutil
import sys
from collections.abc import Sequence

from broker.cli.accounts import as_manager
from broker.cli.output import moment, one_line, say, table
from broker.client import Client, Refused
from broker.client.types import Project, Stats, TaskRow

_PAGE = 500
_RECIPE = 40
"""Characters of a recipe that a narrow terminal shows at least, in a second line if need be."""


def status(client: Client, arguments: argparse.Namespace) -> None:
    with as_manager(client, arguments, required=False):
        found = [(project, stats) for project in client.projects() if (stats := _stats(client, project.id))]
    if arguments.json:
        for project, stats in found:
            say({"id": project.id, "name": project.name, "paused": project.paused, "stats": stats})
    elif found:
        head = ("id", "project", "waiting", "verifying", "assigned", "failed", "closed", "")
        print(table(head, [_status_row(project, stats) for project, stats in found]))
    else:
        print("no projects")


def _stats(client: Client, project: int) -> Stats | None:
    """None when it was deleted a moment ago."""
    try:
        return client.project_stats(project)
    except Refused as refused:
        if refused.code != "not_found":
            raise
        return None


def _status_row(project: Project, stats: Stats) -> tuple[int | str, ...]:
    counts = (stats.waiting, stats.verifying, stats.assigned, stats.failed, stats.counters.closed)
    return (str(project.id), one_line(project.name, 40), *counts, "paused" if project.paused else "")


def tasks(client: Client, arguments: argparse.Namespace) -> None:
    total = 0
    rows: list[TaskRow] = []
    whole = arguments.json or not sys.stdout.isatty()
    with as_manager(client, arguments, required=True):
        while not arguments.limit or len(rows) < arguments.limit:
            limit = min(_PAGE, arguments.limit - len(rows)) if arguments.limit else _PAGE
            page = client.project_tasks(arguments.project, arguments.state, offset=len(rows), limit=limit, full=whole)
            total = page.total
            rows += page.tasks
            if not page.tasks or len(rows) >= total:
                break
    if arguments.json:
        for row in rows:
            say(row)
        return
    if rows:
        print(_task_table(rows, arguments.state))
    print(f"{len(rows):,} of {total:,} tasks, {arguments.state}")


def _task_table(rows: Sequence[TaskRow], state: str) -> str:
    """With the columns that tasks in this state have. A terminal may cut recipes; a pipe or a file gets all of them."""
    head = ["id", "priority", "retries", "created", *_ALSO.get(state, ())]
    cells = [_task_row(row, state) for row in rows]
    before = max(map(len, table(head, cells).splitlines())) + 2
    width = max(_RECIPE, shutil.get_terminal_size().columns - before) if sys.stdout.isatty() else sys.maxsize
    recipes = [one_line(row.recipe, width) for row in rows]
    return table([*head, "recipe"], [[*cell, recipe] for cell, recipe in zip(cells, recipes, strict=True)])


_ALSO = {"assigned": ("worker", "deadline"), "failed": ("failed",)}


def _task_row(row: TaskRow, state: str) -> list[int | str]:
    cells: list[int | str] = [str(row.id), row.priority, row.retries, moment(row.created)]
    if state == "assigned":
        cells += [str(row.assignee), moment(row.deadline)]
    if state == "failed":
        cells += [moment(row.fail_time)]
    return cells
