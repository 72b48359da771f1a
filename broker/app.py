"""Builds the application: routes, error handlers, and background work."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cached_property, partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Mount, Route, Router
from starlette.types import Message, Receive, Scope, Send

from broker import api, sweeper, web
from broker.api.requests import Bodies, Call, Served, served
from broker.api.responses import STATUS, Reply, fault
from broker.api.routing import Hot, Table
from broker.background import supervised
from broker.counters import Counters, Requests
from broker.errors import BrokerError
from broker.notifier import Notifier
from broker.openapi.document import Description
from broker.server.exchange import Direct
from broker.server.logs import ToStore, request_id
from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.redis.keys import LAYOUT

log = logging.getLogger(__name__)

_START_WAIT = 2.0
"""Seconds that the start waits for the store; after that, calls answer 503 until it is there."""

_RETRY = 0.2
"""Seconds between attempts to reach the store."""

_SLASHES = re.compile("//+")

ANSWERED = {200, 204, 303, 304, *STATUS.values()}
"""Every status that an answer may have."""


def create_app(
    settings: Settings, store: Store | None = None, counters: Counters | None = None, *, direct: bool = True
) -> Starlette:
    """An application on ``store``, by default the one that the settings name; ``counters``, by default its own.

    ``direct``: whether our own server may serve hot calls without ASGI.
    """
    counters = counters or Counters()
    return Broker(settings, store or open_store(settings, counters=counters), counters, direct=direct)


class Broker(Starlette):
    """A Starlette application that passes the calls in its table straight to their endpoints."""

    def __init__(self, settings: Settings, store: Store, counters: Counters, *, direct: bool) -> None:
        routes = api.routes()
        super().__init__(
            routes=[*routes, Mount("/api", Router(routes, redirect_slashes=False)), *web.routes()],
            exception_handlers={HTTPException: _routing_error, Exception: _unexpected},
            lifespan=_lifespan,
        )
        self.router.redirect_slashes = False
        self.settings = settings
        self.bodies = Bodies(max(settings.max_bodies, settings.max_body))
        self.store = store
        self.requests = Requests(counters, [*sorted({route.path for route in routes}), web.ROUTE], sorted(ANSWERED))
        self._api = routes
        self._table = Table(routes, ("", "/api"))
        self.hot = HotCalls(self, self._table) if direct else None

    @cached_property
    def description(self) -> Description:
        """Created at the first use, because this takes longer than the rest of the start."""
        return Description(self._api, self.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        begun = self.requests.begin()
        notes = served(scope)
        request_id.set(notes.id)
        try:
            found = self._table.find(scope["method"], scope["path"])
            if found is None and "//" in scope["path"]:
                # An existing client sends //worker/create.
                scope["path"] = _SLASHES.sub("/", scope["path"])
                found = self._table.find(scope["method"], scope["path"])
            if found is None:
                await super().__call__(scope, receive, _noting(notes, scope, send))
            else:
                endpoint, scope["path_params"] = found
                scope["app"] = self
                await endpoint(scope, receive, send)
        finally:
            self.requests.end(notes.route, notes.status, begun + notes.waited)


class HotCalls:
    """Serves hot calls for our own server, as :class:`Broker` does, but without ASGI."""

    def __init__(self, app: Broker, table: Table) -> None:
        self._app = app
        self.find = table.find_hot

    async def serve(self, hot: Hot, exchange: Direct) -> None:
        requests = self._app.requests
        begun = requests.begin()
        request_id.set(exchange.id)
        endpoint, notes = hot.endpoint, Served(exchange, exchange.id)
        try:
            call = Call(self._app, hot.target, exchange.headers, notes, exchange.receive, large=endpoint.large)
            await endpoint.serve(call, exchange.answer)
        finally:
            requests.end(notes.route, notes.status, begun + notes.waited)


def _noting(notes: Served, scope: Scope, send: Send) -> Send:
    """Notes the status and the route, as an Endpoint does."""

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            notes.status = message["status"]
            if scope["path"].startswith(f"{web.ROUTE}/"):
                notes.route = web.ROUTE
        await send(message)

    return noting


@asynccontextmanager
async def _lifespan(app: Broker) -> AsyncIterator[dict[str, object]]:
    store = app.store
    records = ToStore(store.logs)
    logging.getLogger().addHandler(records)
    background = [
        supervised("sweeping", partial(_sweep_when_ready, store, app.settings.sweep_interval)),
        supervised("counting", partial(_count_when_ready, store)),
        supervised("writing which workers were seen", partial(_note_when_ready, store)),
        supervised("sending events", partial(_notify_when_ready, store, app.settings)),
        supervised("storing log records", records.run),
    ]
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(store.ready.wait(), _START_WAIT)
        yield {"end_waits": store.waiters.queues.end_all, "hot": app.hot}
    finally:
        logging.getLogger().removeHandler(records)
        while not all(task.done() for task in background):
            # asyncio.wait_for, which redis-py uses, may swallow a cancellation in Python 3.11: one is not enough.
            for task in background:
                task.cancel()
            await asyncio.wait(background, timeout=0.1)
        await store.close()


async def _sweep_when_ready(store: Store, interval: float) -> None:
    """Waits for the store, then sweeps. Data of another layout is never changed: calls still answer 503."""
    while not store.ready.is_set():
        try:
            layout, _ = await store.layout()
        except BrokerError:
            await asyncio.sleep(_RETRY)
            continue
        if layout != LAYOUT:
            log.error("the data has key layout %d, this broker knows %d", layout, LAYOUT)
            return
        store.ready.set()
    await sweeper.sweep_for_ever(store, interval)


async def _count_when_ready(store: Store) -> None:
    await store.ready.wait()
    await store.counting.run(store.claim)


async def _note_when_ready(store: Store) -> None:
    await store.ready.wait()
    await store.presence.run()


async def _notify_when_ready(store: Store, settings: Settings) -> None:
    await store.ready.wait()
    await Notifier(store, private=settings.notify_private).run()


async def _routing_error(request: Request, error: Exception) -> Any:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code != 405:
        return Reply(None, "No such path", False, "not_found", error.status_code)
    # Starlette names only the methods of the first route that has this path.
    path = request.url.path.removeprefix("/api")
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    taken = {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
    headers = [("Allow", ", ".join(sorted(taken)))]
    return Reply(None, "This path does not take this method", False, "method_not_allowed", 405, headers=headers)


async def _unexpected(request: Request, error: Exception) -> Any:
    """Starlette logs the error with its trace."""
    return fault()
