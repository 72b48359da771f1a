"""The refusals of the broker: one small tree, raised anywhere, turned into an answer in ``api/responses.py``.

A script refuses with ``redis.error_reply('CODE text')``; the code in lower case is the ``code`` that clients read.
"""

import re

CODES = {
    "no_task": "nothing to take now; ask again in a while",
    "paused": "the project is paused; ask again in a while",
    "invalid": "the request cannot be right; `message` begins with the field",
    "worker_paused": "an admin has paused this worker; ask again in a while",
    "already_asked": "an earlier request for access waits for a manager",
    "already_granted": "the worker has access already",
    "bad_credentials": "wrong worker id or secret, or wrong name or password",
    "not_logged_in": "no session, or it has ended; log in",
    "denied": "not allowed",
    "reserved": "the alias is reserved",
    "cross_site": "a browser sent this call for another site",
    "limit_reached": "the manager has as many projects as they may have: delete one",
    "not_found": "there is no such thing, or no such path",
    "method_not_allowed": "the header `Allow` names the right methods",
    "duplicate": "there is one already",
    "too_large": "the body is over 16 MiB; over 64 KiB if it has no tasks, log lines, aliases, project texts",
    "unsupported_encoding": "the body has a `Content-Encoding`; send it as it is",
    "rate_limited": "wait `rate_limit_delay` seconds, then repeat",
    "internal": "a fault of the broker; report it",
    "unavailable": "the store does not answer, or is full, or too many large bodies come at once; wait, then repeat",
}
"""Every code, and what it means in general."""

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
        delay: float | None = None,
        content: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail: str | None = None
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


def system_message(error: OSError) -> str:
    """What the system says, with the file that it is about."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def refusal(text: str) -> BrokerError | None:
    """The error that a script's reply ``CODE text`` stands for, or None when the server itself speaks."""
    word, _, message = _SERVER_SUFFIX.sub("", text).partition(" ")
    code = word.lower()
    if not word.isupper() or code not in CODES:
        return None
    if code == "rate_limited":
        microseconds, _, why = message.partition(" ")
        delay = int(microseconds) / 1_000_000
        return BrokerError(code, f"{why or 'Too many requests'}: ask again in {delay:.3f} s", delay=delay)
    return BrokerError(code, message)
