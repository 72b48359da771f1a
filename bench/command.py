"""What the commands share: options, Ctrl-C, and storing results."""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from redis import RedisError

from bench import BenchError, results


def parser(module: str, text: str | None, *, seconds: float) -> argparse.ArgumentParser:
    """With ``--seconds`` and ``--results``."""
    made = argparse.ArgumentParser(
        prog=f"python -m {module}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--seconds", type=_positive, default=seconds, help="how long each run lasts (default: %(default)s)"
    )
    made.add_argument(
        "--results", type=Path, default=results.FOLDER, metavar="FOLDER", help="default: bench/results of the checkout"
    )
    return made


def checkout(text: str) -> Path:
    """A folder with the sources of a broker."""
    path = Path(text).resolve()
    if not (path / "broker" / "__init__.py").exists():
        raise argparse.ArgumentTypeError(f"{path} is no checkout of the broker")
    return path


def run(ask: Callable[[argparse.Namespace], results.Part | None], parser: argparse.ArgumentParser) -> int:
    """Asks the question and stores its results. Returns the exit code. SIGTERM works like Ctrl-C: it stops all that was
    started."""
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        part = ask(arguments)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except (AssertionError, BenchError, OSError, httpx.HTTPError, RedisError) as error:
        say(f"bench: {error}")
        return 1
    took = time.monotonic() - began
    kept = f", results in {results.save(part, took, arguments.results)}" if part else ""
    say(f"{took:.0f} s{kept}")
    return 1 if isinstance(part, results.Fleet) and part.wrong else 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError("a number of seconds above 0, at most 600")
    return value
