"""One call of the API: what is sent, when it is repeated, and how its answer is read. Without I/O, see ``steps.py``."""

import logging
import random
import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from broker.client.credentials import Credentials
from broker.client.types import ClientError, Refused, Unreachable

log = logging.getLogger("broker.client")

T = TypeVar("T")

_AWAY = {502, 503, 504}
"""Of the broker's own, or of a proxy in front of it: whether the call was carried out is not known."""

_LONGEST = 60
"""Seconds of a Retry-After that are believed."""

_DECODERS: dict[type, "msgspec.json.Decoder[Any]"] = {}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request. ``pause``: seconds before it is sent; ``wait``: seconds that its answer may come late."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    pause: float = 0
    wait: float = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """``retry_after``: seconds, 0 when the broker said nothing of it."""

    status: int
    body: bytes
    retry_after: float


@dataclass(frozen=True, slots=True)
class Lost:
    """There was no answer. ``sent``: whether the broker may have got the request."""

    why: str
    sent: bool


Steps = Generator[Attempt, Answer | Lost, T]


class Reply(msgspec.Struct, Generic[T]):
    """The envelope. ``content`` has its defaults where the broker sent none."""

    content: T
    ok: bool
    code: str | None = None


class _Envelope(msgspec.Struct, Generic[T]):
    ok: bool
    message: str | None = None
    content: T | None = None
    code: str | None = None
    rate_limit_delay: float | None = None
    detail: str | None = None


class Nothing(msgspec.Struct):
    """The content of an answer that says it all with ``ok``."""


class Caller:
    """What all methods of the clients rest on."""

    def __init__(self, url: str, worker: Credentials | None, patience: float) -> None:
        self.url = url
        self.worker = worker
        """Who makes the calls; None for a manager, or anybody."""
        self.patience = patience
        self.on_wait: Callable[[float], None] | None = None
        """Told for how many seconds a call waits, because it came too early for a rate."""
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
        allow: Collection[str] = (),
        patient: bool = True,
        pause: float = 0,
        wait: float = 0,
    ) -> Steps[Reply[T]]:
        """One call, repeated where that is safe, until ``patience`` is over.

        ``safe``: whether it may be carried out twice. A call that never left, and one that came too early for a rate
        (429, unless ``patient`` is false), are always repeated. Refusals whose code is in ``allow`` are answers; the
        word ``unavailable`` there allows a 503 that says what was done. ``wait``: as in :class:`Attempt`.
        """
        name = f"{method} {path}"
        path = f"{path}?{urlencode(query)}" if query else path
        sent = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
        headers = self.worker.headers if self.worker else {}
        give_up, backoff, perhaps_done = time.monotonic() + self.patience, Backoff(), False
        while True:
            outcome = yield Attempt(method, path, headers, sent, pause, wait)
            if isinstance(outcome, Answer) and outcome.status not in _AWAY:
                self._is_back()
                envelope = _read(outcome, content, name)
                if outcome.status != 429 or not patient:
                    return _reply(envelope, content, allow, name, outcome.status)
                pause = jittered(envelope.rate_limit_delay or outcome.retry_after or 1, 0.1)
                if self.on_wait is not None:
                    self.on_wait(pause)
                continue
            if isinstance(outcome, Answer):
                if "unavailable" in allow and (partly := _partly(outcome, content)):
                    return partly
                why, arrived, pause = _why(outcome), True, backoff.pause(min(outcome.retry_after, _LONGEST))
            else:
                why, arrived, pause = outcome.why, outcome.sent, backoff.pause()
            perhaps_done = perhaps_done or arrived
            if (perhaps_done and not safe) or time.monotonic() + pause > give_up:
                raise Unreachable(f"{name}: no answer from {self.url} ({why})", sent=perhaps_done)
            self._is_away(why)

    def _is_away(self, why: str) -> None:
        if not self._away:
            log.warning("the broker at %s is away (%s): trying again", self.url, why)
        self._away = True

    def _is_back(self) -> None:
        if self._away:
            log.warning("the broker at %s is back", self.url)
        self._away = False


def _decode(body: bytes, content: type[T]) -> _Envelope[T]:
    decoder = _DECODERS.get(content)
    if decoder is None:
        decoder = _DECODERS[content] = msgspec.json.Decoder(_Envelope[content])  # type: ignore[valid-type]
    envelope: _Envelope[T] = decoder.decode(body)
    return envelope


def _read(answer: Answer, content: type[T], call: str) -> _Envelope[T]:
    if answer.status == 204:
        return _Envelope(ok=True)
    try:
        return _decode(answer.body, content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ClientError(f"{call} answered {answer.status} with something that is not a broker's: {error}") from None


def _reply(envelope: _Envelope[T], content: type[T], allow: Collection[str], call: str, status: int) -> Reply[T]:
    if not envelope.ok and envelope.code not in allow:
        raise Refused(call, status, envelope.code, envelope.detail or envelope.message, envelope.rate_limit_delay)
    try:
        found = msgspec.convert({}, content) if envelope.content is None else envelope.content
    except msgspec.ValidationError as error:
        raise ClientError(f"{call} answered {status} without what was asked for: {error}") from None
    return Reply(found, envelope.ok, envelope.code)


def _why(answer: Answer) -> str:
    """The broker's own words, where it is the broker that speaks: its store may be full, and not away."""
    try:
        message = _decode(answer.body, Nothing).message
    except msgspec.DecodeError:
        message = None
    return f"{answer.status}: {message}" if message else f"status {answer.status}"


def _partly(answer: Answer, content: type[T]) -> Reply[T] | None:
    """What a bulk call had done when the store went away, where the broker says that."""
    try:
        envelope = _decode(answer.body, content)
    except msgspec.DecodeError:
        return None
    return None if envelope.content is None else Reply(envelope.content, ok=False, code=envelope.code)


@dataclass
class Backoff:
    """Pauses that double from ``first`` to ``most`` seconds, each up to half as long again: a fleet must not march."""

    first: float = 0.1
    most: float = 5.0
    _next: float = field(default=0, init=False)

    def pause(self, least: float = 0) -> float:
        """Seconds; at least ``least``, which somebody told us."""
        base = max(self._next or self.first, least)
        self._next = min(2 * (self._next or self.first), self.most)
        return jittered(base, 0.5)

    def reset(self) -> None:
        self._next = 0


def jittered(seconds: float, share: float) -> float:
    """Up to ``share`` of it longer, never shorter."""
    return seconds * random.uniform(1, 1 + share)  # noqa: S311 - no secret
