"""The ``broker`` command: the table of its commands, and how their errors are printed."""

import argparse
import io
import math
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import Field, fields
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

from broker import __version__
from broker.errors import BrokerError, StartError, system_message
from broker.settings import Settings, flag_of, source


class Command(NamedTuple):
    add: str
    """A function that gets the parser, and adds the options and ``run``, which returns the exit code."""
    help: str


COMMANDS = {
    "serve": Command("broker.cli.serve:add", "serve the HTTP API and the web UI"),
    "create-admin": Command(
        "broker.cli.create_admin:add", "create an admin account, or make an existing account admin"
    ),
    "backup": Command("broker.cli.backup:add_backup", "copy the embedded store while it runs"),
    "restore": Command("broker.cli.backup:add_restore", "restore a backup into a new data directory"),
    "repair": Command("broker.cli.store:add_repair", "cut damaged data off the files of the embedded store"),
    "demo": Command("broker.demo.main:add", "watch eight crawlers work through a site, offline"),
    "worker": Command("broker.cli.worker:add", "create a worker and request access for it"),
    "submit": Command("broker.cli.submit:add", "submit tasks from a file"),
    "tasks": Command("broker.cli.tasks:add", "list, retry or remove the tasks of a project"),
    "groups": Command("broker.cli.groups:add", "list the groups of a project, and limit or block them"),
    "why": Command("broker.cli.tasks:add_why", "explain why a worker gets no task"),
    "project": Command("broker.cli.projects:add", "create, list, pause and configure projects"),
    "access": Command("broker.cli.access:add", "list and accept access requests, and create join tokens"),
    "token": Command("broker.cli.tokens:add", "create, list and revoke your tokens for programs"),
    "status": Command("broker.cli.status:add_status", "show all projects"),
    "export": Command("broker.cli.transfer:add_export", "write the live tasks of a project as JSON lines"),
    "import": Command("broker.cli.transfer:add_import", "submit the tasks of an export to a project"),
    "import-tracker": Command("broker.cli.import_tracker:add", "import everything from an original tracker"),
    "import-scrapy-redis": Command(
        "broker.cli.import_scrapy_redis:add", "import what is left of a crawl with scrapy-redis"
    ),
    "check": Command("broker.cli.check:add", "check the data of each project, and repair it"),
    "redis-cli": Command("broker.cli.store:add_redis_cli", "open redis-cli on the store of the broker"),
}

STORE = ("redis_url", "data_dir")
"""The settings that say where the store is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code. An error is one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            # A character that the terminal cannot show becomes a question mark.
            stream.reconfigure(errors="replace")
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = create_parser(arguments)
    args, rest = parser.parse_known_args(arguments)
    if rest and not args.takes_rest:
        args.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.rest = rest
    if args.run is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has closed it. Python must not fail on the rest when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (StartError, BrokerError, OSError) as error:
        print(f"broker: {_message(error, args)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def create_parser(loaded: Collection[str] = COMMANDS.keys()) -> argparse.ArgumentParser:
    """Only the commands in ``loaded`` have their options: importing the modules of all takes half a second."""
    parser = argparse.ArgumentParser(
        prog="broker",
        description="A task broker for crawler fleets over HTTP.",
        epilog="broker COMMAND --help explains a command. To begin: broker serve.",
    )
    parser.add_argument("--version", action="version", version=f"broker {__version__}")
    parser.set_defaults(run=None, parser=parser, takes_rest=False)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (path, text) in COMMANDS.items():
        command = subparsers.add_parser(name, help=text)
        if name in loaded:
            # The usage of ``parser`` is shown when an option is wrong.
            command.set_defaults(parser=command)
            _add(command, path)
    return parser


def _add(command: argparse.ArgumentParser, path: str) -> None:
    """Without the server's packages, a command that needs them says so when it runs."""
    module, _, add = path.partition(":")
    try:
        getattr(import_module(module), add)(command)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __package__.partition(".")[0]:
            raise
        extra = "server,scrapy" if error.name == "scrapy" else "server"
        what = "Scrapy" if error.name == "scrapy" else "the server's packages"
        needs = f"{command.prog} needs {what} ({error.name} is missing): pip install 'task-broker[{extra}]'"
        command.set_defaults(run=partial(_refuse, needs), takes_rest=True)


def _refuse(message: str, _arguments: argparse.Namespace) -> NoReturn:
    raise StartError(message)


def _message(error: Exception, args: argparse.Namespace) -> str:
    """Names the flag or the variable of the wrong setting, or the project that does not exist."""
    if isinstance(error, OSError):
        return system_message(error)
    for setting in fields(Settings):
        if isinstance(error, StartError) and setting.name == error.setting:
            return f"{source(setting, os.environ, vars(args))}: {error}"
    if isinstance(error, BrokerError) and error.code == "not_found" and "project" in args:
        return f"--project {args.project}: {error}"
    return str(error)


def whole_number(low: int, high: float = math.inf) -> Callable[[str], int]:
    """A type for argparse: a whole number between the bounds."""

    def number(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,19}", text) or not low <= int(text) <= high:
            wanted = f"of at least {low}" if high == math.inf else f"from {low} to {high}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {wanted}")
        return int(text)

    return number


def add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Flags for these settings; :func:`read_settings` reads them."""
    for setting in fields(Settings):
        if setting.name in names:
            metavar = setting.name.split("_")[-1].upper()
            parser.add_argument(flag_of(setting), metavar=metavar, help=meaning(setting))


def read_settings(arguments: argparse.Namespace) -> Settings:
    return Settings.read(os.environ, vars(arguments))


def meaning(setting: "Field[Any]") -> str:
    default = setting.metadata["default"]
    return f"{setting.metadata['text']} (default: {default})" if default else str(setting.metadata["text"])
