"""``broker token``: tokens with which commands and programs act for a manager."""

import argparse
from typing import Any

from broker.cli import whole_number
from broker.cli.client import add_client_options, add_commands, as_manager, connected
from broker.cli.output import local_time, one_line, print_answer, print_rows


def add(parser: argparse.ArgumentParser) -> None:
    commands = add_commands(parser)
    create = commands("create", _create, "create a token, and print it, only this once; needs --admin-file")
    create.add_argument("name", metavar="NAME", help="what the token is for")
    create.add_argument(
        "--expires-in", type=whole_number(1), metavar="SECONDS", help="until the token expires (default: 90 days)"
    )
    listing = commands("list", _list, "list your tokens; needs --admin-file")
    revoke = commands("revoke", _revoke, "revoke a token; needs --admin-file")
    revoke.add_argument("token", type=whole_number(1), metavar="ID", help="the token's id: broker token list shows it")
    for command in (create, listing, revoke):
        add_client_options(command, "admin_file")


def _create(arguments: argparse.Namespace) -> int:
    body = {"name": arguments.name, "expires_in": arguments.expires_in}
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        content = client.call("POST", "/account/tokens", body)
    print_answer(arguments.json, content, content["token"])
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        tokens = client.call("GET", "/account/tokens", safe=True)["tokens"]
    print_rows(arguments.json, tokens, ("token", "name", "expires", "last used"), _row, "no tokens")
    return 0


def _row(token: dict[str, Any]) -> tuple[str, ...]:
    times = local_time(token["expires"]), local_time(token["last_used"])
    return (str(token["id"]), one_line(token["name"], 40), *times)


def _revoke(arguments: argparse.Namespace) -> int:
    with connected(arguments) as client, as_manager(client, arguments, required=True):
        client.call("POST", "/account/revoke_token", {"token_id": arguments.token})
    print_answer(arguments.json, {}, f"token {arguments.token} is revoked")
    return 0
