"""``broker export``: a project's live tasks as JSON lines, while the fleet works on them."""

import argparse
import sys

from broker.cli.progress import Progress
from broker.settings import Settings
from broker.store import Store
from broker.transfer.lines import encoded


async def run(store: Store, _settings: Settings, arguments: argparse.Namespace) -> None:
    """Walks all entries up to the last that there was when it began."""
    progress = Progress(sys.stderr)
    count, entry, last = 0, 1, None
    while last is None or entry <= last:
        walked = await store.imports.walk(arguments.project, entry)
        last, entry = walked.last if last is None else last, walked.next
        sys.stdout.buffer.write(b"".join(encoded(state, row) for state, row in walked.tasks))
        count += len(walked.tasks)
        progress.show(f"{count:,} tasks, {100 * entry // max(entry, last)} %")
    progress.say(f"exported {count:,} tasks of project {arguments.project}")
