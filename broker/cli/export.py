"""``broker export``: a project's live tasks as JSON lines, while workers work on them."""

import argparse
import sys

from broker.cli.offline_store import run_on_store
from broker.cli.options import STORE, add_settings, read_settings, whole_number
from broker.cli.output import Progress
from broker.store import Store
from broker.transfer.lines import encoded


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes the live tasks of a project to standard output, one JSON object per line, while workers go on: each "
        "task that is live during the whole export appears exactly once."
    )
    parser.epilog = "for example: broker export --project 7 > tasks.jsonl"
    parser.add_argument("--project", type=whole_number(1), required=True, metavar="ID", help="whose tasks")
    add_settings(parser, *STORE)


def run(arguments: argparse.Namespace) -> int:
    run_on_store(read_settings(arguments), lambda store, _: export_tasks(store, arguments))
    return 0


async def export_tasks(store: Store, arguments: argparse.Namespace) -> None:
    """Reads all entries up to the one that was the last at the beginning."""
    progress = Progress(sys.stderr)
    count, entry, last = 0, 1, None
    while last is None or entry <= last:
        walked = await store.imports.walk(arguments.project, entry)
        last, entry = walked.last if last is None else last, walked.next
        sys.stdout.buffer.write(b"".join(encoded(state, row) for state, row in walked.tasks))
        count += len(walked.tasks)
        progress.show(f"{count:,} tasks, {100 * entry // max(entry, last)} %")
    progress.say(f"exported {count:,} tasks of project {arguments.project}")
