"""What commands print: tables for people, JSON lines for programs, and progress on standard error."""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO, TypeVar

import msgspec

_TERMINAL_INTERVAL = 0.1
_LOG_INTERVAL = 2.0

T = TypeVar("T")


class Progress:
    """One line that is rewritten in place on a terminal, and a line every two seconds in a log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._interval = _TERMINAL_INTERVAL if self._terminal else _LOG_INTERVAL
        self._next = 0.0
        self._open = False  # The terminal shows a line without its end.

    def show(self, text: str) -> None:
        """Shows the current state, unless another was shown a moment ago."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._interval
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{text[:width]}")
            self._open = True
        else:
            self._write(f"{text}\n")

    def say(self, text: str) -> None:
        """Prints a line that stays."""
        self.clear()
        self._write(f"{text}\n")
        self._next = 0.0

    def clear(self) -> None:
        if self._open:
            self._write("\r\x1b[K")
            self._open = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def print_json(value: object) -> None:
    """Prints one line of JSON, in UTF-8 whatever the terminal can show."""
    sys.stdout.flush()
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")


def print_answer(as_json: bool, content: object, text: str) -> None:
    if as_json:
        print_json(content)
    else:
        print(text)


def print_rows(
    as_json: bool, found: Sequence[T], head: Sequence[str], row: Callable[[T], Sequence[int | str]], none: str
) -> None:
    """Print JSON lines, or a table for people. People get the text ``none`` instead of an empty table."""
    if as_json:
        for one in found:
            print_json(one)
    else:
        print(table(head, [row(one) for one in found]) if found else none)


def table(head: Sequence[str], rows: Sequence[Sequence[int | str]]) -> str:
    """Numbers are aligned right and have commas. Texts are aligned left: ids are texts."""
    texts = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(head), *texts]) for column in range(len(head))]
    numbers = [bool(rows) and isinstance(rows[0][column], int) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in [list(head), *texts]
    ]
    return "\n".join(lines)


def span(seconds: float) -> str:
    """A duration in its two largest units at most."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24:,} days"


def local_time(unix_seconds: float | None) -> str:
    """Empty for None."""
    return "" if unix_seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_seconds))


def one_line(text: str, width: int) -> str:
    """A recipe as a cell. Characters that are not printable are escaped: they could control the terminal."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode()
    return shown if len(shown) <= width else shown[: width - 3] + "..."
