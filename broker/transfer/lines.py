"""The lines of a file of tasks, and how far ``broker submit`` is in one. Nothing here needs the server's packages."""

import codecs
import hashlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from broker.errors import StartError

_NAMED = 20
"""How many bad lines are named; the others are only counted."""

_READ = 1 << 20


def without_mark(number: int, text: bytes) -> bytes:
    """The first line may begin with a byte order mark."""
    return text.removeprefix(codecs.BOM_UTF8) if number == 1 else text


def is_blank(text: bytes) -> bool:
    """Whether a line is only ASCII white space: such lines are skipped."""
    return not text.strip()


def recipe_of(text: bytes) -> str:
    """The line without its end. Raises :class:`ValueError` if it is not text."""
    if b"\0" in text:
        raise ValueError("a zero byte: the file is UTF-16 or not text, and must be UTF-8")
    try:
        return text.decode().strip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte 0x{text[error.start]:02x}): the file must be UTF-8") from None


class BadLines:
    """Collects the errors of lines, so that one message can name them."""

    def __init__(self) -> None:
        self.count = 0
        self._said: list[str] = []

    def add(self, number: int, error: Exception) -> None:
        self.count += 1
        if self.count <= _NAMED:
            self._said.append(f"line {number:,}: {error}")

    def text(self) -> str:
        """One line for each of the first bad lines."""
        more = [f"and {self.count - _NAMED:,} more"] if self.count > _NAMED else []
        return "\n".join([*self._said, *more])


class Offset(msgspec.Struct):
    """How much of a file was submitted, to which project, with which options."""

    url: str
    project: int
    options: dict[str, bool | int | str]
    bytes: int = 0
    lines: int = 0
    sha256: str = ""
    """Of all bytes that were submitted."""


class OffsetFile:
    """The file of the offset. Without a path, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self.failure: OSError | None = None
        """Why the last offset could not be kept."""

    def find(self, now: Offset, stream: BinaryIO) -> Offset:
        """Where the last run with the same arguments stopped; ``now`` when there was none. Moves the stream there.

        Raises :class:`StartError` when the last run had other arguments or another file.
        """
        if self._path is None:
            return now
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Offset)
        except FileNotFoundError:
            return now
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StartError(f"{self._path} cannot be read ({error}): {self._advice()}") from None
        if difference := _difference(found, now):
            raise StartError(f"{self._path} was kept by a run {difference}: run that again, or {self._advice()}")
        left = found.bytes
        while left > 0 and (some := stream.read(min(left, _READ))):
            self._digest.update(some)
            left -= len(some)
        if left or self._digest.hexdigest() != found.sha256:
            raise StartError(
                f"{self._path} was kept for another file, or a line up to line {found.lines:,} has changed since: "
                f"{self._advice()}"
            )
        return found

    def _advice(self) -> str:
        return f"remove {self._path} to begin at the first line"

    def passed(self, text: bytes | bytearray) -> None:
        self._digest.update(text)

    def keep(self, offset: Offset) -> None:
        """Writes the file as a whole or not at all. After an error, which is in ``failure``, nothing is kept."""
        if self._path is None or self.failure:
            return
        offset.sha256 = self._digest.hexdigest()
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.write_bytes(msgspec.json.encode(offset))
            beside.replace(self._path)
        except OSError as error:
            self.failure = error

    @property
    def kept(self) -> bool:
        return self._path is not None and self.failure is None

    def remove(self) -> None:
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


def _difference(found: Offset, now: Offset) -> str:
    """The first argument in which two runs differ, in words; empty when there is none."""
    if found.url != now.url:
        return f"with --url {found.url}, not {now.url}"
    if found.project != now.project:
        return f"with --project {found.project}, not {now.project}"
    for name, value in now.options.items():
        before, flag = found.options.get(name), f"--{name.replace('_', '-')}"
        if before != value and isinstance(value, bool):
            return f"{'without' if value else 'with'} {flag}"
        if before != value:
            return f"with {flag} {before}, not {value}"
    return ""
