"""The credentials file of a worker: ``{"id": 1, "alias": "crawler-1", "secret": "..."}``."""

import fcntl
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from broker.client.types import ClientError


class Credentials(msgspec.Struct, frozen=True):
    """Who a worker is. Whoever has the secret is this worker."""

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
        """None when there is no such file. Raises :class:`ClientError` when it holds no credentials."""
        try:
            found = msgspec.json.decode(Path(file).read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ClientError(f"{file} holds no worker's credentials: {error}") from None
        if not re.fullmatch("[!-~]([ -~]*[!-~])?", found.secret):
            raise ClientError(f"{file} holds no worker's credentials: the secret is not printable ASCII")
        return found

    @staticmethod
    def check(file: str | Path) -> None:
        """Raises :class:`OSError` when :meth:`save` could not make the file: a secret that is lost is a lost worker."""
        number, name = _beside(Path(file))
        os.close(number)
        os.unlink(name)

    def save(self, file: str | Path) -> "Credentials":
        """Makes the file, for its owner only, unless there is one. What the file holds then: perhaps another's.

        It appears whole or not at all, and never over another: of two processes that start at once, both are the same
        worker in the end, and the other's stays unused.
        """
        file = Path(file)
        number, name = _beside(file)
        try:
            with open(number, "wb") as stream:
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
        """Writes the alias to the file. The file stays the same one: programs hold their :class:`SharedLock` on it."""
        renamed = msgspec.structs.replace(self, alias=alias)
        with open(file, "r+b", buffering=0) as stream:
            # One write, with spaces over what was longer: nobody reads half of it.
            stream.write(msgspec.json.encode(renamed).ljust(os.fstat(stream.fileno()).st_size))
            os.fsync(stream.fileno())
        return renamed


def _beside(file: Path) -> tuple[int, str]:
    """A new file in the same folder, for its owner only: its number and its name."""
    try:
        return tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None


class SharedLock:
    """Held on a credentials file by each program of this machine that works with it, for as long as it runs."""

    def __init__(self, file: str | Path) -> None:
        self._file = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Whether no other program works with the file now."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            # A lock that could not be converted is gone, so it is taken in both cases.
            fcntl.flock(self._file, fcntl.LOCK_SH)
        return True

    def release(self) -> None:
        os.close(self._file)
