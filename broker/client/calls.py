"""One call of the API, without I/O: what is sent, when it is repeated, and how its answer is read.

A call is a generator: it yields each :class:`Attempt`, receives the outcome, and returns its result.
``transport.py`` sends the attempts.
"""

import logging
import math
import random
import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from broker.client.credentials import Credentials
from broker.client.joining import worker_info
from broker.client.types import Refused, Unreachable

log = logging.getLogger("broker.client")

T = TypeVar("T")

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


_EMPTY = (Nothing, dict[str, Any])


class _Envelope(msgspec.Struct, Generic[T]):
    ok: bool
    message: str | None = None
    content: T | None = None
    code: str | None = None
    rate_limit_delay: float | None = None
    detail: str | None = None


class _NoAnswer(Exception):
    """There is no answer, or one that may change: that of a proxy, or a fault of the broker."""

    def __init__(self, why: str, *, perhaps_done: bool, status: int | None = None, delay: float = 0) -> None:
        self.why = why
        self.perhaps_done = perhaps_done
        self.status = status
        self.delay = delay


class Availability:
    """Logs once that the broker is unavailable, and once that it is available again. Clients of one program may
    share it.

    It is available again when the call that had no answer has one: other calls may have been answered all the time.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._call = ""
        self._last = 0.0

    def away(self, call: str, why: str) -> None:
        if not self._call:
            log.warning("the broker at %s is unavailable (%s): trying again", self._url, why)
            self._call = call
        self._last = time.monotonic()

    def back(self, call: str) -> None:
        if self._call and (call == self._call or time.monotonic() > self._last + _LONGEST):
            log.warning("the broker at %s is available again", self._url)
            self._call = ""


class Caller:
    """The base of all methods of the clients. ``worker``: who makes the calls; None for a manager, or without one."""

    def __init__(self, url: str, worker: Credentials | None, patience: float) -> None:
        self.url = url
        self.worker = worker
        self.patience = patience
        self.token = ""
        """A manager's token: sent with each call, which is then made as this manager."""
        self.info = worker_info()
        self.on_wait: Callable[[float], None] | None = None
        """Called with the seconds for which a call waits because of a rate limit."""
        self._availability = Availability(url)
        self.persistent = False
        """Whether the caller tries again after a call has failed: then it is logged that the broker is unavailable."""

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
        patience: float | None = None,
        pause: float = 0,
        longest: float = math.inf,
        wait: float = 0,
    ) -> Steps[T]:
        """The content of the answer, with its defaults where the broker sent none.

        ``safe``: whether the call may be carried out twice. If so, it is repeated for ``self.patience`` seconds. A call
        that was not sent is always repeated, and so is one that exceeds a rate (429), unless ``patient`` is false.
        ``longest``: maximum seconds to wait for a rate before it asks again. ``allow``: codes of refusals that are
        answers, None for those without a code; ``unavailable`` allows a 503 that says what was done. ``patience``:
        instead of ``self.patience``.

        Raises :class:`Refused` when the broker refuses the call, so that repeating it is of no use, and
        :class:`Unreachable` when there is no answer, or only one of a proxy or of a broker with a fault.
        """
        name = f"{method} {path}"
        path = f"{path}?{urlencode(query)}" if query else path
        data = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
        headers = {**self.worker.headers, **self.info} if self.worker else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        patience = self.patience if patience is None else patience
        give_up, backoff, perhaps_done = time.monotonic() + patience, Backoff(), False
        while True:
            outcome = yield Attempt(method, path, headers, data, pause, wait)
            try:
                envelope = _read(outcome, content, allow)
            except _NoAnswer as missing:
                perhaps_done = perhaps_done or missing.perhaps_done
                pause = backoff.pause(missing.delay)
                ended = (perhaps_done and not safe) or time.monotonic() + pause > give_up
                if not ended or self.persistent:
                    self._availability.away(name, missing.why)
                if ended:
                    why = f"{name}: no answer from {self.url} ({missing.why})"
                    raise Unreachable(why, sent=perhaps_done, status=missing.status, delay=missing.delay) from None
                continue
            self._availability.back(name)
            if envelope.content is not None:
                return envelope.content
            if envelope.code != "rate_limited" or not patient:
                raise _refused(envelope, name, outcome)
            pause = jittered(min(envelope.rate_limit_delay or 1, longest), 0.1)
            if self.on_wait is not None:
                self.on_wait(pause)


def _read(outcome: Answer | Lost, content: type[T], allow: Collection[str | None]) -> _Envelope[T]:
    """The answer: with content, or a refusal without. Raises :class:`_NoAnswer`."""
    if isinstance(outcome, Lost):
        raise _NoAnswer(outcome.why, perhaps_done=outcome.sent)
    status, delay = outcome.status, min(outcome.retry_after, _LONGEST)
    try:
        body = b'{"ok":true}' if status == 204 else outcome.body
        envelope: _Envelope[T] = msgspec.json.decode(body, type=_Envelope[content])  # type: ignore[valid-type]
        if (envelope.ok and status < 300) or (envelope.code in allow and status < 500):
            if envelope.content is None:
                # A good answer is without content only if its call has none.
                empty: object = None if envelope.ok and content not in _EMPTY else {}
                envelope.content = msgspec.convert(empty, content)
            return envelope
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # A proxy that answers 429 has not passed the call on.
        why = f"status {status}" if status >= 500 else f"status {status}, and not the answer of a broker: {error}"
        raise _NoAnswer(why, perhaps_done=status != 429, status=status, delay=delay) from None
    if status >= 500:
        if "unavailable" in allow and envelope.content is not None:
            return envelope
        # The broker's message matters: its store may be full.
        why = f"{status}: {envelope.message}" if envelope.message else f"status {status}"
        raise _NoAnswer(why, perhaps_done=True, status=status, delay=delay)
    if envelope.code is None:
        why = f"status {status}, and not the answer of a broker: it has no code"
        raise _NoAnswer(why, perhaps_done=status != 429, status=status, delay=delay)
    envelope.content = None
    return envelope


def _refused(envelope: _Envelope[T], call: str, outcome: Answer | Lost) -> Refused:
    status = outcome.status if isinstance(outcome, Answer) else 0
    return Refused(call, status, envelope.code, envelope.detail or envelope.message, envelope.rate_limit_delay)


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
