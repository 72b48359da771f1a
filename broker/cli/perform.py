"""Runs a command: what can go wrong becomes one line on standard error."""

import argparse
import os
import sys
from collections.abc import Callable

import httpx

from broker.cli.accounts import worker_create
from broker.cli.options import fill
from broker.cli.output import reader_has_gone, span, system_said
from broker.cli.show import status, tasks
from broker.cli.submit import submit
from broker.client import Client, ClientError, Unreachable

_COMMANDS: dict[str, Callable[[Client, argparse.Namespace], None]] = {
    "worker_create": worker_create,
    "submit": submit,
    "tasks": tasks,
    "status": status,
}


def perform(name: str, arguments: argparse.Namespace) -> int:
    """The exit code."""
    fill(arguments, os.environ)
    try:
        with _client(arguments) as client:
            _COMMANDS[name](client, arguments)
            sys.stdout.flush()
    except BrokenPipeError:
        reader_has_gone()
    except (OSError, ClientError, ValueError, httpx.HTTPError) as error:
        print(f"broker: {_explained(error, arguments)}", file=sys.stderr)
        return 1
    return 0


def _client(arguments: argparse.Namespace) -> Client:
    try:
        # Someone waits: a broker that does not answer is an error at once.
        client = Client(arguments.url, patience=0)
    except ValueError as error:
        raise ClientError(f"{arguments.sources['url']}: {error}") from None
    client.on_wait = lambda seconds: print(f"waiting {span(seconds)} for a rate of the broker", file=sys.stderr)
    return client


def _explained(error: Exception, arguments: argparse.Namespace) -> str:
    if isinstance(error, OSError):
        return system_said(error)
    if isinstance(error, Unreachable) and not error.sent:
        return f"{error}: is a broker running there? {arguments.sources['url']} names another"
    return str(error)
