"""``broker demo``: workers crawl the Python documentation, and every count must agree at the end."""

import argparse
import math
from collections.abc import Callable

DESCRIPTION = """\
Crawls a real site with a fleet of workers over the HTTP API, offline and in
under a minute.

The site is the documentation of Python's standard library, rendered with pydoc
and served on 127.0.0.1. The workers take pages from the project "pages",
extract links and submit them, and release with a hash of the content. A closed
page is chained to the project "index", where it is taken once more. Some pages
need two workers that agree, some fail the first time, and some are abandoned
and come back by themselves. At the end each page must have been closed exactly
once in both projects.

Without a broker at --url, one is started for the length of the demo, with its
data in a temporary directory.
"""


class DemoError(Exception):
    """Ends a demo early. Its text is the one line that the user reads."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pages", type=_at_least(1), default=0, metavar="N", help="stop at N pages (default: all)")
    parser.add_argument("--workers", type=_at_least(2), default=8, metavar="N", help="crawler workers (default: 8)")
    parser.add_argument(
        "--url",
        default="http://127.0.0.1:3010",
        help="a broker that may be running (default: %(default)s); two projects, a manager and the workers stay there",
    )
    parser.add_argument("--username", help="log in there as this manager, instead of registering one")
    parser.add_argument("--password", default="", help="of that manager")
    parser.add_argument(
        "--timeout", type=seconds, default=120.0, metavar="SECONDS", help="give up after this time (default: 120)"
    )


def run(arguments: argparse.Namespace) -> int:
    """0 when every page was closed once in both projects; else 1, with the reason in a line."""
    from broker.demo.main import perform  # noqa: PLC0415 - httpx and pydoc are for this command only

    return perform(arguments)


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return number


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be a number of seconds above 0")
    return value
