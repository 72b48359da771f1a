"""The bodies that clients send. Unknown keys are ignored, ``null`` is absent, integers are JSON integers."""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from broker.errors import BrokerError, Invalid

T = TypeVar("T")

Id = Annotated[int, Meta(ge=1, le=2**53)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Int16 = Annotated[int, Meta(ge=-(2**15), le=2**15 - 1)]
Count16 = Annotated[int, Meta(ge=0, le=2**15 - 1)]
Seconds = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Rate = Annotated[float, Meta(ge=0)]
NonEmpty = Annotated[str, Meta(min_length=1)]
Text = Annotated[str, Meta(max_length=65_536)]
Alias = Annotated[str, Meta(max_length=16_384)]
"""A setting may make it shorter."""

MAX_BULK = 10_000
"""Tasks of one bulk call, unless a setting says otherwise."""

MAX_RECIPE = 1 << 20
"""Bytes of UTF-8, unless a setting says otherwise."""

MAX_SECRET = 1 << 20
"""Characters of a project's secret."""


class WorkerAlias(Struct):
    alias: Alias | None = None


class SubmitTask(Struct):
    project: Id | None = None
    recipe: str | None = None
    priority: Int16 | None = None
    max_retries: Count16 | None = None
    max_assign_time: Seconds | None = None
    verification_count: Count16 | None = None
    hash64: Int64 | None = None
    hash_u64: Int64 | None = None
    unique_string: str | None = None
    unique_str: str | None = None


class BulkSubmit(Struct):
    requests: list[SubmitTask] | None = None


class ReleaseTask(Struct):
    task_id: Int64 | None = None
    result: Annotated[int, Meta(ge=0, le=2)] | None = None
    verification: Int64 | None = None


class BulkRelease(Struct):
    requests: list[ReleaseTask] | None = None


class ExtendTasks(Struct):
    task_id: Int64 | None = None
    task_ids: list[Int64] | None = None
    seconds: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class LogLine(Struct):
    scope: NonEmpty | None = None
    message: NonEmpty | None = None
    timestamp: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    capital_message: NonEmpty | None = msgspec.field(name="Message", default=None)


class AccessRequest(Struct):
    project: Id | None = None
    assign: bool | None = None
    submit: bool | None = None


class ProjectFields(Struct):
    """What a manager may set; None leaves a field as it is, or at its default in a new project."""

    name: Annotated[str, Meta(max_length=16_384)] | None = None
    priority: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    clone_url: Text | None = None
    git_repo: Text | None = None
    version: Text | None = None
    motd: Text | None = None
    public: bool | None = None
    hidden: bool | None = None
    chain: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    paused: bool | None = None
    assign_rate: Rate | None = None
    submit_rate: Rate | None = None
    remember_closed: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class Credentials(Struct):
    username: str | None = None
    password: str | None = None


class ChangePassword(Struct):
    old: str | None = None
    new: str | None = None


class CloseSessions(Struct):
    session: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None


class LogQuery(Struct):
    level: int | None = None
    since: Int64 | None = None


class SetSecret(Struct):
    secret: Annotated[str, Meta(max_length=MAX_SECRET)] | None = None


class SetWebhookSecret(Struct):
    webhook_secret: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


class SetPaused(Struct):
    worker: Id | None = None
    paused: bool | None = None


class SetRole(Struct):
    manager: Id | None = None
    role: Annotated[int, Meta(ge=0, le=31)] | None = None


class Repository(Struct):
    full_name: str | None = None


class Push(Struct):
    """``after`` is all zeros when the branch was deleted.

    What the three have in common: docs.github.com/webhooks, docs.gitea.com/usage/webhooks, gogs.io/docs."""

    ref: str | None = None
    after: Annotated[str, Meta(max_length=255)] | None = None
    repository: Repository | None = None


LONGEST_PASSWORD = 1024
"""Bytes; hashing more would only cost time."""


def new_username(text: str) -> str:
    if not 3 <= len(text) <= 16 or not text.isprintable() or text != text.strip():
        raise Invalid("username: 3 to 16 printable characters, no space at either end")
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


def non_empty(text: str | None, field: str, largest: int) -> str:
    """``text``, of at most ``largest`` bytes."""
    if not text:
        raise Invalid(f"{field}: required, and not empty")
    if len(text) * 4 > largest and len(text.encode()) > largest:
        raise BrokerError("too_large", f"{field}: larger than {largest} bytes")
    return text
