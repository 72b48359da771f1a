"""Options of the commands that a variable may give as well, and where each value came from."""

import argparse
import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Option(NamedTuple):
    variable: str
    default: str | None
    help: str


OPTIONS = {
    "url": Option("TASK_BROKER_URL", "http://127.0.0.1:3010", "the broker"),
    "worker_file": Option("TASK_BROKER_WORKER_FILE", "worker.json", "the worker's credentials"),
    "admin_file": Option("TASK_BROKER_ADMIN_FILE", None, "a manager's account"),
}


def between(low: int, high: float = math.inf) -> Callable[[str], int]:
    """A type for a whole number."""

    def number(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,19}", text) or not low <= int(text) <= high:
            wanted = f"of at least {low}" if high == math.inf else f"from {low} to {high}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {wanted}")
        return int(text)

    return number


def add_option(parser: argparse.ArgumentParser, name: str) -> None:
    variable, default, text = OPTIONS[name]
    told = f" (default: {default})" if default else ""
    metavar = "URL" if name == "url" else "FILE"
    parser.add_argument(_flag(name), metavar=metavar, help=f"{text}; or ${variable}{told}")


def fill(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """What was not given has the value of its variable, or its default; ``sources`` names the flag or the variable."""
    arguments.sources = {}
    for name, (variable, default, _) in OPTIONS.items():
        if name not in arguments:
            continue
        given = getattr(arguments, name)
        from_environment = given is None and environment.get(variable)
        arguments.sources[name] = variable if from_environment else _flag(name)
        setattr(arguments, name, from_environment or (default if given is None else given))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
