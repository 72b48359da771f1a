"""The id of a request: comes as ``X-Request-ID`` or is made here, goes back with the answer, and is in the log."""

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
"""Of the request that is served here; empty where none is."""


def made() -> bytes:
    """One that no other process makes."""
    return b"%b-%x" % (_process, _number())


def given(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The one that the client gave, if it is of 1 to 128 visible ASCII characters."""
    for name, value in headers:
        if name == HEADER and _SANE.fullmatch(value):
            return value
    return None


def note(record: logging.LogRecord) -> bool:
    """A filter for handlers that lets everything pass, with the id of the request that wrote it in ``request``."""
    if id := current.get():
        record.request = id.decode()
    return True
