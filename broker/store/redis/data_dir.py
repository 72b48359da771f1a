"""The data directory of the embedded store: who may use it (a lock), and where the Unix socket is."""

import fcntl
import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from broker.errors import StartError

_LONGEST = 107
"""Bytes that the path of a Unix socket may have."""


class SocketPath:
    """The path of the store's socket: the same in every process that has the same data directory."""

    def __init__(self, data: Path) -> None:
        resolved = data.resolve()
        self.path = resolved / "store.sock"
        self._runtime: Path | None = None
        """A directory for the socket alone, if its path in the data directory is too long."""
        if not _fits(self.path):
            name = f"broker-{os.getuid()}-{hashlib.sha256(os.fsencode(resolved)).hexdigest()[:16]}"
            self._runtime = Path("/tmp") / name  # noqa: S108 - checked in make
            known = os.environ.get("XDG_RUNTIME_DIR")
            if known and _fits(Path(known) / name / "store.sock"):
                self._runtime = Path(known) / name
            self.path = self._runtime / "store.sock"

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.path))}"

    def make(self) -> None:
        """Creates the directory for the socket. Raises :class:`StartError` if another user has created it first."""
        if self._runtime is None:
            return
        try:
            with suppress(FileExistsError):
                self._runtime.mkdir(mode=0o700)
            found = self._runtime.lstat()
        except OSError as error:
            raise StartError(f"the store's socket: cannot create {self._runtime}: {error.strerror}") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise StartError(
                f"the store's socket: {self._runtime} belongs to another user, is not a directory, or is open to "
                "others: "
                "remove it, or use a --data-dir with a shorter path"
            )

    def exists(self) -> bool:
        """Raises :class:`StartError` if another user has created the socket's directory."""
        if self._runtime is not None and os.path.lexists(self._runtime):
            self.make()
        return self.path.is_socket()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        if self._runtime is not None:
            with suppress(OSError):
                self._runtime.rmdir()


def _fits(path: Path) -> bool:
    try:
        return len(str(path).encode()) <= _LONGEST
    except UnicodeEncodeError:
        # It could not be part of a URL.
        return False


def lock(path: Path) -> int:
    """Returns the descriptor that holds the lock. Raises :class:`BlockingIOError` if it is taken, or another
    :class:`OSError`.

    A directory is locked itself: unlike a file in it, it cannot be deleted while it is not empty. Some network file
    systems can lock only files; there, locking a directory always succeeds.
    """
    is_directory = path.is_dir()
    descriptor = os.open(path, os.O_RDONLY if is_directory else os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError) or not is_directory:
            os.close(descriptor)
            raise
    return descriptor
