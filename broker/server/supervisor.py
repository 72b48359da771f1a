"""Starts the store and the server processes, replaces those that end, and stops all of them.

All checks of the start happen here. The socket is bound here too and passed to every server process: a port in use is
a clear error, and no connection is lost while a server process is replaced.
"""

import asyncio
import errno
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

from broker import __version__, processes
from broker.charts import chart_library
from broker.counters import shared_memory
from broker.errors import StartError
from broker.settings import Settings
from broker.store.check import StoreAway, check
from broker.store.redis.embedded import EmbeddedStore

log = logging.getLogger(__name__)

_TICK = 0.1
"""Seconds between checks of the children."""

_RESPAWN = 1.0
"""Seconds to wait before a server process that ended sooner than this is replaced."""

_FILES, _FEW_FILES = 65_536, 4_096
"""Files that each process may have open, connections included; and the number below which a warning is logged."""

_STORE_CHECK = 1.0
"""Seconds that one check of the store may take, and between two checks. Children are not checked meanwhile."""

SAME = 0.5
"""Seconds in which a second signal counts as the first: a terminal and a program in between may both pass it on."""

_STORE_WAIT = 5.0
"""Seconds to wait for the store before serving 503 without it."""


class Supervisor:
    def __init__(self, settings: Settings) -> None:
        self._embedded = None if settings.redis_url else EmbeddedStore(settings)
        self._settings = replace(settings, redis_url=self._embedded.url) if self._embedded else settings
        self._servers: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        """Server processes, and when they were started, by the number of their area in the counters."""
        self._counters = shared_memory(settings.workers)
        self._signals: SimpleQueue[float] = SimpleQueue()
        """When the signals arrived. A handler must not wait for the lock of an Event that it may have interrupted."""
        self._stopping = 0.0
        """Time of the first signal; 0 before."""

    def run(self) -> int:
        """Serves until SIGTERM, SIGINT or SIGHUP; the exit code. Raises :class:`StartError`."""
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # nohup ignores SIGHUP.
            if signal.getsignal(name) is not signal.SIG_IGN:
                signal.signal(name, lambda *_: self._signals.put(time.monotonic()))
        _raise_file_limit()
        chart_library()
        listener = self._listen()
        if self._embedded:
            self._embedded.start()
        try:
            checked = self._check(_STORE_WAIT)
            self._log_start(listener)
            for number in range(self._settings.workers):
                self._start_server(number, listener)
            last_check = time.monotonic()
            while not self._signalled(_TICK):
                self._replace_children(listener)
                if not checked and time.monotonic() - last_check >= _STORE_CHECK:
                    checked, last_check = self._check(0), time.monotonic()
        finally:
            self._stop(listener)
        return 0

    def _signalled(self, seconds: float) -> bool:
        """Whether to stop. Waits so long for a signal."""
        if not self._stopping:
            with suppress(Empty):
                self._stopping = self._signals.get(timeout=seconds)
        return self._stopping > 0

    def _signalled_again(self) -> bool:
        return not self._signals.empty() and self._signals.get() - self._stopping > SAME

    def _listen(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # The system closes a connection whose client does not read its answer for so long; uvicorn would keep it.
            patience = round(self._settings.request_timeout * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
        try:
            listener.bind((host, port))
            listener.listen(2048)
        except (OSError, UnicodeError) as error:
            listener.close()
            # A host name that is too long or has an empty part is a UnicodeError.
            wrong_port = isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES}
            why = error.strerror if isinstance(error, OSError) and error.strerror else "not a host name or address"
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise StartError(f"cannot listen on {where}: {why}", setting="port" if wrong_port else "host") from None
        return listener

    def _check(self, seconds: float) -> bool:
        """Whether the store answers. Waits ``seconds`` for it. Raises :class:`StartError` when it cannot be used."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                warnings, accounts = asyncio.run(check(replace(self._settings, redis_timeout=_STORE_CHECK)))
                break
            except StoreAway as error:
                if seconds and self._embedded:
                    self._embedded.must_run()
                if time.monotonic() >= deadline or self._signalled(_TICK):
                    if seconds:
                        log.warning("the store does not answer (%s); calls get 503 until it does", error)
                    return False
        for warning in warnings:
            log.warning("%s", warning)
        if not accounts and self._settings.host not in {"127.0.0.1", "::1", "localhost"}:
            # The URL may hold a password.
            store = f"--data-dir {self._settings.data_dir}" if self._embedded else "--redis-url URL"
            log.warning("no account exists yet, and the first to register becomes admin; create one now:")
            log.warning("broker create-admin %s NAME", store)
        return True

    def _log_start(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        where = self._settings.data_dir if self._embedded else "the store of --redis-url"
        plural = "es" if self._settings.workers > 1 else ""
        log.info("broker %s serves at http://%s:%d", __version__, host, port)
        log.info("%d server process%s, data in %s; Ctrl-C stops it", self._settings.workers, plural, where)

    def _start_server(self, number: int, listener: socket.socket) -> None:
        inherited = [listener.fileno(), self._counters]
        command = [sys.executable, "-m", "broker.server.process", *map(str, (*inherited, number))]
        environment = {**os.environ, **self._settings.environment()}
        child = processes.spawn(command, environment=environment, keep=inherited)
        self._servers[number] = child, time.monotonic()

    def _replace_children(self, listener: socket.socket) -> None:
        if self._embedded and (news := self._embedded.tend()):
            log.error("%s", news)
        for number, (child, started) in self._servers.items():
            if child.poll() is None:
                continue
            log.error("server process %d ended with %d; starting another", child.pid, child.returncode)
            if not self._signalled(_RESPAWN if time.monotonic() - started < _RESPAWN else 0):
                self._start_server(number, listener)

    def _stop(self, listener: socket.socket) -> None:
        listener.close()
        servers = [child for child, _ in self._servers.values()]
        seconds = self._settings.drain + self._settings.grace + 1
        if not processes.stop(servers, seconds, hurry=self._signalled_again):
            log.error("a server process had to be killed")
        if self._embedded:
            self._embedded.stop()
        log.info("stopped")


def _raise_file_limit() -> None:
    """Each connection is an open file: the usual soft limit of 1,024 is too low for a fleet."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < _FEW_FILES:
        log.warning("only %d files may be open: about as many clients can be connected to a server process", wanted)
