"""What the broker says of itself."""

import asyncio

from broker import __version__
from broker.api.endpoint import route
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.errors import Unavailable

_READY = 1.0
"""Seconds in which the store must answer whoever asks whether calls can be served."""


async def root(call: Call) -> Reply:
    if "text/html" in (call.header(b"accept") or ""):
        return Reply(status=303, headers={"Location": f"{call.scope.get('app_root_path', '')}/ui/"})
    return Reply({"name": "task-broker", "version": __version__})


async def healthz(call: Call) -> Reply:
    """The process is alive; whether its store is, is another question."""
    return Reply()


async def readyz(call: Call) -> Reply:
    """Calls can be served: the store answers a script, and nobody has told this process to stop."""
    if call.scope.get("state", {}).get("draining"):
        raise Unavailable("The broker is stopping")
    try:
        async with asyncio.timeout(_READY):
            await call.store.directory.layout()
    except TimeoutError:
        raise Unavailable("The store does not answer") from None
    return Reply()


ROUTES = [
    route("GET HEAD", "/", root),
    route("GET HEAD", "/healthz", healthz),
    route("GET HEAD", "/readyz", readyz),
]
