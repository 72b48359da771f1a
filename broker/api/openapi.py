"""The description of this API, for machines."""

from broker.api.operation import ANYBODY, Example, Operation
from broker.api.requests import Call
from broker.api.responses import Answer, Plain
from broker.api.routing import Routes

_JSON = b"application/json"


routes = Routes()


@routes.add(
    "GET /openapi.json",
    Operation(
        group="The broker",
        summary="This document",
        text="OpenAPI 3.1. It changes with the version and the settings of the broker only; ask with `If-None-Match`.",
        who=ANYBODY,
        store=False,
        media="application/json",
        also={304: "as `If-None-Match` has it"},
        example=Example(path="/openapi.json"),
    ),
)
async def document(call: Call) -> Answer:
    told = call.app.description
    headers = {"ETag": told.etag, "Cache-Control": "no-cache"}
    if told.etag in (call.header(b"if-none-match") or ""):
        return Plain(b"", _JSON, headers, 304)
    return Plain(told.encoded, _JSON, headers)
