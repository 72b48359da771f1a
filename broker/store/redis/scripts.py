"""Loads the Lua scripts, and calls them: ``Calls`` is the one way into Redis.

A line ``--- @include "clock"`` is replaced, once, by ``lua/include/clock.lua``. An indented one is in a function or a
branch: the include is then defined up to the end of that block, and is not included again there. A missing or
circular include raises :class:`StartError`: the broker refuses to start, instead of failing on a request. A line
``--- @script "submit"`` is replaced by that script, as a function of KEYS and ARGV.

A script that refuses raises :class:`BrokerError`; a store that cannot answer raises :class:`Unavailable`. No call is
repeated. The one exception is EVAL when the server does not know the script: then nothing ran.
"""

import hashlib
import logging
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from broker.counters import Counter, Counters, Histogram
from broker.errors import BrokerError, StartError, Unavailable, refusal

log = logging.getLogger(__name__)

_INCLUDE = re.compile(r' *--- @include "([a-z_]+)"$')
_SCRIPT = re.compile(r'--- @script "([a-z_]+)"$')
_LINE = re.compile("^(?=.)", re.MULTILINE)
_PACKAGE = Path(__file__).parents[2]

Argument = str | int | float
Arguments = list[Argument]
COUNTED = frozenset(
    (
        *("submit", "release", "turn", "deliver", "cancel", "give_back", "reclaim", "reclaim_worker"),
        *("workers_leave", "promote", "group", "slow_groups"),
        *("request_access", "grant", "grant_requests", "revoke", "join", "access_import"),
        *("task_retry", "task_remove", "task_import", "drain_begin", "drain_step", "remove_group", "copy"),
    )
)
"""Scripts after which the project is counted again. After ``assign``, its caller decides."""

# Errors of a server that cannot answer now, though the call is right.
_PASSING = (
    *("LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY", "OOM"),
    *("CLUSTERDOWN", "TRYAGAIN", "ASK"),
)


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
    raise StartError(f"the Lua scripts are missing: neither {_PACKAGE / 'lua'} nor {_PACKAGE.parent / 'lua'} exists")


@cache
def load(place: Path | None = None) -> Mapping[str, Script]:
    """Every script of ``place`` by name, with its includes joined in. A process reads them once."""
    paths = sorted((place or directory()).glob("*/*.lua"))
    sources = {f"{path.parent.name}/{path.stem}": path.read_text(encoding="utf-8") for path in paths}
    return {_name(part): _script(sources, part) for part in sources if not part.startswith("include/")}


def _script(sources: Mapping[str, str], part: str) -> Script:
    source = _join(sources, part, [], set())
    # SHA-1 is Redis's name for a script, not a protection.
    return Script(_name(part), source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _name(part: str) -> str:
    return part.partition("/")[2]


def _join(sources: Mapping[str, str], part: str, including: list[str], done: set[str]) -> str:
    if part in including:
        raise StartError(f"circular include: {' -> '.join(map(_name, [*including, part]))}")
    if part in done:
        return ""
    if part not in sources:
        raise StartError(f"{_name(including[-1])}.lua includes {_name(part)}.lua, which is missing")
    done.add(part)

    lines: list[str] = []
    # The open functions and branches, the innermost last: the indent, and the includes defined in it.
    blocks: list[tuple[int, set[str]]] = [(0, done)]
    for line in sources[part].splitlines(keepends=True):
        indent = len(line) - len(line.lstrip())
        while line.strip() and indent < blocks[-1][0]:
            blocks.pop()
        if match := _INCLUDE.match(line):
            if indent > blocks[-1][0]:
                blocks.append((indent, set(blocks[-1][1])))
            joined = _join(sources, f"include/{match[1]}", [*including, part], blocks[-1][1])
            lines.append(_LINE.sub(" " * indent, joined))
        elif match := _SCRIPT.match(line):
            path = f"{part.partition('/')[0]}/{match[1]}"
            joined = _join(sources, path, [*including, part], set())
            lines += (f"local function {match[1]}(KEYS, ARGV)\n", _LINE.sub("  ", joined), "end\n")
        else:
            lines.append(line)
    return "".join(lines)


def info_fields(text: str) -> dict[str, str]:
    """The fields of a reply to INFO."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class StoreMetrics:
    """Counters of the store's calls, over all server processes."""

    def __init__(self, counters: Counters) -> None:
        self.calls = Histogram(counters)
        """How long scripts took, from the call to its answer, refusals among them."""
        self.unanswered = Counter(counters)
        """Calls that the store could not answer."""
        self.writes = Counter(counters)
        """Writes to its connections; each carries one call or more."""
        self.record_hits = Counter(counters)
        """Lookups of workers whose record was in memory."""
        self.record_misses = Counter(counters)


def key_of(command: Sequence[Argument]) -> str:
    """The key of a script or a plain command. In a cluster, its slot decides which node is asked."""
    return str(command[3] if command[0] in {"EVALSHA", "EVAL"} else command[1])


class Client(Protocol):
    """Sends commands: :class:`~broker.store.redis.pipeline.Pipeline` or ``Cluster``."""

    def execute_command(self, *command: Argument) -> Awaitable[Any]: ...

    async def everywhere(self, *command: Argument) -> list[Any]: ...

    async def new_connection(self) -> AbstractConnection: ...

    async def aclose(self) -> None: ...


class Calls:
    """Calls scripts by name on one client."""

    def __init__(self, client: Client, scripts: Mapping[str, Script], metrics: StoreMetrics) -> None:
        self._client = client
        self._scripts = scripts
        self._metrics = metrics
        self.changed: set[str] = set()
        """Bases of projects in which something has changed, until that is noted in the directory."""

    async def call(self, script: str, keys: Sequence[str], args: Sequence[Argument] = ()) -> Any:
        """The script's reply. Raises :class:`BrokerError` when it refuses, :class:`Unavailable` without an answer."""
        known = self._scripts[script]
        begun = perf_counter()
        try:
            try:
                return await self._client.execute_command("EVALSHA", known.sha, len(keys), *keys, *args)
            except NoScriptError:
                return await self._client.execute_command("EVAL", known.source, len(keys), *keys, *args)
        except (RedisError, OSError) as error:
            raise self._counted(_translated(f"script {script}", error)) from error
        finally:
            self._metrics.calls.observe(perf_counter() - begun)
            if script in COUNTED:
                self.changed.add(keys[0])

    def refusal_in(self, reply: Any) -> BrokerError | None:
        """The refusal that stands for a part of a script's reply, if it is one."""
        return self._counted(_translated("script", reply)) if isinstance(reply, RedisError) else None

    async def command(self, name: str, key: str, *args: Argument) -> Any:
        """The reply to a plain command on one key, where no rule needs a script. Raises :class:`Unavailable`."""
        begun = perf_counter()
        try:
            return await self._client.execute_command(name, key, *args)
        except (RedisError, OSError) as error:
            raise self._counted(_translated(name, error)) from error
        finally:
            self._metrics.calls.observe(perf_counter() - begun)

    async def info(self, section: str) -> list[str]:
        """The reply of each primary to INFO; none if INFO is not allowed."""
        try:
            return await self._client.everywhere("INFO", section)
        except ResponseError:
            return []
        except (RedisError, OSError) as error:
            raise self._counted(_translated("INFO", error)) from error

    def _counted(self, error: BrokerError) -> BrokerError:
        if isinstance(error, Unavailable):
            self._metrics.unanswered.add()
        return error

    async def new_connection(self) -> AbstractConnection:
        """A connection for the caller alone. Raises what redis-py raises."""
        return await self._client.new_connection()

    async def close(self) -> None:
        await self._client.aclose()


def _translated(what: str, error: Exception) -> BrokerError:
    text = str(error)
    if isinstance(error, OutOfMemoryError):
        return Unavailable("The store is full: nothing new can be taken until tasks are closed")
    if isinstance(error, ResponseError):
        refused = refusal(text)
        if refused is not None:
            return refused
        if not text.startswith(_PASSING):
            log.error("%s: %s", what, text)
    return Unavailable("The store cannot answer now")
