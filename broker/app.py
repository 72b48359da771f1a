"""Builds the application: routes, what wraps them, and what lives as long as it does."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Router

from broker import api, sweeper, web
from broker.api.envelope import Reply
from broker.errors import BrokerError
from broker.logs import ToStore
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.keys import LAYOUT

log = logging.getLogger(__name__)

_FIRST_LOOK = 2.0
"""Seconds that the start waits for the store; after that, calls answer 503 until it is there."""

_RETRY = 0.2
"""Seconds between looks for a store that is away."""


def from_environment() -> Starlette:
    """The factory that server processes run: settings come to them through the environment."""
    return create_app(Settings.read(os.environ))


def create_app(settings: Settings, store: Store | None = None) -> Starlette:
    """An application on ``store``, by default the one that the settings name."""
    store = store or open_store(settings)
    routes = api.routes()
    app = Starlette(
        routes=[*routes, Mount("/api", Router(routes, redirect_slashes=False)), *web.routes()],
        exception_handlers={HTTPException: _routing_error, Exception: _unexpected},
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    app.state.settings = settings
    app.state.store = store
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    store: Store = app.state.store
    records = ToStore(store.logs)
    logging.getLogger().addHandler(records)
    background = [
        asyncio.create_task(_live(store, app.state.settings.sweep_interval)),
        asyncio.create_task(records.run()),
    ]
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(store.ready.wait(), _FIRST_LOOK)
        yield
    finally:
        logging.getLogger().removeHandler(records)
        while not all(task.done() for task in background):
            # asyncio.wait_for, which redis-py uses, may swallow a cancellation in Python 3.11: one is not enough.
            for task in background:
                task.cancel()
            await asyncio.wait(background, timeout=0.1)
        await store.close()


async def _live(store: Store, interval: float) -> None:
    """Waits for the store, then sweeps. Data of another layout is never touched: calls go on answering 503."""
    while not store.ready.is_set():
        try:
            layout, _ = await store.directory.layout()
        except BrokerError:
            await asyncio.sleep(_RETRY)
            continue
        if layout != LAYOUT:
            log.error("the data has key layout %d, this broker knows %d", layout, LAYOUT)
            return
        store.ready.set()
    await sweeper.sweep_for_ever(store, interval)


async def _routing_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code != 405:
        return Reply(None, "No such path", False, "not_found", error.status_code).response()
    # Starlette tells the methods of the first route that has this path; the others take some as well.
    path = request.url.path.removeprefix("/api")
    taken = {method for route in api.routes() if route.path_regex.match(path) for method in route.methods or ()}
    headers = {"Allow": ", ".join(sorted(taken))}
    return Reply(
        None, "This path does not take this method", False, "method_not_allowed", 405, headers=headers
    ).response()


async def _unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours; Starlette logs it with its trace, the client sees neither."""
    return Reply(None, "Internal error", False, "internal", 500).response()
