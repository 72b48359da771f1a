"""The table of all settings: flag or environment variable, default, parser and meaning.

Server processes get their settings through the environment (:meth:`Settings.environment`).
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from broker import redis_url
from broker.errors import StartError

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_NO_DURATION = "a duration: seconds, or 90s, 5m, 8h, 7d"
_LOGIN = re.compile(r"(//|:(?!//)).*@", re.DOTALL)
_OPTIONS = re.compile(r"\?.*", re.DOTALL)
_SIZES = {"": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


def duration(text: str) -> float:
    """Seconds, from ``90``, ``0.5``, ``90s``, ``5m``, ``8h`` or ``7d``."""
    seconds = pause(text)
    if seconds == 0:
        raise ValueError(_NO_DURATION)
    return seconds


def pause(text: str) -> float:
    """A :func:`duration` that may be 0."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text.strip())
    if match is None:
        raise ValueError(_NO_DURATION)
    return float(match[1]) * _UNITS[match[2] or "s"]


def size(text: str) -> int:
    """Bytes, from ``1048576``, ``64kb``, ``16mb`` or ``2gb``; 0 is allowed."""
    match = re.fullmatch(r"(\d+)(kb|mb|gb|)", text.strip().lower())
    if match is None:
        raise ValueError("a size: bytes, or 64kb, 16mb, 2gb")
    return int(match[1]) * _SIZES[match[2]]


def size_between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not low <= (bytes := size(text)) <= high:
            raise ValueError(f"a size from {low} to {high} bytes")
        return bytes

    return parse


def flag(text: str) -> bool:
    if text.lower() not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
        raise ValueError("yes or no")
    return text.lower() in {"1", "true", "yes", "on"}


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text.lower()

    return parse


def word(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", text):
        raise ValueError("letters, digits and any of _ . : - (no braces)")
    return text


def token(text: str) -> str:
    if not re.fullmatch(r"[!-~]{0,256}", text):
        raise ValueError("up to 256 visible ASCII characters")
    return text


def proxies(text: str) -> str:
    """Checked here, because uvicorn takes anything else for a host name, which no client has."""
    for part in text.split(",") if text.strip() not in {"", "*"} else ():
        try:
            ipaddress.ip_network(part.strip())
        except ValueError:
            raise ValueError("addresses or networks (10.0.0.0/8) separated by commas, or * alone") from None
    return text


def url(text: str) -> str:
    if text:
        redis_url.parse(text)
    return text


def _setting(default: str, parse: Callable[[str], Any], text: str) -> Any:
    return field(default_factory=lambda: parse(default), metadata={"default": default, "parse": parse, "text": text})


def _default_data_dir() -> str:
    return os.path.join(os.environ.get("XDG_DATA_HOME") or "~/.local/share", "broker")


def _path(text: str) -> str:
    return str(Path(text).expanduser().absolute()) if text else ""


@dataclass(frozen=True)
class Settings:
    """One field per setting. Its environment variable is ``BROKER_`` and the field's name in upper case."""

    host: str = _setting("127.0.0.1", str, "address to listen on; 0.0.0.0 for all")
    port: int = _setting("3010", whole(0, 65535), "port to listen on; 0 picks a free one")
    workers: int = _setting("1", whole(1, 256), "server processes")
    redis_url: str = _setting(
        "",
        url,
        "the store: redis://HOST:PORT/DB, unix://PATH, redis+cluster://HOST:PORT,HOST:PORT or "
        "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE; rediss for TLS; empty starts an embedded one",
    )
    data_dir: str = _setting(_default_data_dir(), _path, "where the embedded store keeps its data")
    log_level: str = _setting("info", choice("debug", "info", "warning", "error"), "lowest level that the broker logs")
    log_file: str = _setting("", _path, "file for the broker's and the workers' logs, as JSON lines; empty for no file")
    durability: str = _setting(
        "everysec",
        choice("always", "everysec", "none"),
        "when the embedded store syncs to disk: before each answer, every second, or when the system decides",
    )
    maxmemory: int = _setting("0", size, "bytes that the embedded store may use, e.g. 2gb; 0 for no limit")
    prefix: str = _setting("broker", word, "first part of every key in Redis")
    redis_timeout: float = _setting("5s", duration, "how long the store may take to answer one command")
    drain: float = _setting("0", pause, "how long calls are still served after SIGTERM, while /readyz answers 503")
    grace: float = _setting("7s", duration, "how long calls in flight may take after that")
    request_timeout: float = _setting("60s", duration, "how long a client may take to send a request")
    # Workers poll more slowly than the five seconds of uvicorn, and would reconnect each time.
    keep_alive: float = _setting("75s", duration, "how long a connection may be idle between two requests")
    sweep_interval: float = _setting("1s", duration, "how often overdue tasks are reclaimed and chains flushed")
    snapshot_interval: float = _setting("120s", duration, "how often the monitoring records the counts of a project")
    monitoring_history: float = _setting("400h", duration, "how long the monitoring keeps these counts")
    max_assign_time: float = _setting("1h", duration, "how long a worker may hold a task whose max_assign_time is 0")
    max_body: int = _setting(
        "16mb", size_between(64 << 10, 256 << 20), "largest body of a call that contains tasks, log lines or texts"
    )
    max_bodies: int = _setting("128mb", size_between(1 << 20, 64 << 30), "memory for large bodies in a server process")
    max_head: int = _setting("64kb", size_between(8 << 10, 16 << 20), "largest request line and headers")
    # A chain passes on a hundred recipes in one command, and the store accepts 1 GiB.
    max_recipe: int = _setting("1mb", size_between(1 << 10, 4 << 20), "largest recipe of a task")
    max_alias: int = _setting("16384", whole(32, 16_384), "longest alias of a worker, in characters")
    # The console submits 500 tasks a call.
    max_bulk: int = _setting("10000", whole(500, 100_000), "most tasks of one bulk call")
    max_count: int = _setting("1000", whole(1, 10_000), "most tasks that one get assigns")
    max_projects: int = _setting(
        "1000", whole(0, 99_999), "projects that a manager who is not an admin may have; 0 for no limit"
    )
    session_ttl: float = _setting("7d", duration, "how long a manager stays signed in after the login")
    cookie: str = _setting("tt", word, "name of the session cookie")
    allow_registration: bool = _setting(
        "yes", flag, "whether anybody may register as a manager; the first manager always may"
    )
    notify_private: bool = _setting(
        "no", flag, "whether a project's notify_url may have an address that is not on the Internet"
    )
    public_logs: bool = _setting("no", flag, "whether everybody may read the logs over HTTP, or only managers")
    metrics_token: str = _setting("", token, "Bearer token that a reader of /metrics must send; empty for no token")
    metrics_projects: int = _setting(
        "100", whole(0, 5000), "projects that /metrics shows one by one: those with the most unfinished tasks"
    )
    create_limit: int = _setting(
        "6000", whole(0, 10**8), "workers that one address may create in a minute; 0 for no limit"
    )
    project_limit: int = _setting(
        "240", whole(0, 10**8), "projects that one address may create in a minute; 0 for no limit"
    )
    register_limit: int = _setting(
        "240", whole(0, 10**8), "accounts that one address may register in a minute; 0 for no limit"
    )
    login_limit: int = _setting(
        "120",
        whole(0, 10**8),
        "wrong passwords, and as many wrong join tokens, that one address may send in a minute; 0 for no limit",
    )
    trusted_proxies: str = _setting(
        "127.0.0.1",
        proxies,
        "addresses or networks whose X-Forwarded-* headers are trusted, separated by commas; * for all",
    )

    @classmethod
    def read(cls, environment: Mapping[str, str], given: Mapping[str, str | None] | None = None) -> "Settings":
        """From the flags (``given``, by field name), else the environment, else the defaults.

        Raises :class:`StartError` with one line that names a wrong value.
        """
        values: dict[str, Any] = {}
        for setting in fields(cls):
            text = (given or {}).get(setting.name)
            if text is None:
                text = environment.get(variable(setting))
            if text is None:
                continue
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except ValueError as error:
                shown = _OPTIONS.sub("?...", _LOGIN.sub(r"\1...@", text))
                raise StartError(f"{source(setting, environment, given or {})}: {shown!r} is not {error}") from None
        return cls(**values)

    def environment(self) -> dict[str, str]:
        """The environment from which :meth:`read` returns the same settings."""
        return {variable(setting): str(getattr(self, setting.name)) for setting in fields(self)}


def variable(setting: "Field[Any]") -> str:
    return f"BROKER_{setting.name.upper()}"


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Variables that look like settings but are not."""
    known = {variable(setting) for setting in fields(Settings)}
    return sorted(name for name in environment if name.startswith("BROKER_") and name not in known)


def flag_of(setting: "Field[Any]") -> str:
    return f"--{setting.name.replace('_', '-')}"


def source(setting: "Field[Any]", environment: Mapping[str, str], given: Mapping[str, object]) -> str:
    """The flag or the variable that a value came from. For a default, the flag if the command has it."""
    from_flag = given.get(setting.name) is not None
    default = setting.name in given and variable(setting) not in environment
    return flag_of(setting) if from_flag or default else variable(setting)
