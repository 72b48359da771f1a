"""Finds, checks and cuts the append-only files of the embedded store.

A manifest names a base file, written as a whole, and files of commands, to which the server appends in order. A
command is ``*WORDS`` and, for each word, ``$BYTES`` and the word; MULTI and EXEC enclose what a script has changed.
There are no checksums: damage that leaves a command readable is not noticed.
"""

import mmap
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from broker.errors import StartError

FOLDER = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"
BASE = "appendonly.aof.1.base.rdb"
"""The name of the first base file."""

_BLOCK = 1 << 16
_TIME = re.compile(rb"#(?:TS:([0-9]{1,12})|[ -~]{0,256})\r\n")
_WORDS = re.compile(rb"\*([1-9][0-9]{0,9})\r\n")
_BYTES = re.compile(rb"\$(0|[1-9][0-9]{0,9})\r\n")
_BEGUN = re.compile(rb"(?:[*$#][A-Z:]*[0-9]*\r?)?")
_LONGEST = 20
"""Bytes of the longest ``*WORDS`` or ``$BYTES``."""

_NAME = re.compile(rb"[A-Za-z]{2,32}")
_ABOUT_FILES = re.compile(r"(?i)reading the (append only|manifest) file|AOF manifest|obtain the AOF|\bRDB\b|loading DB")
_RDB = {b"REDIS", b"VALKE"}
_CUT_SHORT = "the file ends in the middle of a command"
_NO_COMMAND = "the bytes there are not a command"
_SHOWN = 120
"""Characters of a command that are shown."""


class File(NamedTuple):
    path: Path
    type: str
    """``b`` for the base, ``i`` for commands."""
    line: str
    """Its line in the manifest."""


@dataclass(frozen=True)
class Damage:
    path: Path
    offset: int
    """The file can be read up to here."""
    size: int
    problem: str
    last: str
    """The last command before it that changed something."""
    time: int
    """About when that was, in unix s; 0 if it is not known."""
    later: list[Path]
    """Files that were written after this one, and are useless without it."""


def files(folder: Path) -> list[File]:
    """The files, in the order in which the server reads them. Raises :class:`StartError` if one is missing or
    damaged.
    """
    manifest = folder / MANIFEST
    found = []
    try:
        lines = manifest.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"cannot read {manifest}: {error}; restore a backup") from None
    for line in lines:
        words = line.split()
        fields = dict(zip(words[::2], words[1::2], strict=False))
        if not line or line.startswith("#") or fields.get("type") == "h":
            continue
        if not {"file", "seq", "type"} <= fields.keys() or "/" in fields["file"]:
            raise StartError(f"{manifest} is damaged: {line[:_SHOWN]!r}; restore a backup")
        path = folder / fields["file"]
        if not path.is_file():
            raise StartError(f"{path} is missing; restore a backup")
        found.append(File(path, fields["type"], line))
    return found


def trim(folder: Path) -> str | None:
    """Removes what a power cut may leave at the end of the last file. Returns a message if changes may be lost.

    That is zeros, and an unfinished line with a time, to which the next command would be appended. The server itself
    removes an unfinished command.
    """
    try:
        last = files(folder)[-1]
    except (StartError, IndexError):
        # There is no file yet, or the server reports the error.
        return None
    if last.type != "i":
        return None
    with last.path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = _before_zeros(file, size)
        file.seek(max(0, end - _BLOCK))
        line = file.read(min(end, _BLOCK)).rpartition(b"\n")[2]
        kept = end - len(line) if line.startswith(b"#") else end
        if kept < size:
            file.truncate(kept)
            os.fsync(file.fileno())
    if end == size:
        return None
    return (
        f"{last.path} ended in {size - end} zero bytes, as a power cut leaves them; they were cut, and "
        "what was not on disk before it is lost"
    )


def _before_zeros(file: BinaryIO, end: int) -> int:
    while end > 0:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        if kept := file.read(end - begin).rstrip(b"\0"):
            return begin + len(kept)
        end = begin
    return 0


def problem(line: str) -> str | None:
    """What is wrong with these files, if the last line of the server's log says so."""
    if not _ABOUT_FILES.search(line):
        return None
    # Without the server's advice: it names a program that is not installed with it.
    return re.split(r": make a backup|\. You can:", line.partition(" # ")[2] or line)[0]


def damage(folder: Path, unknown: bytes = b"") -> Damage | None:
    """The first damage in the commands. A base in the RDB format has a checksum, which the server checks.

    ``unknown``: the name of a command that the server does not know.
    """
    found = files(folder)
    last, time = "", 0
    for index, (path, *_) in enumerate(found):
        size = path.stat().st_size
        if not size:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:5] in _RDB:
                continue
            scanned = _scan(data, size, unknown)
        last, time = scanned.last or last, scanned.time or time
        if scanned.problem:
            later = [file.path for file in found[index + 1 :]]
            return Damage(path, scanned.good, size, scanned.problem, last, time, later)
    return None


class _Scan(NamedTuple):
    good: int
    problem: str
    last: str
    time: int


class _Damaged(Exception):
    pass


def _scan(data: mmap.mmap, size: int, unknown: bytes) -> _Scan:
    """Reads up to the first damage, or the end."""
    position = good = last = candidate = time = 0
    problem, inside = "", False
    try:
        while position < size:
            if data[position] == ord("#"):
                if not (said := _TIME.match(data, position)):
                    raise _unreadable(data, position, size)
                time, position = int(said[1] or time), said.end()
            else:
                start, (name, position) = position, _command(data, position, size)
                if name == unknown:
                    raise _Damaged(f"the store does not know the command {name.decode()}")
                if name in {b"MULTI", b"EXEC"}:
                    inside = name == b"MULTI"
                elif name != b"SELECT":
                    candidate = start
            if not inside:
                good, last = position, candidate
        if inside:
            problem = "the last change is not complete"
    except _Damaged as damaged:
        problem = str(damaged)
    return _Scan(good, problem, _shown(data, last, good), time)


def _command(data: mmap.mmap, position: int, size: int) -> tuple[bytes, int]:
    """The name of the command at this position, and where it ends."""
    if not (header := _WORDS.match(data, position)):
        raise _unreadable(data, position, size)
    position = header.end()
    name = b""
    for _ in range(int(header[1])):
        if not (header := _BYTES.match(data, position)):
            raise _unreadable(data, position, size)
        begin = header.end()
        end = begin + int(header[1])
        if end + 2 > size:
            raise _Damaged(_CUT_SHORT)
        position = end + 2
        if data[end:position] != b"\r\n":
            raise _Damaged("a word does not end where its length says")
        if not name:
            name = data[begin:end]
            if not _NAME.fullmatch(name):
                raise _Damaged(_NO_COMMAND)
    return name.upper(), position


def _unreadable(data: mmap.mmap, position: int, size: int) -> _Damaged:
    """The error for bytes that are not ``*WORDS`` or ``$BYTES``."""
    rest = data[position : position + _LONGEST]
    return _Damaged(_CUT_SHORT if size - position < _LONGEST and _BEGUN.fullmatch(rest) else _NO_COMMAND)


def _shown(data: mmap.mmap, start: int, end: int) -> str:
    """The first two words of a command."""
    if not end:
        return ""
    words = data[start : min(end, start + 1024)].split(b"\r\n")[2:5:2]
    text = " ".join(word.decode(errors="replace") for word in words)[:_SHOWN]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def cut(folder: Path, found: Damage) -> Path:
    """Cuts the file at the damage, and removes the files after it. Returns the directory with a copy of all files.

    If it is interrupted, it can be repeated.
    """
    copy = _copied(folder, found)
    if found.later:
        kept = [file.line for file in files(folder) if file.path not in found.later]
        new = folder / f"{MANIFEST}.new"
        with new.open("w") as manifest:
            manifest.write("".join(f"{line}\n" for line in kept))
            manifest.flush()
            os.fsync(manifest.fileno())
        new.replace(folder / MANIFEST)
        sync(folder)
    with found.path.open("r+b") as file:
        file.truncate(found.offset)
        os.fsync(file.fileno())
    for path in found.later:
        path.unlink()
    sync(folder)
    return copy


def _copied(folder: Path, found: Damage) -> Path:
    """Copies the file that is to be cut. The others never change again: they are linked, where that is possible."""
    number = 1
    while (copy := folder.with_name(f"{FOLDER}.damaged-{number}")).exists():
        number += 1
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    shutil.copy2(folder / MANIFEST, unfinished)
    for path, *_ in files(folder):
        try:
            (shutil.copy2 if path == found.path else os.link)(path, unfinished / path.name)
        except OSError:
            shutil.copy2(path, unfinished / path.name)
    for path in unfinished.iterdir():
        sync(path)
    sync(unfinished)
    unfinished.rename(copy)
    sync(folder.parent)
    return copy


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
