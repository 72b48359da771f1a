"""One server process: ``python -m broker.server.process SOCKET [COUNTERS NUMBER]``.

SOCKET is the file descriptor to serve on, COUNTERS that of the shared memory, NUMBER the area of this process in it.
"""

import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from broker.app import create_app
from broker.counters import Counters
from broker.server import logs
from broker.server.protocol import bounded
from broker.settings import Settings

_GARBAGE = 20_000
"""New objects after which Python looks for cycles. Requests make no cycles, but one turn of the event loop creates more
than the 700 objects that are the default: Python searched at every turn and found nothing."""


def main() -> None:
    settings = Settings.read(os.environ)
    logs.configure(settings, thread=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    listener, *shared = map(int, sys.argv[1:])
    app = partial(create_app, settings, counters=Counters(*shared))
    run(config(app, settings), listener, settings.drain)


def config(app: str | Callable[[], ASGIApp], settings: Settings) -> uvicorn.Config:
    """``app`` is a function that creates the application, or its name as ``module:function``."""
    return uvicorn.Config(
        app,
        factory=True,
        log_config=None,
        access_log=False,
        http=bounded(settings),
        ws="none",
        lifespan="on",
        # The types of uvicorn allow whole seconds only; its event loop takes fractions.
        timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]
        timeout_graceful_shutdown=settings.grace,  # type: ignore[arg-type]
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
    )


class Server(uvicorn.Server):
    """Serves for ``drain`` more seconds after a signal; /readyz answers 503 from then on.

    SIGINT as the second signal ends that, and uvicorn then waits for no request.
    """

    def __init__(self, config: uvicorn.Config, drain: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._parent = os.getppid()
        self._signalled = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            self._signalled = time.monotonic()
            if self.started:
                # The scope of each request has a copy of this state.
                self.lifespan.state["draining"] = True
        elif sig == signal.SIGINT:
            self._drain = 0
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        stop = await super().on_tick(counter)
        if stop and (end_waits := self.lifespan.state.pop("end_waits", None)):
            end_waits()
        # Without its supervisor, this process would only keep the port from the next broker.
        return stop and (time.monotonic() - self._signalled >= self._drain or os.getppid() != self._parent)


def run(config: uvicorn.Config, listener: int, drain: float = 0) -> None:
    """Serves on this file descriptor until ``drain`` seconds after a signal."""
    config.load()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    Server(config, drain).run(sockets=[socket.socket(fileno=listener)])


if __name__ == "__main__":
    main()
