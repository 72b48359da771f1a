"""Commands that carry tasks and all that belongs to them in and out: ``export``, ``import`` and ``import-tracker``.

They speak to the store, as the operator's shell reaches it, whether the broker runs or not.
"""

import argparse
from collections.abc import Callable, Sequence

from broker.cli.commands import Commands
from broker.cli.options import between
from broker.settings import Settings

AddFlags = Callable[[argparse.ArgumentParser, Sequence[str]], None]
Read = Callable[[argparse.Namespace], Settings]

_GOES_ON = "One that was interrupted goes on where it stopped when it is run again."


def add(commands: Commands, add_flags: AddFlags, read: Read) -> None:
    """``add_flags`` adds those of settings, ``read`` reads them. Each command sets ``run``: it gives the exit code."""
    export = commands.add_parser(
        "export",
        help="write a project's live tasks as JSON lines",
        description="Writes the live tasks of a project to standard output, a JSON object a line, while the fleet goes "
        "on: each task that is live for the whole export appears exactly once.",
        epilog="for example: broker export --project 7 > tasks.jsonl",
    )
    export.add_argument("--project", type=between(1), required=True, metavar="ID", help="whose tasks")
    _finish(export, add_flags, read, "export")

    restore = commands.add_parser(
        "import",
        help="submit the tasks of an export to a project",
        description="Submits the tasks of an export, with their retries and votes; failed ones are failed again, "
        f"assigned ones wait. Hashes that the project has are counted as duplicates, and no error. {_GOES_ON}",
        epilog="for example: broker import --project 8 tasks.jsonl",
    )
    restore.add_argument("--project", type=between(1), required=True, metavar="ID", help="where the tasks go")
    restore.add_argument("--no-votes", action="store_true", help="without votes: worker ids mean others here")
    restore.add_argument("--json", action="store_true", help="for programs: the report as a JSON object")
    restore.add_argument("file", metavar="FILE", help="- is standard input")
    _finish(restore, add_flags, read, "import")

    tracker = commands.add_parser(
        "import-tracker",
        help="take over all that an original tracker has",
        description="Reads CSV dumps of the original tracker's tables: worker.csv, project.csv, worker_access.csv, "
        "task.csv and worker_verifies_task.csv, each made by COPY ... TO ... WITH (FORMAT csv, HEADER). Workers keep "
        f"their ids and secrets, projects their ids, tasks their votes. {_GOES_ON}",
        epilog="docs/migrating.md has the commands that make the dumps.",
    )
    tracker.add_argument("--json", action="store_true", help="for programs: the report as a JSON object")
    tracker.add_argument("directory", metavar="DIR", help="where the dumps are")
    _finish(tracker, add_flags, read, "import_tracker")


def _finish(parser: argparse.ArgumentParser, add_flags: AddFlags, read: Read, name: str) -> None:
    add_flags(parser, ("redis_url", "data_dir"))

    def run(arguments: argparse.Namespace) -> int:
        from broker.transfer import perform  # noqa: PLC0415 - the other commands need not load it

        return perform.perform(name, read(arguments), arguments)

    parser.set_defaults(run=run)
