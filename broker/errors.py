"""The refusals of the broker: one small tree, raised anywhere, turned into an answer in ``api/responses.py``.

A script refuses with ``redis.error_reply('CODE text')``; the code in lower case is the ``code`` that clients read.
"""

import re

CODES = {
    "no_task": "there is no task for this worker now; retry later",
    "paused": "the project is paused; retry later",
    "invalid": "the request is not valid; `message` begins with the name of the field",
    "worker_paused": "an admin has paused this worker; retry later",
    "already_asked": "an earlier access request of this worker waits for a manager",
    "already_granted": "the worker already has access",
    "bad_credentials": "wrong worker id or secret, or wrong name or password",
    "not_logged_in": "there is no session, or it has ended; log in; or the bearer token is wrong or has expired",
    "denied": "the caller may not do this",
    "reserved": "this alias is reserved",
    "cross_site": "a browser sent this call from another site",
    "limit_reached": "the maximum number of projects or tokens exists; delete one",
    "not_found": "the object or the path does not exist",
    "method_not_allowed": "the path has other methods; the header `Allow` names them",
    "duplicate": "it exists already",
    "too_large": "the body is over 16 MiB, or over 64 KiB for calls without tasks, releases, log lines, aliases or "
    "project texts",
    "unsupported_encoding": "the body has a `Content-Encoding`; send it uncompressed",
    "rate_limited": "a limit is reached; wait `rate_limit_delay` seconds, then repeat",
    "internal": "a bug in the broker; report it",
    "unavailable": "the store does not answer or is full, or there are too many large bodies; wait, then repeat",
}
"""Every code, and what it means in general."""

_SERVER_SUFFIX = re.compile(r"(?: script: [0-9a-f]{40}, on @user_script:\d+\.?)+$")


class BrokerError(Exception):
    """A call that is refused, with nothing changed unless ``content`` says what was.

    ``delay`` is in seconds: when the caller may ask again. ``detail`` says more, if clients depend on the message.
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
    """An error that ends a command or the start; its text is the one line that the operator reads.

    ``setting``: the field of ``Settings`` that is wrong. The command names the flag or variable that it came from.
    """

    def __init__(self, text: str, *, setting: str = "") -> None:
        super().__init__(text)
        self.setting = setting


def system_message(error: OSError) -> str:
    """The message of the system, with the file that it is about."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def rate_limited(delay: float, why: str = "") -> BrokerError:
    """A refusal for ``delay`` seconds."""
    return BrokerError("rate_limited", f"{why or 'Too many requests'}: ask again in {delay:.3f} s", delay=delay)


def refusal(text: str) -> BrokerError | None:
    """The error that a script's reply ``CODE text`` stands for, or None for an error of the server itself."""
    word, _, message = _SERVER_SUFFIX.sub("", text).partition(" ")
    code = word.lower()
    if not word.isupper() or code not in CODES:
        return None
    if code == "rate_limited":
        microseconds, _, why = message.partition(" ")
        delay = int(microseconds) / 1_000_000
        return rate_limited(delay, why)
    return BrokerError(code, message)
