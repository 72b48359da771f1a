"""Debian's PostgreSQL, for as long as a test takes: it makes the dumps that the original tracker's operators make."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving import until

_QUICK = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "listen_addresses=", "-c", "max_connections=5")


class Postgres:
    def __init__(self, folder: Path, programs: Path) -> None:
        self.url = f"postgresql://tracker@/postgres?host={folder}"
        self.programs = programs

    def run(self, sql: str) -> str:
        """Rows without decoration."""
        command = [str(self.programs / "psql"), self.url, "-XqAt", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(command, input=sql, text=True, capture_output=True, check=True).stdout


def programs() -> Path | None:
    """Those of the newest version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return found[-1] if found else None


@contextmanager
def postgres() -> Iterator[Postgres]:
    """On a socket in a directory of its own; /tmp, because a socket's path may have 107 bytes."""
    place = programs()
    assert place, "there is no PostgreSQL: apt-get install postgresql"
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    as_user: dict[str, object] = {}
    if os.getuid() == 0:
        # It refuses to run as root.
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data = folder / "data"
    init = [
        str(place / "initdb"),
        "-D",
        data,
        "-U",
        "tracker",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale",
        "C",
        "--no-sync",
    ]
    subprocess.run(init, check=True, capture_output=True, cwd=folder, **as_user)  # type: ignore[call-overload]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(  # type: ignore[call-overload]
            [place / "postgres", "-D", data, "-k", folder, *_QUICK], stdout=log, stderr=log, cwd=folder, **as_user
        )
    try:
        ready = [str(place / "pg_isready"), "-q", "-h", str(folder)]
        until(lambda: subprocess.run(ready, check=False).returncode == 0)
        yield Postgres(folder, place)
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder)
