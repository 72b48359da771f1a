"""``broker status``: how many tasks the projects have in each state."""

import argparse

from broker.cli.client import ADMIN_HELP, add_client_options, as_manager, connected
from broker.cli.output import one_line, print_json, table
from broker.client import Client, Refused
from broker.client.types import Project, Stats


def add_status(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_status)
    parser.description = (
        "Shows how many tasks each project has in each state. Hidden projects are shown to managers who may see "
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
