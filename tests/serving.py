"""Starts and stops ``broker serve`` as an operator does."""

import atexit
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

import httpx

from broker.processes import die_with_parent
from tests.client import Caller

_PORTS = range(10_000, 32_000)
"""Below the ports of outgoing connections, one of which might take the port before the server does."""


def free_port() -> int:
    while True:
        port = SystemRandom().choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


@dataclass
class Serving:
    process: "subprocess.Popen[bytes]"
    url: str
    log: Path
    redis_url: str = ""
    callers: list[Caller] = field(default_factory=list)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        workers: int = 1,
        ready: bool = True,
        environment: Mapping[str, str] | None = None,
        **settings: str,
    ) -> "Serving":
        """``settings`` go into the environment as BROKER_*, beside ``environment``; data and log go into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        its = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
        its |= {"BROKER_DATA_DIR": str(folder / "data"), **(environment or {})}
        its |= {f"BROKER_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "broker", "serve", "--port", str(port), "--workers", str(workers)]
        log = folder / "serve.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=its,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                # A run that is killed leaves none behind.
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one thread
            )
        # A test that fails half-way leaves none behind.
        atexit.register(process.terminate)
        serving = cls(process, f"http://127.0.0.1:{port}", log, settings.get("redis_url", ""))
        if ready:
            serving.wait_for(200)
        return serving

    def wait_for(self, status: int, path: str = "/project/list", seconds: float = 20) -> None:
        """Waits until a GET of ``path`` answers with this status."""
        deadline = time.monotonic() + seconds
        seen: object = None
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                # Without certificates, which take longer to load than most calls take.
                seen = httpx.get(f"{self.url}{path}", timeout=10, verify=False).status_code
            except httpx.TransportError as error:
                seen = error
            if seen == status:
                return
            time.sleep(0.05)
        raise AssertionError(f"{path} answers {seen}, not {status}: {self.log.read_text()}")

    def children(self) -> dict[int, str]:
        """Process id and command of every process that this broker has started."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if parent == self.process.pid and command:
                found[int(entry.name)] = command
        return found

    def servers(self) -> list[int]:
        return [pid for pid, command in self.children().items() if "unixsocket" not in command]

    def store(self) -> int:
        return next(pid for pid, command in self.children().items() if "unixsocket" in command)

    def store_socket(self) -> Path:
        command = Path(f"/proc/{self.store()}/cmdline").read_text()
        match = re.search(r"unixsocket:?\0?([^\0 ]+\.sock)", command)
        assert match, command
        return Path(match[1])

    @property
    def store_url(self) -> str:
        return self.redis_url or f"unix://{self.store_socket()}"

    def caller(self) -> Caller:
        """Closed when this broker is stopped."""
        caller = Caller(self.url)
        self.callers.append(caller)
        return caller

    def admin(self) -> Caller:
        """Registers the first account."""
        caller = self.caller()
        caller.post("/register", {"username": "admin", "password": "a long password"}).content()
        return caller

    def stop(self, name: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        return self._end(name)

    def kill(self) -> None:
        """Kills the supervisor alone, as a machine short of memory may."""
        self._end(signal.SIGKILL)

    def _end(self, name: signal.Signals) -> int:
        for caller in self.callers:
            caller.close()
        self.process.send_signal(name)
        return self.process.wait(10)
