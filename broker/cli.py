"""The ``broker`` command."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import fields

from broker import __version__, commands, demo, logs, redis_cli, transfer
from broker.admin import create_admin
from broker.errors import BrokerError, StartError
from broker.settings import Settings, flag_of, unknown, variable
from broker.store.embedded import EmbeddedStore
from broker.supervisor import Supervisor

_FLAGS = ("host", "port", "workers", "redis_url", "data_dir", "log_level")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; 1 with one line on standard error when the start fails."""
    parser = _parser()
    args, rest = parser.parse_known_args(arguments)
    args.rest = rest
    if rest and args.run is not _redis_cli:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        code: int = args.run(args)
    except (StartError, BrokerError) as error:
        print(f"broker: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="broker", description="A task broker for crawler fleets over HTTP.")
    parser.add_argument("--version", action="version", version=f"broker {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    serve = subparsers.add_parser(
        "serve",
        help="serve the HTTP API",
        description="Serve the HTTP API, by default from an embedded store that keeps its data on this machine.",
        epilog=_settings_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_flags(serve, _FLAGS)
    serve.set_defaults(run=_serve)

    admin = subparsers.add_parser(
        "create-admin",
        help="make an account that is admin, or make an existing one admin",
        description="Make a manager who is tracker admin, or promote one. The broker may be running. The password of "
        "a new account is asked for, or read from standard input when that is no terminal.",
    )
    _add_flags(admin, ("redis_url", "data_dir"))
    admin.add_argument("username", metavar="NAME", help="3 to 16 characters")
    admin.set_defaults(run=_create_admin)

    demo_parser = subparsers.add_parser("demo", help="watch eight crawlers work through a site, offline, in a minute")
    demo.add_arguments(demo_parser)
    demo_parser.set_defaults(run=demo.run)

    commands.add(subparsers)
    transfer.add(subparsers, _add_flags, _settings)

    cli = subparsers.add_parser(
        "redis-cli",
        help="look into the broker's store",
        description="Run redis-cli or valkey-cli on the broker's store. All other arguments are passed on.",
        epilog="for example: broker redis-cli ZRANGE 'broker:{project:1}:queue' 0 9 WITHSCORES",
    )
    _add_flags(cli, ("redis_url", "data_dir"))
    cli.set_defaults(run=_redis_cli)
    return parser


def _add_flags(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for setting in fields(Settings):
        if setting.name in names:
            default = setting.metadata["default"]
            text = f"{setting.metadata['text']} (default: {default})" if default else setting.metadata["text"]
            parser.add_argument(flag_of(setting), metavar=setting.name.split("_")[-1].upper(), help=text)


def _settings_table() -> str:
    rows = [(variable(s), s.metadata["default"] or "-", s.metadata["text"]) for s in fields(Settings)]
    lines = [f"  {name:<26} {default:<22} {text}" for name, default, text in rows]
    return "\n".join(
        [
            "settings in the environment (a flag wins; durations: 90, 90s, 5m, 8h, 7d; sizes: 64kb, 16mb, 2gb):",
            f"  {'variable':<26} {'default':<22} meaning",
            *lines,
        ]
    )


def _settings(args: argparse.Namespace) -> Settings:
    return Settings.read(os.environ, vars(args))


def _serve(args: argparse.Namespace) -> int:
    settings = _settings(args)
    logs.configure(settings)
    for name in unknown(os.environ):
        logging.warning("%s is no setting of the broker: see broker serve --help", name)
    return Supervisor(settings).run()


def _create_admin(args: argparse.Namespace) -> int:
    print(create_admin(_settings(args), args.username))
    return 0


def _redis_cli(args: argparse.Namespace) -> int:
    settings = _settings(args)
    logging.shutdown()
    redis_cli.run(settings.redis_url or EmbeddedStore(settings).url, args.rest)
