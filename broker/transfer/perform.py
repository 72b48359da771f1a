"""Runs a command on the store."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from broker.cli.offline_store import opened, reachable
from broker.cli.output import reader_has_gone, system_said
from broker.errors import StartError, Unavailable
from broker.settings import Settings
from broker.store import Store
from broker.transfer import exporting, importing, tracker

_COMMANDS: dict[str, Callable[[Store, Settings, argparse.Namespace], Awaitable[None]]] = {
    "export": exporting.run,
    "import": importing.run,
    "import_tracker": tracker.run,
}


def perform(name: str, settings: Settings, arguments: argparse.Namespace) -> int:
    """The exit code. Raises :class:`StartError` or :class:`BrokerError` with the line that says why."""
    try:
        with reachable(settings) as found:
            asyncio.run(_perform(name, found, arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        reader_has_gone()
        return 1
    except OSError as error:
        raise StartError(system_said(error)) from None
    return 0


async def _perform(name: str, settings: Settings, arguments: argparse.Namespace) -> None:
    async with opened(settings) as store:
        try:
            await _COMMANDS[name](store, settings, arguments)
        except Unavailable as error:
            again = "run it again" if name == "export" else "run it again: it goes on where it stopped"
            raise StartError(f"{error.message}; {again}") from error
