"""Runs a command: what can go wrong becomes one line on standard error."""

import argparse
import os
import sys
from collections.abc import Callable

from broker.client import Client, ClientError
from broker.commands.access import about, worker_create
from broker.commands.options import fill
from broker.commands.output import reader_has_gone, system_said
from broker.commands.show import status, tasks
from broker.commands.submit import submit

_COMMANDS: dict[str, Callable[[Client, argparse.Namespace], None]] = {
    "worker_create": worker_create,
    "submit": submit,
    "tasks": tasks,
    "status": status,
}
_PATIENCE = 10
"""Seconds for which a broker that does not answer is asked again. Someone waits."""


def perform(name: str, arguments: argparse.Namespace) -> int:
    """The exit code."""
    fill(arguments, os.environ)
    try:
        with about(arguments, "url"):
            client = Client(arguments.url, patience=_PATIENCE)
        with client:
            _COMMANDS[name](client, arguments)
            sys.stdout.flush()
    except BrokenPipeError:
        reader_has_gone()
    except OSError as error:
        print(f"broker: {system_said(error)}", file=sys.stderr)
        return 1
    except (ClientError, ValueError) as error:
        print(f"broker: {error}", file=sys.stderr)
        return 1
    return 0
