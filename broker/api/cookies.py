"""The session cookie, read from what a browser sends: by the API, and by the pages."""

import re

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")


def session_cookie(header: str, name: str) -> str | None:
    """The one called ``name``, if it can be one of ours. Python's own parser takes minutes for some hostile cookies."""
    for pair in header.split(";"):
        found, _, value = pair.strip().partition("=")
        if found == name and _SESSION.fullmatch(value):
            return value
    return None
