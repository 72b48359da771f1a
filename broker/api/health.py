"""What the broker says of itself."""

import asyncio

from broker import __version__
from broker.api import answers
from broker.api.operation import ANYBODY, Example, Operation
from broker.api.requests import Call
from broker.api.responses import Reply
from broker.api.routing import Routes
from broker.errors import Unavailable

_READY = 1.0
"""Seconds in which the store must answer whoever asks whether calls can be served."""


routes = Routes()


@routes.add(
    "GET HEAD /",
    Operation(
        group="The broker",
        summary="Name and version",
        text="A browser (`Accept: text/html`) is led to the web UI.",
        who=ANYBODY,
        store=False,
        content=(answers.About,),
        also={303: "to the web UI, when `Accept` has `text/html`"},
        example=Example(path="/", content={"name": "task-broker", "version": __version__}),
    ),
)
async def root(call: Call) -> Reply:
    if "text/html" in (call.header(b"accept") or ""):
        return Reply(status=303, headers=[("Location", f"{call.scope.get('app_root_path', '')}/ui/")])
    return Reply({"name": "task-broker", "version": __version__})


@routes.add(
    "GET HEAD /healthz",
    Operation(
        group="The broker",
        summary="Whether the process lives",
        text="Whether its store does is another question.",
        who=ANYBODY,
        store=False,
        example=Example(path="/healthz"),
    ),
)
async def healthz(call: Call) -> Reply:
    """The process is alive; whether its store is, is another question."""
    return Reply()


@routes.add(
    "GET HEAD /readyz",
    Operation(
        group="The broker",
        summary="Whether calls can be served",
        text="200 when the store has just carried out a script. 503 when it has not within a second, and from the "
        "moment on at which the broker is told to stop.",
        who=ANYBODY,
        example=Example(path="/readyz"),
    ),
)
async def readyz(call: Call) -> Reply:
    """Calls can be served: the store answers a script, and nobody has told this process to stop."""
    if call.scope.get("state", {}).get("draining"):
        raise Unavailable("The broker is stopping")
    try:
        async with asyncio.timeout(_READY):
            await call.store.layout()
    except TimeoutError:
        raise Unavailable("The store does not answer") from None
    return Reply()
