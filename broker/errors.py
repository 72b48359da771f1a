"""The refusals of the broker: one small tree, turned into an envelope in ``api/replies.py``.

A script refuses with ``redis.error_reply('CODE text')``. The code in lower case is the ``code`` that clients read, and
``STATUS`` gives its HTTP status, so a new refusal is a line here and a line in a script.
"""

import re

STATUS = {
    "invalid": 400,
    "already_asked": 400,
    "already_granted": 400,
    "worker_paused": 400,
    "bad_credentials": 401,
    "not_logged_in": 401,
    "denied": 403,
    "reserved": 403,
    "cross_site": 403,
    "paused": 200,
    "no_task": 200,
    "not_found": 404,
    "method_not_allowed": 405,
    "duplicate": 409,
    "too_large": 413,
    "rate_limited": 429,
    "unavailable": 503,
}

_SERVER_SUFFIX = re.compile(r"(?: script: [0-9a-f]{40}, on @user_script:\d+\.?)+$")


class BrokerError(Exception):
    """A call that is refused, with nothing changed unless ``content`` says what was.

    ``delay`` is in seconds: when the caller may ask again. ``detail`` says more, where clients depend on the message.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        delay: float | None = None,
        content: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail: str | None = None
        self.status = STATUS[code] if status is None else status
        self.delay = delay
        self.content = content


class Invalid(BrokerError):
    """A body, header or path that cannot be right; the message names the field."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid", message)


class Unavailable(BrokerError):
    """The store cannot answer now. Whether a call in flight was carried out is not known."""

    def __init__(self, message: str, content: dict[str, object] | None = None) -> None:
        super().__init__("unavailable", message, delay=1, content=content)


class StartError(Exception):
    """What stops the start; the text is the one line that the operator reads.

    ``setting``: the field of ``Settings`` that it is about. The command names it as it was given: flag or variable.
    """

    def __init__(self, text: str, *, setting: str = "") -> None:
        super().__init__(text)
        self.setting = setting


def refusal(text: str) -> BrokerError | None:
    """The error that a script's reply ``CODE text`` stands for, or None when the server itself speaks."""
    word, _, message = _SERVER_SUFFIX.sub("", text).partition(" ")
    code = word.lower()
    if not word.isupper() or code not in STATUS:
        return None
    if code == "rate_limited":
        microseconds, _, why = message.partition(" ")
        delay = int(microseconds) / 1_000_000
        return BrokerError(code, f"{why or 'Too many requests'}: ask again in {delay:.3f} s", delay=delay)
    return BrokerError(code, message)
