"""Loads lua/, joins includes, and knows each script by its name.

A line ``--- @include "clock"`` is replaced, once, by ``lua/include/clock.lua``. A missing or circular include raises
:class:`StartError`, so that the broker refuses to start rather than fail on a request.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from broker.errors import StartError

_INCLUDE = re.compile(r'^--- @include "([a-z_]+)"$', re.MULTILINE)
_PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    source: str
    sha: str


def directory() -> Path:
    """Where the scripts are: beside ``broker/`` in a checkout, inside it when installed."""
    for place in (_PACKAGE / "lua", _PACKAGE.parent / "lua"):
        if (place / "include").is_dir():
            return place
    raise StartError(f"the Lua scripts are missing: neither {_PACKAGE / 'lua'} nor {_PACKAGE.parent / 'lua'} is there")


def load(place: Path | None = None) -> dict[str, Script]:
    """Every script of ``place`` by name, with its includes joined in."""
    place = place or directory()
    return {path.stem: _script(place, path) for path in sorted(place.glob("*/*.lua")) if path.parent.name != "include"}


def _script(place: Path, path: Path) -> Script:
    source = _join(place, path, [], set())
    # SHA-1 is Redis's name for a script, not a protection.
    return Script(path.stem, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _join(place: Path, path: Path, including: list[Path], done: set[Path]) -> str:
    if path in including:
        raise StartError(f"circular include: {' -> '.join(p.stem for p in [*including, path])}")
    if path in done:
        return ""
    done.add(path)
    try:
        source = path.read_text(encoding="utf-8")
    except OSError:
        raise StartError(
            f"{including[-1].name if including else place} includes {path.name}, which is missing"
        ) from None

    def replace(match: re.Match[str]) -> str:
        return _join(place, place / "include" / f"{match[1]}.lua", [*including, path], done)

    return _INCLUDE.sub(replace, source)
