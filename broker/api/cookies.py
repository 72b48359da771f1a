"""The session cookie, read from what a browser sends: by the API, and by the pages."""

import re

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")


HOST = "__Host-"
"""Before the name of a cookie: browsers take it over https only, and from no other host, subdomains neither."""


def session_cookies(header: str, name: str) -> dict[str, str]:
    """By name, what can be sessions of ours: ``__Host-name`` first, then ``name``; of each the first one that is sent.

    Python's own parser takes minutes for some hostile cookies.
    """
    found: dict[str, str] = {}
    for pair in header.split(";"):
        given, _, value = pair.strip().partition("=")
        if given.removeprefix(HOST) == name and given not in found and _SESSION.fullmatch(value):
            found[given] = value
    return dict(sorted(found.items(), key=lambda cookie: not cookie[0].startswith(HOST)))


def session_cookie(header: str, name: str) -> str | None:
    """The best of them."""
    return next(iter(session_cookies(header, name).values()), None)
