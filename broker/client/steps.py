"""A method of the client as steps, without any I/O: what to send and when, and what to make of the answer.

A method is a generator: it yields an :class:`Attempt`, is sent the outcome, and returns its result. The two transports
carry the attempts out; they are all that is written once for each client.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


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
