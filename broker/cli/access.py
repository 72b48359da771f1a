"""``broker access``: access to a project, requests for it, and join tokens."""

import argparse
from typing import Any

from broker.cli import whole_number
from broker.cli.client import add_client_options, add_commands, as_manager, connected
from broker.cli.output import local_time, one_line, print_answer, print_rows
from broker.client import ClientError

_ID = whole_number(1)


def add(parser: argparse.ArgumentParser) -> None:
    commands = add_commands(parser)
    listing = commands("list", _list, "list the workers that have access to a project, requests first")
    listing.add_argument("--requests", action="store_true", help="only requests")
    accept = commands("accept", _accept, "accept access requests")
    reject = commands("reject", _reject, "reject the request of a worker, or end its access")
    tokens = commands("tokens", _tokens, "list the join tokens of a project, create one or revoke one")
    for command in (listing, accept, reject, tokens):
        command.add_argument("project", type=_ID, metavar="ID", help="the project")
    accept.add_argument("workers", type=_ID, nargs="*", metavar="WORKER", help="ids of workers")
    accept.add_argument("--all", action="store_true", help="all requests")
    reject.add_argument("worker", type=_ID, metavar="WORKER", help="id of the worker")
    does = tokens.add_mutually_exclusive_group()
    does.add_argument("--create", action="store_true", help="create a token that gives assign, and print it")
    does.add_argument("--revoke", type=_ID, metavar="TOKEN", help="revoke the token with this id")
    tokens.add_argument("--submit", action="store_true", help="the new token gives submit as well")
    tokens.add_argument("--uses", type=_ID, metavar="N", help="for how many workers (default: any number)")
    tokens.add_argument("--expires-in", type=_ID, metavar="SECONDS", help="until the token expires (default: 30 days)")
    for command in (listing, accept, reject, tokens):
        add_client_options(command, "admin_file")


def _list(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        found = client.call("GET", f"/project/access_list/{arguments.project}", safe=True)["accesses"]
    found = [access for access in found if access["request"] or not arguments.requests]
    print_rows(arguments.json, found, ("worker", "alias", "access", ""), _access_row, "no workers")
    return 0


def _access_row(access: dict[str, Any]) -> tuple[str, ...]:
    worker, state = access["worker"], "requested" if access["request"] else "granted"
    return (str(worker["id"]), one_line(worker["alias"], 40), _may(access), state)


def _may(access: dict[str, Any]) -> str:
    return " and ".join(what for what in ("assign", "submit") if access[what])


def _accept(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        if arguments.all == bool(arguments.workers):
            raise ClientError("name workers by their ids, or all of them with --all")
        accepted = client.accept_requests(arguments.project, arguments.workers or None)
    print_answer(arguments.json, {"accepted": accepted}, f"{accepted:,} accepted")
    return 0


def _reject(arguments: argparse.Namespace) -> int:
    path = f"/project/reject_request/{arguments.project}/{arguments.worker}"
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        client.call("POST", path)
    print_answer(arguments.json, {}, f"worker {arguments.worker} has no access to project {arguments.project}")
    return 0


def _tokens(arguments: argparse.Namespace) -> int:
    project = arguments.project
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        if arguments.create:
            body = {
                "assign": True,
                "submit": arguments.submit,
                "uses": arguments.uses,
                "expires_in": arguments.expires_in,
            }
            content = client.call("POST", f"/project/join_tokens/{project}", body)
            print_answer(arguments.json, content, content["token"])
        elif arguments.revoke:
            client.call("POST", f"/project/revoke_join_token/{project}", {"token_id": arguments.revoke})
            print_answer(arguments.json, {}, f"token {arguments.revoke} is revoked")
        else:
            found = client.call("GET", f"/project/join_tokens/{project}", safe=True)["tokens"]
            print_rows(arguments.json, found, ("token", "access", "uses left", "expires"), _token_row, "no tokens")
    return 0


def _token_row(token: dict[str, Any]) -> tuple[str, ...]:
    uses = "any number" if token["uses_left"] is None else str(token["uses_left"])
    return (str(token["id"]), _may(token), uses, local_time(token["expires"]))
