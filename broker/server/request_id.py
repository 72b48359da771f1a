"""The id of a request: ``X-Request-ID`` of the client, or a new one. The answer and the log have it."""

import logging
import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from itertools import count

HEADER = b"x-request-id"
KEY = "broker.server.request_id"
"""In the scope of a request."""

_SANE = re.compile(rb"[!-~]{1,128}")
_process = secrets.token_hex(4).encode()
_number = count(1).__next__

current: ContextVar[bytes] = ContextVar("request_id", default=b"")
"""The id of the request that is being served; empty outside a request."""


def made() -> bytes:
    """A new id, different from those of all other processes."""
    return b"%b-%x" % (_process, _number())


def given(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The id that the client sent, if it has 1 to 128 visible ASCII characters."""
    for name, value in headers:
        if name == HEADER and _SANE.fullmatch(value):
            return value
    return None


def note(record: logging.LogRecord) -> bool:
    """A filter for handlers that adds the id of the current request to each record, as ``request``."""
    if id := current.get():
        record.request = id.decode()
    return True
