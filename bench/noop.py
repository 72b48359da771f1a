"""The baseline: an ASGI application that does nothing, served exactly as the broker is. ``python -m bench.noop FD``."""

import logging
import os
import sys

from starlette.types import ASGIApp, Receive, Scope, Send

from broker.server import process as server
from broker.settings import Settings

_BODY = b'{"ok":true}'
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))],
}
_END = {"type": "http.response.body", "body": _BODY}


def make() -> ASGIApp:
    return _answer


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    else:
        await send(_START)
        await send(_END)


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def main() -> None:
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server.run(server.config("bench.noop:make", Settings.read(os.environ)), int(sys.argv[1]))


if __name__ == "__main__":
    main()
