"""Options that several commands have."""

import argparse
import math
import os
import re
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

from broker.settings import Settings, flag_of

STORE = ("redis_url", "data_dir")
"""The settings that tell where the store is."""


def whole_number(low: int, high: float = math.inf) -> Callable[[str], int]:
    """A type for argparse."""

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
