"""The credentials file of a worker: ``{"id": 1, "alias": "crawler-1", "secret": "..."}``."""

import codecs
import fcntl
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from broker.client.forks import forks
from broker.client.types import ClientError


class Credentials(msgspec.Struct, frozen=True):
    """The identity of a worker. Anybody with the secret can act as this worker."""

    id: int
    alias: str
    secret: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"X-Worker-ID": str(self.id), "X-Secret": self.secret}

    def __repr__(self) -> str:
        return f"Credentials(id={self.id}, alias={self.alias!r})"

    @classmethod
    def load(cls, file: str | Path) -> "Credentials | None":
        """None without a file. Raises :class:`ClientError` when the file does not hold credentials."""
        try:
            found = msgspec.json.decode(Path(file).read_bytes().removeprefix(codecs.BOM_UTF8), type=cls)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ClientError(f"{file} does not hold a worker's credentials: {error}") from None
        if not re.fullmatch("[!-~]([ -~]*[!-~])?", found.secret):
            raise ClientError(f"{file} does not hold a worker's credentials: the secret is not printable ASCII")
        return found

    @staticmethod
    def check(file: str | Path) -> None:
        """Raises :class:`OSError` when :meth:`save` could not create the file: a worker without its secret is lost."""
        descriptor, name = _temporary(Path(file))
        os.close(descriptor)
        os.unlink(name)

    def save(self, file: str | Path) -> "Credentials":
        """Creates the file, readable by its owner only, unless it exists. Returns the credentials in the file.

        The file is created whole or not at all. When two processes start at once, both use the worker in the file; the
        worker that the other process created is not used.
        """
        file = Path(file)
        descriptor, name = _temporary(file)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(msgspec.json.encode(self))
                stream.flush()
                os.fsync(stream.fileno())
            os.link(name, file)
        except FileExistsError:
            return Credentials.load(file) or self.save(file)
        finally:
            os.unlink(name)
        return self

    def rename(self, file: str | Path, alias: str) -> "Credentials":
        """Writes the alias to the file. It does not replace the file: programs hold their :class:`SharedLock` on it."""
        renamed = msgspec.structs.replace(self, alias=alias)
        with open(file, "r+b", buffering=0) as stream:
            # One write, padded with spaces to the old length: nobody reads half of it.
            stream.write(msgspec.json.encode(renamed).ljust(os.fstat(stream.fileno()).st_size))
            os.fsync(stream.fileno())
        return renamed


def _temporary(file: Path) -> tuple[int, str]:
    """Creates a file in the same folder, readable by its owner only. Returns its descriptor and name."""
    try:
        return tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None


class SharedLock:
    """Each program on this machine holds it on its credentials file for as long as it runs."""

    def __init__(self, file: str | Path) -> None:
        self._file = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._file, fcntl.LOCK_SH)
        # A child that outlives this program would hold the lock as well.
        forks.in_child.add(self.release)

    def alone(self) -> bool:
        """Whether no other program uses the file now."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            # A conversion that fails may lose the shared lock.
            fcntl.flock(self._file, fcntl.LOCK_SH)
        return True

    def release(self) -> None:
        forks.in_child.discard(self.release)
        os.close(self._file)
