"""The description of this API, for machines."""

import hashlib
import json
from functools import lru_cache

from broker import openapi
from broker.api.endpoint import route
from broker.api.requests import Call
from broker.api.responses import Answer, Plain
from broker.settings import Settings

_JSON = b"application/json"


@lru_cache(maxsize=1)
def _built(settings: Settings) -> tuple[bytes, str]:
    """The document, and its ETag."""
    text = json.dumps(openapi.document(settings), ensure_ascii=False, separators=(",", ":")).encode()
    return text, f'"{hashlib.sha256(text).hexdigest()[:16]}"'


async def document(call: Call) -> Answer:
    text, etag = _built(call.settings)
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in (call.header(b"if-none-match") or ""):
        return Plain(b"", _JSON, headers, 304)
    return Plain(text, _JSON, headers)


ROUTES = [route("GET", "/openapi.json", document)]
