"""The types, limits and checks of single values in what clients send."""

import re
from typing import Annotated, TypeVar

from msgspec import Meta

from broker.errors import BrokerError, Invalid
from broker.store.task_fields import checked_group

T = TypeVar("T")

Id = Annotated[int, Meta(ge=1, le=2**53)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Int16 = Annotated[int, Meta(ge=-(2**15), le=2**15 - 1)]
Count16 = Annotated[int, Meta(ge=0, le=2**15 - 1)]
Seconds = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Rate = Annotated[float, Meta(ge=0)]
Text = Annotated[str, Meta(max_length=65_536)]
ProjectName = Annotated[str, Meta(max_length=16_384)]
NonEmpty = Annotated[str, Meta(min_length=1)]
Alias = Annotated[str, Meta(max_length=16_384)]
"""A setting may make it shorter."""

MAX_BULK = 10_000
"""Tasks of one bulk call, unless a setting says otherwise."""

MAX_NAMED = 1_000
"""Ids that one call may name, unless a setting limits them."""

MAX_COUNT = 1_000
"""Tasks of one get, unless a setting says otherwise."""

LONGEST_WAIT, LONGEST_HOLD = 60, 86_400
"""Seconds that a get may wait, and may hold its tasks."""

MAX_RECIPE = 1 << 20
"""Bytes of UTF-8, unless a setting says otherwise."""

LONGEST_TEXT = 1_000
"""Characters of the filter ``contains``."""

LONGEST_DELAY = 315_360_000
"""Seconds: ten years."""

LONGEST_MESSAGE = 1000
"""Characters that are kept of the message of a failure."""

MAX_SECRET = 1 << 20
"""Characters of a project's secret."""

LONGEST_PASSWORD = 1024
"""Bytes; hashing more would only cost time."""

Duration = Annotated[float, Meta(ge=0, le=LONGEST_DELAY)]
"""Seconds, kept to 1 ms; on a task and its release 0 is the same as absent."""

SlowDown = Annotated[float, Meta(ge=-1, le=LONGEST_DELAY)]
"""Seconds; 0 is the same as absent."""

_USERNAME = re.compile(r"[A-Za-z0-9_.-]{3,16}")


def new_username(text: str) -> str:
    if not _USERNAME.fullmatch(text):
        raise Invalid("username: 3 to 16 ASCII letters, digits, or any of _ . -")
    return text


def new_password(text: str, field: str = "password") -> str:
    if not 8 <= len(text.encode()) <= LONGEST_PASSWORD:
        raise Invalid(f"{field}: 8 to {LONGEST_PASSWORD} bytes")
    return text


def required(value: T | None, field: str) -> T:
    """``value``, or a refusal that names the field."""
    if value is None:
        raise Invalid(f"{field}: required")
    return value


def one_of(name: str, value: T | None, other_name: str, other: T | None) -> T | None:
    """The value of a field that clients spell in two ways."""
    if value is not None and other is not None and value != other:
        raise Invalid(f"{other_name}: differs from {name}, which is the same field")
    return other if value is None else value


def seconds_or_minus_1(value: float | None, field: str) -> float | None:
    if value is not None and -1 < value < 0:
        raise Invalid(f"{field}: seconds, 0 or more, or -1")
    return value


def valid_group(text: str) -> str:
    """``text``, if a task can have this group."""
    try:
        return checked_group(text)
    except ValueError as error:
        raise Invalid(str(error)) from None


def non_empty(text: str | None, field: str, largest: int) -> str:
    """``text``, of at most ``largest`` bytes."""
    if not text:
        raise Invalid(f"{field}: required, must not be empty")
    if len(text) * 4 > largest and len(text.encode()) > largest:
        raise BrokerError("too_large", f"{field}: larger than {largest} bytes")
    return text
