"""``broker status`` and ``broker tasks``."""

import argparse
import shutil

from broker.client import Client, Refused
from broker.client.types import Project, Stats, TaskRow
from broker.commands.access import as_manager
from broker.commands.output import moment, one_line, say, table

_PAGE = 500
_BEFORE_RECIPE, _MOMENT = 43, 19
"""Columns of the table of tasks that come before the recipe, about, and those of each moment there."""


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
    with as_manager(client, arguments, required=True):
        while not arguments.limit or len(rows) < arguments.limit:
            limit = min(_PAGE, arguments.limit - len(rows)) if arguments.limit else _PAGE
            page = client.project_tasks(
                arguments.project, arguments.state, offset=len(rows), limit=limit, full=arguments.json
            )
            total = page.total
            rows += page.tasks
            if not page.tasks or len(rows) >= total:
                break
    if arguments.json:
        for row in rows:
            say(row)
        return
    if rows:
        moments = 2 if _WHEN[arguments.state] else 1
        columns = max(20, shutil.get_terminal_size().columns - _BEFORE_RECIPE - moments * _MOMENT)
        head = ("id", "priority", "retries", "worker", "created", _WHEN[arguments.state], "recipe")
        print(table(head, [_task_row(row, columns) for row in rows]))
    print(f"{len(rows):,} of {total:,} tasks, {arguments.state}")


_WHEN = {"queue": "", "verifying": "", "assigned": "deadline", "failed": "failed"}


def _task_row(row: TaskRow, columns: int) -> tuple[int | str, ...]:
    worker = "" if row.assignee is None else str(row.assignee)
    when = moment(row.deadline if row.state == "assigned" else row.fail_time)
    recipe = one_line(row.recipe, columns)
    return (str(row.id), row.priority, row.retries, worker, moment(row.created), when, recipe)
