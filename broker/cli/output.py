"""What commands print: tables for people, JSON lines for programs."""

import os
import sys
import time
from collections.abc import Sequence

import msgspec


def say(thing: object) -> None:
    """As one line of JSON, which is UTF-8 whatever the terminal can show."""
    sys.stdout.flush()
    sys.stdout.buffer.write(msgspec.json.encode(thing) + b"\n")


def span(seconds: float) -> str:
    """How long something takes, in the two largest units at most."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24:,} days"


def table(head: Sequence[str], rows: Sequence[Sequence[int | str]]) -> str:
    """Numbers to the right, with commas; texts, and so ids, to the left."""
    texts = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in [list(head), *texts]) for place in range(len(head))]
    numbers = [bool(rows) and isinstance(rows[0][place], int) for place in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in [list(head), *texts]
    ]
    return "\n".join(lines)


def reader_has_gone() -> None:
    """Whoever read our output has seen enough. What is left must not raise again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def system_said(error: OSError) -> str:
    """In words, with the file that it is about."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def moment(unix_seconds: int | None) -> str:
    """In local time; nothing for none."""
    return "" if unix_seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_seconds))


def one_line(text: str, width: int) -> str:
    """A recipe as a cell: what is not printable is escaped, so that it cannot play with the terminal."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode()
    return shown if len(shown) <= width else shown[: width - 3] + "..."
