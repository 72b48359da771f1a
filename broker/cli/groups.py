"""``broker groups``: the groups of a project's tasks, such as hosts, with their limits and blocks."""

import argparse
import re
from typing import get_args
from urllib.parse import urlencode

import msgspec

from broker.cli import whole_number
from broker.cli.client import ADMIN_HELP, add_client_options, as_manager, connected
from broker.cli.output import local_time, one_line, print_rows
from broker.client import Client, ClientError
from broker.client.types import Group, GroupState

_PAGE = 500
_STATES: tuple[GroupState, ...] = get_args(GroupState)
_ALL: tuple[GroupState, ...] = ("ready", "resting", "full")
"""A blocked group counts as one of these as well."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_groups)
    parser.description = (
        f"Lists the groups of a project, or shows one group and changes its limits or block. {ADMIN_HELP}"
    )
    parser.add_argument("project", type=whole_number(1), metavar="ID", help="the project")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--state", choices=_STATES, help="list only the groups in this state")
    which.add_argument("--group", metavar="NAME", help="show this group")
    parser.add_argument(
        "--limit", type=whole_number(0), default=50, metavar="N", help="list the first N (default: 50; 0: all)"
    )
    parser.add_argument("--set-delay", type=_seconds, metavar="SECONDS", help="its own delay; -1: the project's")
    parser.add_argument("--set-limit", type=whole_number(-1), metavar="N", help="its own limit; -1: the project's")
    parser.add_argument(
        "--block", type=whole_number(0), metavar="SECONDS", help="assign none of its tasks; 0: end the block"
    )
    add_client_options(parser, "admin_file")


def _seconds(text: str) -> float:
    if text != "-1" and not re.fullmatch(r"\d{1,9}(\.\d{1,3})?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, or -1")
    return float(text)


def _groups(arguments: argparse.Namespace) -> int:
    changes = (arguments.set_delay, arguments.set_limit, arguments.block)
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        if arguments.group is None:
            if any(change is not None for change in changes):
                raise ClientError("--set-delay, --set-limit and --block need --group")
            found = _listed(client, arguments)
        elif any(change is not None for change in changes):
            delay, limit, blocked_for = changes
            found = [
                client.set_group(arguments.project, arguments.group, delay=delay, limit=limit, blocked_for=blocked_for)
            ]
        else:
            found = [client.group(arguments.project, arguments.group)]
    print_rows(
        arguments.json, found, _HEAD, _row, f"no groups are {arguments.state}" if arguments.state else "no groups"
    )
    return 0


def _listed(client: Client, arguments: argparse.Namespace) -> list[Group]:
    """The groups, up to ``--limit``. One that changes its state meanwhile comes once."""
    found: dict[str, Group] = {}
    for state in [arguments.state] if arguments.state else _ALL:
        query: dict[str, object] = {"state": state}
        while not arguments.limit or len(found) < arguments.limit:
            query["limit"] = min(_PAGE, arguments.limit - len(found)) if arguments.limit else _PAGE
            page = client.call("GET", f"/project/groups/{arguments.project}?{urlencode(query)}", safe=True)
            found |= {group.group: group for group in msgspec.convert(page["groups"], list[Group])}
            query["after"] = page["next"]
            if page["next"] is None:
                break
    return list(found.values())


_HEAD = ("group", "waiting", "running", "delay", "limit", "next start", "blocked until", "set by")


def _row(group: Group) -> tuple[int | str, ...]:
    times = (local_time(group.next), local_time(group.blocked_until))
    limit = str(group.limit) if group.limit else "none"
    return (
        one_line(group.group, 60),
        group.waiting,
        group.running,
        f"{group.delay:g} s",
        limit,
        *times,
        group.set_by or "",
    )
