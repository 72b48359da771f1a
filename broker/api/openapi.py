"""The description of this API, for machines."""

import hashlib
import json
from functools import lru_cache

from broker import openapi
from broker.api.operation import ANYBODY, Example, Operation
from broker.api.requests import Call
from broker.api.responses import Answer, Plain
from broker.api.routing import Routes
from broker.settings import Settings

_JSON = b"application/json"


routes = Routes()


@lru_cache(maxsize=1)
def _built(settings: Settings) -> tuple[bytes, str]:
    """The document, and its ETag."""
    text = json.dumps(openapi.document(settings), ensure_ascii=False, separators=(",", ":")).encode()
    return text, f'"{hashlib.sha256(text).hexdigest()[:16]}"'


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
    text, etag = _built(call.settings)
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in (call.header(b"if-none-match") or ""):
        return Plain(b"", _JSON, headers, 304)
    return Plain(text, _JSON, headers)
