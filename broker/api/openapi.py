"""The description of this API, for machines."""

import hashlib
import json
from functools import lru_cache

from starlette.responses import Response

from broker import openapi
from broker.api.envelope import Call, route
from broker.settings import Settings


@lru_cache(maxsize=1)
def _built(settings: Settings) -> tuple[bytes, str]:
    """The document, and its ETag."""
    text = json.dumps(openapi.document(settings), ensure_ascii=False, separators=(",", ":")).encode()
    return text, f'"{hashlib.sha256(text).hexdigest()[:16]}"'


async def document(call: Call) -> Response:
    text, etag = _built(call.settings)
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in (call.header(b"if-none-match") or ""):
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type="application/json")


ROUTES = [route("GET", "/openapi.json", document)]
