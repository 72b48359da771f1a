"""One call of the API, without any I/O: what is sent, when it is repeated, and how its answer is read.

A call is a generator: it yields each :class:`Attempt`, receives the outcome, and returns its result.
``transport.py`` sends the attempts.
"""

import logging
import math
import random
import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from broker.client.credentials import Credentials
from broker.client.types import ClientError, Refused, Unreachable

log = logging.getLogger("broker.client")

T = TypeVar("T")

_UNAVAILABLE = {502, 503, 504}
"""Sent by the broker or by a proxy in front of it. The call may have been carried out."""

_LONGEST = 60
"""The longest Retry-After, in seconds, that is followed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request. ``pause``: seconds before it is sent. ``wait``: seconds for which the broker may hold it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    pause: float = 0
    wait: float = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """``retry_after``: seconds; 0 without the header."""

    status: int
    body: bytes
    retry_after: float


@dataclass(frozen=True, slots=True)
class Lost:
    """There was no answer. ``sent``: whether the broker may have received the request."""

    why: str
    sent: bool


Steps = Generator[Attempt, Answer | Lost, T]


class Nothing(msgspec.Struct):
    """The content of an answer without content."""


class _Envelope(msgspec.Struct, Generic[T]):
    ok: bool
    message: str | None = None
    content: T | None = None
    code: str | None = None
    rate_limit_delay: float | None = None
    detail: str | None = None


class Caller:
    """The base of all methods of the clients. ``worker``: who makes the calls; None for a manager or for nobody."""

    def __init__(self, url: str, worker: Credentials | None, patience: float) -> None:
        self.url = url
        self.worker = worker
        self.patience = patience
        self.on_wait: Callable[[float], None] | None = None
        """Called with the seconds for which a call waits because of a rate."""
        self._away = False

    def _call(
        self,
        method: str,
        path: str,
        content: type[T],
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        safe: bool,
        allow: Collection[str | None] = (),
        patient: bool = True,
        pause: float = 0,
        longest: float = math.inf,
        wait: float = 0,
    ) -> Steps[T]:
        """The content of the answer, with its defaults where the broker sent none.

        ``safe``: whether the call may be carried out twice. If so, it is repeated for ``self.patience`` seconds. A call
        that was not sent is always repeated, and so is one that exceeds a rate (429), unless ``patient`` is false.
        ``longest``: seconds that it waits for a rate before it asks again. ``allow``: codes of refusals that are
        answers, None for those without a code; ``unavailable`` allows a 503 that says what was done.
        """
        name = f"{method} {path}"
        path = f"{path}?{urlencode(query)}" if query else path
        data = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
        headers = self.worker.headers if self.worker else {}
        give_up, backoff, perhaps_done = time.monotonic() + self.patience, Backoff(), False
        while True:
            outcome = yield Attempt(method, path, headers, data, pause, wait)
            if isinstance(outcome, Lost):
                why, perhaps_done, pause = outcome.why, perhaps_done or outcome.sent, backoff.pause()
            elif outcome.status not in _UNAVAILABLE:
                self._set_away(None)
                envelope = _read(outcome, content, name)
                if outcome.status != 429 or not patient:
                    return _content(envelope, content, allow, name, outcome.status)
                pause = jittered(min(envelope.rate_limit_delay or outcome.retry_after or 1, longest), 0.1)
                if self.on_wait is not None:
                    self.on_wait(pause)
                continue
            else:
                try:
                    found = _read(outcome, content, name)
                except ClientError:
                    found = _Envelope(ok=False)
                if "unavailable" in allow and found.content is not None:
                    return found.content
                # The broker's message matters: its store may be full.
                why = f"{outcome.status}: {found.message}" if found.message else f"status {outcome.status}"
                perhaps_done, pause = True, backoff.pause(min(outcome.retry_after, _LONGEST))
            if (perhaps_done and not safe) or time.monotonic() + pause > give_up:
                raise Unreachable(f"{name}: no answer from {self.url} ({why})", sent=perhaps_done)
            self._set_away(why)

    def _set_away(self, why: str | None) -> None:
        """``why``: None when the broker answers."""
        if why is not None and not self._away:
            log.warning("the broker at %s is away (%s): trying again", self.url, why)
        elif why is None and self._away:
            log.warning("the broker at %s is back", self.url)
        self._away = why is not None


def _read(answer: Answer, content: type[T], call: str) -> _Envelope[T]:
    if answer.status == 204:
        return _Envelope(ok=True)
    try:
        envelope: _Envelope[T] = msgspec.json.decode(answer.body, type=_Envelope[content])  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ClientError(f"{call} answered {answer.status} with something that is not a broker's: {error}") from None
    return envelope


def _content(envelope: _Envelope[T], content: type[T], allow: Collection[str | None], call: str, status: int) -> T:
    if not envelope.ok and envelope.code not in allow:
        raise Refused(call, status, envelope.code, envelope.detail or envelope.message, envelope.rate_limit_delay)
    try:
        return msgspec.convert({}, content) if envelope.content is None else envelope.content
    except msgspec.ValidationError as error:
        raise ClientError(f"{call} answered {status} without its content: {error}") from None


@dataclass
class Backoff:
    """Pauses that double from ``first`` to ``most`` seconds, each up to half as long again."""

    first: float = 0.1
    most: float = 5.0
    _next: float = field(default=0, init=False)

    def pause(self, least: float = 0) -> float:
        """The next pause in seconds, at least ``least``."""
        base = max(self._next or self.first, least)
        self._next = min(2 * (self._next or self.first), self.most)
        return jittered(base, 0.5)

    def reset(self) -> None:
        self._next = 0


def jittered(seconds: float, share: float) -> float:
    """Up to ``share`` longer, so that the clients of a fleet do not all call at once."""
    return seconds * random.uniform(1, 1 + share)  # noqa: S311 - no secret
