"""``broker serve``: the server, until a signal ends it."""

import argparse
import logging
import os
import shutil
import textwrap
from dataclasses import fields

from broker.cli import add_settings, meaning, read_settings
from broker.server import logs
from broker.server.supervisor import Supervisor
from broker.settings import Settings, unknown, variable


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run)
    parser.description = (
        "Serves the HTTP API and the web UI. By default, an embedded store keeps the data\non this machine."
    )
    parser.epilog = _settings_table()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_settings(parser, "host", "port", "workers", "redis_url", "data_dir", "log_level")


def _run(arguments: argparse.Namespace) -> int:
    settings = read_settings(arguments)
    logs.configure(settings)
    for name in unknown(os.environ):
        logging.warning("%s is not a setting of the broker: see broker serve --help", name)
    return Supervisor(settings).run()


def _settings_table() -> str:
    width = max(60, shutil.get_terminal_size().columns - 2)
    title = (
        "settings in the environment; a flag takes precedence (durations: 90, 90s, 5m, 8h, 7d; sizes: 64kb, 16mb, 2gb):"
    )
    lines = textwrap.wrap(title, width)
    for setting in fields(Settings):
        name = f"  {variable(setting):<26} "
        lines += textwrap.wrap(meaning(setting), width, initial_indent=name, subsequent_indent=" " * len(name))
    return "\n".join(lines)
