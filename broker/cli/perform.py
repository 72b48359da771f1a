"""Runs a command: what can go wrong becomes one line on standard error."""

import argparse
import sys
from collections.abc import Callable

from broker.cli.accounts import worker_create
from broker.cli.output import reader_has_gone, system_said
from broker.cli.show import status, tasks
from broker.cli.submit import submit
from broker.client import Client, ClientError

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
    try:
        with Client(arguments.url, patience=_PATIENCE) as client:
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
