"""What the commands have in common: their options, Ctrl-C, and where the results go."""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from redis import RedisError

from bench import results
from bench.errors import BenchError
from bench.figures import Fleet


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


def run(ask: Callable[[argparse.Namespace], results.Part], arguments: argparse.Namespace) -> int:
    """Asks, and keeps the answer; the exit code. SIGTERM ends it as Ctrl-C does: what was started is stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        part = ask(arguments)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except (BenchError, OSError, httpx.HTTPError, RedisError) as error:
        say(f"bench: {error}")
        return 1
    took = time.monotonic() - began
    say(f"{took:.0f} s, results in {results.save(part, took, arguments.results)}")
    return 1 if isinstance(part, Fleet) and part.wrong else 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError("a number of seconds above 0, at most 600")
    return value
