"""The broker itself: its name, whether it can serve, its metrics, and the description of this API."""

import asyncio
import hmac
import logging

from broker import __version__
from broker.api import answers, prometheus
from broker.api.requests import Call
from broker.api.responses import Answer, Plain, Reply
from broker.api.routing import ANYBODY, SCRAPER, Example, Operation, Routes
from broker.errors import BrokerError, Unavailable
from broker.store.monitoring import Overview

_READY = 1.0
"""Seconds in which the store must answer a readiness check."""


routes = Routes()


@routes.add(
    "GET HEAD /",
    Operation(
        group="The broker",
        summary="Name and version",
        text="A browser (`Accept: text/html`) is redirected to the web UI.",
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
        summary="Check whether the server process runs",
        text="This does not check the store.",
        who=ANYBODY,
        store=False,
        example=Example(path="/healthz"),
    ),
)
async def healthz(call: Call) -> Reply:
    return Reply()


@routes.add(
    "GET HEAD /readyz",
    Operation(
        group="The broker",
        summary="Check whether calls can be served",
        text="200 if the store runs a script within a second, else 503; also 503 from the moment at which the broker "
        "is told to stop.",
        who=ANYBODY,
        example=Example(path="/readyz"),
    ),
)
async def readyz(call: Call) -> Reply:
    if call.scope.get("state", {}).get("draining"):
        raise Unavailable("The broker is stopping")
    try:
        async with asyncio.timeout(_READY):
            await call.store.layout()
    except TimeoutError:
        raise Unavailable("The store does not answer") from None
    return Reply()


log = logging.getLogger(__name__)

_LONGEST = 5.0
"""Seconds to wait for the store: half of Prometheus' default timeout."""


@routes.add(
    "GET /metrics",
    Operation(
        group="The broker",
        summary="Metrics",
        text="For Prometheus, in its text format 0.0.4. The HELP line of a metric explains it. Every process returns "
        "the same metrics. Hidden projects are included only with the token. If the store does not answer, "
        "`broker_store_up` is 0 and the store's metrics are absent.",
        who=SCRAPER,
        store=False,
        media="text/plain",
        example=Example(path="/metrics"),
    ),
)
async def metrics(call: Call) -> Answer:
    token = call.settings.metrics_token
    given = call.headers.get(b"authorization", b"")
    if token and not hmac.compare_digest(given, b"Bearer " + token.encode()):
        message = "authorization: needs Bearer and the token that BROKER_METRICS_TOKEN sets"
        return Reply(None, message, False, "bad_credentials", 401, headers=[("WWW-Authenticate", "Bearer")])
    store = call.app.store
    overview = await _overview(call)
    lines = prometheus.of_processes(call.app.requests, store.metrics) + prometheus.of_store(
        overview is not None, overview
    )
    if overview is not None:
        # In the API, hidden projects need a role; here they need the token.
        counts = [count for count in overview.counts if token or not count.project.hidden]
        lines += prometheus.of_all([overview.shown, *([overview.hidden] if token else [])])
        lines += await prometheus.of_projects(counts[: call.settings.metrics_projects])
    return Plain("\n".join([*lines, ""]).encode(), prometheus.TYPE, {"Cache-Control": "no-store"})


async def _overview(call: Call) -> Overview | None:
    """None when the store does not answer, for any reason: the other metrics must still be returned."""
    try:
        async with asyncio.timeout(_LONGEST):
            return await call.store.overview.get()
    except (BrokerError, TimeoutError):
        return None
    except Exception:
        log.exception("metrics")
        return None


_JSON = b"application/json"


@routes.add(
    "GET /openapi.json",
    Operation(
        group="The broker",
        summary="Get this document",
        text="OpenAPI 3.1. The document changes only with the version and the settings of the broker; send "
        "`If-None-Match`.",
        who=ANYBODY,
        store=False,
        media="application/json",
        also={304: "the document has not changed, by `If-None-Match`"},
        example=Example(path="/openapi.json"),
    ),
)
async def document(call: Call) -> Answer:
    description = call.app.description
    headers = {"ETag": description.etag, "Cache-Control": "no-cache"}
    if description.etag in (call.header(b"if-none-match") or ""):
        return Plain(b"", _JSON, headers, 304)
    return Plain(description.encoded, _JSON, headers)
