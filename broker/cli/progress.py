"""The live line: rewritten in place on a terminal, a line every two seconds in a log."""

import shutil
import time
from typing import TextIO

_TERMINAL_INTERVAL = 0.1
_LOG_INTERVAL = 2.0


class Progress:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._interval = _TERMINAL_INTERVAL if self._terminal else _LOG_INTERVAL
        self._next = 0.0
        self._open = False  # a line without its end stands on the terminal

    def show(self, text: str) -> None:
        """Where things stand; left out when the last one was shown just now."""
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
        """A line that stays."""
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
