"""The ``broker`` command."""

import argparse
import io
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

from broker import __version__, demo, transfer
from broker.cli import commands
from broker.errors import BrokerError, StartError
from broker.settings import Settings, flag_of, source, unknown, variable

_FLAGS = ("host", "port", "workers", "redis_url", "data_dir", "log_level")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; 1 with one line on standard error when the start fails.

    What a command alone needs is imported when it runs: the server takes five times as long to load as all the rest.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            # A terminal that cannot show a character gets a question mark, and no error.
            stream.reconfigure(errors="replace")
    parser = _parser()
    args, rest = parser.parse_known_args(arguments)
    args.rest = rest
    if rest and args.run is not _redis_cli:
        args.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if args.run is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        code: int = args.run(args)
    except (StartError, BrokerError) as error:
        print(f"broker: {_named(error, args)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _named(error: Exception, args: argparse.Namespace) -> str:
    """With the flag or the variable that it is about."""
    for setting in fields(Settings):
        if isinstance(error, StartError) and setting.name == error.setting:
            return f"{source(setting, os.environ, vars(args))}: {error}"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="broker",
        description="A task broker for crawler fleets over HTTP.",
        epilog="broker COMMAND --help tells more. To begin: broker serve.",
    )
    parser.add_argument("--version", action="version", version=f"broker {__version__}")
    parser.set_defaults(run=None, parser=parser)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")

    serve = subparsers.add_parser(
        "serve",
        help="serve the HTTP API and the web UI",
        description="Serves the HTTP API and the web UI, by default from an embedded store\n"
        "that keeps its data on this machine.",
        epilog=_settings_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_flags(serve, _FLAGS)
    serve.set_defaults(run=_serve)

    admin = subparsers.add_parser(
        "create-admin",
        help="make an account that is admin, or make an existing one admin",
        description="Makes a manager's account that is admin, or makes an existing one admin. The broker may be "
        "running. The password of a new account is asked for, or read from standard input when that is no terminal.",
    )
    _add_flags(admin, ("redis_url", "data_dir"))
    admin.add_argument("username", metavar="NAME", help="3 to 16 letters of ASCII, digits, and any of _ . -")
    admin.set_defaults(run=_create_admin)

    repair = subparsers.add_parser(
        "repair",
        help="cut what is damaged off the embedded store's files",
        description="Looks for damage in the append-only files of the embedded store, whose broker must not be "
        "running. Shows what would be lost, asks, and cuts it. A copy of the files as they were stays beside them.",
    )
    _add_flags(repair, ("data_dir",))
    repair.add_argument("--yes", action="store_true", help="cut without asking")
    repair.set_defaults(run=_repair)

    demo_parser = subparsers.add_parser("demo", help="watch eight crawlers work through a site, offline")
    demo.add_arguments(demo_parser)
    demo_parser.set_defaults(run=demo.run)

    commands.add(subparsers)
    transfer.add(subparsers, _add_flags, _settings)

    cli = subparsers.add_parser(
        "redis-cli",
        help="look into the broker's store",
        description="Runs redis-cli or valkey-cli on the broker's store. All other arguments are passed on.",
        epilog="for example: broker redis-cli ZRANGE 'broker:{project:1}:queue' 0 9 WITHSCORES",
    )
    _add_flags(cli, ("redis_url", "data_dir"))
    cli.set_defaults(run=_redis_cli)
    for command in subparsers.choices.values():
        # Whose usage is shown when a flag is wrong.
        command.set_defaults(parser=command)
    return parser


def _add_flags(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for setting in fields(Settings):
        if setting.name in names:
            metavar = setting.name.split("_")[-1].upper()
            parser.add_argument(flag_of(setting), metavar=metavar, help=_meaning(setting))


def _meaning(setting: "Field[Any]") -> str:
    default = setting.metadata["default"]
    return f"{setting.metadata['text']} (default: {default})" if default else str(setting.metadata["text"])


def _settings_table() -> str:
    width = max(60, shutil.get_terminal_size().columns - 2)
    title = "settings in the environment; a flag wins (durations: 90, 90s, 5m, 8h, 7d; sizes: 64kb, 16mb, 2gb):"
    lines = textwrap.wrap(title, width)
    for setting in fields(Settings):
        name = f"  {variable(setting):<26} "
        lines += textwrap.wrap(_meaning(setting), width, initial_indent=name, subsequent_indent=" " * len(name))
    return "\n".join(lines)


def _settings(args: argparse.Namespace) -> Settings:
    return Settings.read(os.environ, vars(args))


def _serve(args: argparse.Namespace) -> int:
    from broker.server import logs  # noqa: PLC0415
    from broker.server.supervisor import Supervisor  # noqa: PLC0415

    settings = _settings(args)
    logs.configure(settings)
    for name in unknown(os.environ):
        logging.warning("%s is no setting of the broker: see broker serve --help", name)
    return Supervisor(settings).run()


def _create_admin(args: argparse.Namespace) -> int:
    from broker.cli.create_admin import create_admin  # noqa: PLC0415

    print(create_admin(_settings(args), args.username))
    return 0


def _repair(args: argparse.Namespace) -> int:
    from broker.cli import repair  # noqa: PLC0415

    return repair.run(_settings(args), yes=args.yes)


def _redis_cli(args: argparse.Namespace) -> int:
    from broker.cli import redis_cli  # noqa: PLC0415

    redis_cli.run(_settings(args), args.rest)
