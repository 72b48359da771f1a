"""What Prometheus reads: all server processes and the store, whichever process is asked."""

import asyncio
import hmac
import logging

from broker.api import prometheus
from broker.api.operation import SCRAPER, Example, Operation
from broker.api.requests import Call
from broker.api.responses import Answer, Plain, Reply
from broker.api.routing import Routes
from broker.errors import BrokerError
from broker.store.stats.overview import Overview

log = logging.getLogger(__name__)

_LONGEST = 5.0
"""Seconds that the store gets: half of what Prometheus waits by default."""


routes = Routes()


@routes.add(
    "GET /metrics",
    Operation(
        group="The broker",
        summary="Metrics",
        text="For Prometheus, in its text format 0.0.4; what each means is in its HELP. The same from every process. "
        "Hidden projects need the token. When the store does not answer, `broker_store_up` is 0 and the store's part "
        "is absent.",
        who=SCRAPER,
        store=False,
        media="text/plain",
        example=Example(path="/metrics"),
    ),
)
async def read(call: Call) -> Answer:
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
        # What the API tells of hidden projects needs a role; here it needs the token.
        lines += await prometheus.of_projects([count for count in overview.counts if token or not count.project.hidden])
    return Plain("\n".join([*lines, ""]).encode(), prometheus.TYPE, {"Cache-Control": "no-store"})


async def _overview(call: Call) -> Overview | None:
    """None when the store does not answer, whatever the reason: whoever watches must hear of the rest."""
    try:
        async with asyncio.timeout(_LONGEST):
            return await call.store.overview.get()
    except (BrokerError, TimeoutError):
        return None
    except Exception:
        log.exception("metrics")
        return None
