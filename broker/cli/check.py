"""``broker check``: whether the data of each project is consistent."""

import argparse
import sys

from broker.cli import STORE, add_settings, read_settings, whole_number
from broker.cli.output import Progress, print_json
from broker.cli.store import run_on_store
from broker.errors import BrokerError
from broker.store import Store

# What differs, what it is an example of, and what a repair does.
_TEXTS = {
    "record": ("tasks have lost their record", "task", "dropped, and counted as orphaned"),
    "nowhere": ("tasks have a record, but no state: no worker gets them", "task", "they wait again"),
    "state": ("tasks are in two states, or wait in the wrong set", "task", "in one state now"),
    "ticket": ("tasks wait in a group that has no ticket: no worker gets them", "task", "the group is ready again"),
    "error": ("entries of :errors are of no task", "task", "removed"),
    "holder": ("entries of :holders do not agree with :assigned", "task", "corrected"),
    "votes": ("tasks have a tally that does not count their votes", "task", "counted again"),
    "voted": ("tasks are wrongly in :voted, or missing there", "task", "corrected"),
    "number": ("tasks have a larger number or place than the last one given", "task", "the last one was raised"),
    "known": ("live tasks have a hash that is not known: it would be accepted twice", "task", "known again"),
    "leftover": ("known hashes belong to no task, and are refused as duplicates", "hash", "freed"),
    "sample": ("families of hashes are not counted right, which decides when they split", "family", "counted again"),
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_check)
    parser.description = (
        "Checks whether the data of a project is consistent: the states of tasks, their workers, votes and known "
        "hashes. The broker may be running or not. The exit code is 1 if something differs and was not repaired."
    )
    parser.epilog = "for example: broker check --project 7 --repair"
    parser.add_argument(
        "--project", type=whole_number(1), metavar="ID", help="only this project (default: all projects)"
    )
    parser.add_argument("--repair", action="store_true", help="repair what differs")
    parser.add_argument("--json", action="store_true", help="for programs: a JSON object for each project")
    add_settings(parser, *STORE)


def _check(arguments: argparse.Namespace) -> int:
    differs = run_on_store(read_settings(arguments), lambda store, _: check_projects(store, arguments))
    return 1 if differs and not arguments.repair else 0


async def check_projects(store: Store, arguments: argparse.Namespace) -> bool:
    """Whether something differs, repaired or not."""
    wanted = [arguments.project] if arguments.project else [listed.id async for listed in store.projects.ids()]
    progress, differs = Progress(sys.stderr), False
    for project in wanted:
        check = store.check(project, repair=arguments.repair)
        try:
            async for where in check.run():
                progress.show(f"project {project}: {where}")
        except BrokerError as error:
            # When all projects are checked, one may be deleted meanwhile.
            if error.code != "not_found" or arguments.project:
                raise
            continue
        progress.clear()
        found = {what: check.differences[what] for what in _TEXTS if check.differences[what]}
        differs = differs or bool(found)
        if arguments.json:
            rows = [{"what": what, "count": len(which), "example": _example(which)} for what, which in found.items()]
            print_json({"project": project, "tasks": check.tasks, "differences": rows, "repaired": arguments.repair})
        else:
            print(f"project {project}: {check.tasks:,} tasks, {'these differ:' if found else 'no differences'}")
            for what, which in found.items():
                text, kind, repaired = _TEXTS[what]
                done = f"; repaired: {repaired}" if arguments.repair else ""
                print(f"  {len(which):,} {text}, for example {kind} {_example(which)}{done}")
    if differs and not arguments.repair and not arguments.json:
        print("broker check --repair repairs this; workers may go on meanwhile")
    return differs


def _example(which: set[str]) -> str:
    """The first one, so that the same example is shown each time."""
    return min(which, key=lambda name: (len(name), name))
