"""The bodies that clients send. Unknown keys are ignored, ``null`` is absent, integers are JSON integers."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from broker import notify_url
from broker.api.values import (
    LONGEST_DELAY,
    LONGEST_HOLD,
    LONGEST_MESSAGE,
    LONGEST_PASSWORD,
    LONGEST_TEXT,
    LONGEST_WAIT,
    MAX_BULK,
    MAX_COUNT,
    MAX_NAMED,
    MAX_RECIPE,
    MAX_SECRET,
    Alias,
    Count16,
    Duration,
    Id,
    Int16,
    Int64,
    NonEmpty,
    ProjectName,
    Rate,
    Seconds,
    SlowDown,
    Text,
    one_of,
)
from broker.errors import Invalid
from broker.hashes import hash64 as hash64_of
from broker.store.logs import LEVELS, UNUSED_LEVELS
from broker.store.task_fields import LONGEST_GROUP


def needed(text: str, **bounds: Any) -> Meta:
    """The description of a required field; ``bounds`` are keywords of JSON Schema.

    The handler checks both itself, so that the refusal names the field.
    """
    return Meta(description=text, extra_json_schema={"x-needed": True, **bounds})


def optional(text: str, *, default: object = None, **bounds: Any) -> Meta:
    """As :func:`needed`, for a field that may be absent or null, which means ``default``."""
    return Meta(description=text, extra_json_schema={"x-default": default, **bounds})


class WorkerAlias(Struct):
    alias: Annotated[
        Alias | None, optional("A name for people; several workers may have the same", default="default_alias")
    ] = None


class NewAlias(WorkerAlias):
    """As WorkerAlias, with an alias."""

    alias: Annotated[Alias | None, needed("A name for people; several workers may have the same", minLength=1)] = None


class SubmitTask(Struct):
    project: Annotated[Id | None, needed("The project to submit to")] = None
    recipe: Annotated[
        str | None,
        needed(
            f"What the worker is to do, in any format; at most {MAX_RECIPE:,} bytes of UTF-8 (a setting)",
            minLength=1,
            maxLength=MAX_RECIPE,
        ),
    ] = None
    priority: Annotated[Int16 | None, optional("Tasks with a higher priority are assigned first", default=0)] = None
    max_retries: Annotated[
        Count16 | None, optional("The number of fails after which the task is failed; 0 is the same as 1", default=0)
    ] = None
    max_assign_time: Annotated[
        Seconds | None, optional("Seconds that a worker may hold the task; 0: the server's default", default=0)
    ] = None
    verification_count: Annotated[
        Count16 | None,
        optional(
            "The number of workers that must release it with the same verification; 0 is the same as 1", default=1
        ),
    ] = None
    group: Annotated[
        str | None,
        optional(
            f"The host or site that the task is for; at most {LONGEST_GROUP} bytes of UTF-8, no control characters",
            default="",
            maxLength=LONGEST_GROUP,
        ),
    ] = None
    delay: Annotated[
        Duration | None, optional("Seconds before which no worker gets the task; kept to 1 ms", default=0)
    ] = None
    not_before: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        optional("Instead of `delay`: unix seconds, at most ten years ahead; 0: at once", default=0),
    ] = None
    hash64: Annotated[
        Int64 | None, optional("A second task with the same hash is refused as a duplicate; 0: no hash", default=0)
    ] = None
    hash_u64: Annotated[Int64 | None, optional("Another spelling of `hash64`", deprecated=True)] = None
    unique_string: Annotated[
        str | None, optional("Instead of `hash64`: the broker hashes it with SipHash-2-4, key (1, 2)")
    ] = None
    unique_str: Annotated[str | None, optional("Another spelling of `unique_string`", deprecated=True)] = None


class ForgetHash(Struct):
    hash64: Annotated[Int64 | None, optional("The hash; send this or `unique_string`")] = None
    hash_u64: Annotated[Int64 | None, optional("Another spelling of `hash64`", deprecated=True)] = None
    unique_string: Annotated[str | None, optional("Instead of `hash64`, as in a submit")] = None
    unique_str: Annotated[str | None, optional("Another spelling of `unique_string`", deprecated=True)] = None


class BulkSubmit(Struct):
    requests: Annotated[
        list[SubmitTask] | None,
        needed("Tasks, all of one project; the maximum is a setting", minItems=1, maxItems=MAX_BULK),
    ] = None


class ReleaseTask(Struct):
    task_id: Annotated[Int64 | None, needed("A task that the worker holds")] = None
    result: Annotated[Annotated[int, Meta(ge=0, le=2)] | None, needed("0 ok, 1 fail, 2 skip")] = None
    verification: Annotated[
        Int64 | None,
        optional(
            "The vote, with an ok for a task with a `verification_count` of 2 or more; 0 is a vote too", default=0
        ),
    ] = None
    message: Annotated[
        str | None,
        optional(f"With a fail: why; the first {LONGEST_MESSAGE:,} characters are kept", default=""),
    ] = None
    delay: Annotated[
        Duration | None,
        optional(
            "With a fail or skip: seconds before which no worker gets the task again, instead of the project's "
            "`retry_delay`",
            default=0,
        ),
    ] = None
    again_in: Annotated[
        Duration | None,
        optional(
            "With an ok: if this release closes the task, it comes again after so many seconds, in its next `round`",
            default=0,
        ),
    ] = None
    group_delay: Annotated[
        SlowDown | None,
        optional(
            "Minimum seconds between two gets of the task's group, from the next get on; at least the project's "
            "`group_delay`, at most 3,600; -1: the project's again",
            default=0,
        ),
    ] = None
    group_blocked: Annotated[
        SlowDown | None,
        optional(
            "Seconds for which no task of the task's group is assigned, for example from a Retry-After header; at "
            "most 86,400; -1: ends the block",
            default=0,
        ),
    ] = None


class BulkRelease(Struct):
    requests: Annotated[
        list[ReleaseTask] | None,
        needed("Releases, of tasks of any projects; the maximum is a setting", minItems=1, maxItems=MAX_BULK),
    ] = None


class TurnGet(Struct):
    project: Annotated[Id | None, optional("The project; without it: any")] = None
    count: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        optional(f"The maximum number of tasks; at most {MAX_COUNT:,} (a setting)", default=1, maximum=MAX_COUNT),
    ] = None
    wait: Annotated[
        Annotated[int, Meta(ge=0, le=LONGEST_WAIT)] | None,
        optional("The maximum number of seconds to wait for a task", default=0),
    ] = None
    hold: Annotated[
        Annotated[int, Meta(ge=1, le=LONGEST_HOLD)] | None,
        optional(
            "The maximum number of seconds to hold the tasks; a task with a `max_assign_time` is held no longer "
            "than that"
        ),
    ] = None


class Turn(Struct):
    releases: Annotated[
        list[ReleaseTask] | None, optional("As `/task/bulk_release` takes them", maxItems=MAX_NAMED)
    ] = None
    submits: Annotated[
        list[SubmitTask] | None,
        optional("As `/task/bulk_submit` takes them: of one project; the maximum is a setting", maxItems=MAX_BULK),
    ] = None
    get: Annotated[TurnGet | None, optional("What to get; `{}`: one task of any project")] = None


class ExtendTasks(Struct):
    task_id: Annotated[Int64 | None, optional("One task; send this or `task_ids`")] = None
    task_ids: Annotated[
        list[Int64] | None, optional("Several tasks; the maximum is a setting", minItems=1, maxItems=MAX_BULK)
    ] = None
    seconds: Annotated[
        Annotated[int, Meta(ge=1, le=2**31 - 1)] | None, needed("The new deadline, in seconds from now")
    ] = None


class TaskIds(Struct):
    task_ids: Annotated[list[Int64] | None, needed("Tasks of any projects", minItems=1, maxItems=MAX_NAMED)] = None


class LogLine(Struct):
    scope: Annotated[NonEmpty | None, needed("What the line is about; cut after 256 bytes")] = None
    message: Annotated[NonEmpty | None, optional("Required, as `message` or as `Message`; cut after 4,096 bytes")] = (
        None
    )
    timestamp: Annotated[Annotated[int, Meta(ge=1, le=2**63 - 1)] | None, needed("Unix seconds; stored as sent")] = None
    capital_message: Annotated[NonEmpty | None, optional("Another spelling of `message`", deprecated=True)] = (
        msgspec.field(name="Message", default=None)
    )


class AccessRequest(Struct):
    project: Annotated[Id | None, needed("The project to request access to")] = None
    assign: Annotated[bool | None, optional("Access to get tasks; this or `submit` must be true", default=False)] = None
    submit: Annotated[bool | None, optional("Access to submit tasks and to get them", default=False)] = None


class AcceptRequests(Struct):
    workers: Annotated[
        list[Id] | None, optional("Ids; send this or `all`. Workers without a request are left out", maxItems=MAX_NAMED)
    ] = None
    all: Annotated[bool | None, optional("True: all requests", default=False)] = None


class NewJoinToken(Struct):
    assign: Annotated[bool | None, optional("Access to get tasks; this or `submit` must be true", default=False)] = None
    submit: Annotated[bool | None, optional("Access to submit tasks and to get them", default=False)] = None
    expires_in: Annotated[
        Annotated[int, Meta(ge=0, le=LONGEST_DELAY)] | None,
        optional("Seconds until the token expires; 0: the default, 30 days", default=2_592_000),
    ] = None
    uses: Annotated[
        Annotated[int, Meta(ge=0, le=2**31 - 1)] | None,
        optional("How many workers may use the token; 0: any number", default=0),
    ] = None


class Join(Struct):
    project: Annotated[Id | None, needed("The project to join")] = None
    token: Annotated[NonEmpty | None, needed("A join token of the project", minLength=1)] = None


class ProjectFields(Struct):
    """What a manager may set; None leaves a field as it is, or at its default in a new project."""

    name: Annotated[ProjectName | None, optional("Unique among all projects", minLength=1)] = None
    priority: Annotated[
        Annotated[int, Meta(ge=0, le=2**53)] | None,
        optional("For `/task/get` without a project: projects with a higher priority come first", default=0),
    ] = None
    clone_url: Annotated[Text | None, optional("For workers", default="")] = None
    git_repo: Annotated[
        Text | None, optional("For workers; pushes to this repository set `version` through webhooks", default="")
    ] = None
    version: Annotated[Text | None, optional("For workers", default="")] = None
    motd: Annotated[Text | None, optional("A message for workers", default="")] = None
    public: Annotated[
        bool | None,
        optional("Any worker may get its tasks; only admins can set this; excludes `hidden`", default=False),
    ] = None
    hidden: Annotated[bool | None, optional("Only managers with READ see the project", default=False)] = None
    chain: Annotated[
        Annotated[int, Meta(ge=0, le=2**53)] | None,
        optional("The project that closed tasks go to; 0: none; chains must not form a circle", default=0),
    ] = None
    paused: Annotated[bool | None, optional("No tasks are assigned; submit and release still work", default=False)] = (
        None
    )
    assign_rate: Annotated[Rate | None, optional("Tasks assigned per second; 0: unlimited", default=0)] = None
    submit_rate: Annotated[Rate | None, optional("Tasks submitted per second; 0: unlimited", default=0)] = None
    remember_closed: Annotated[
        Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None,
        optional(
            "Seconds for which a submit with the hash of a closed task is refused as a duplicate; -1: for ever",
            default=0,
        ),
    ] = None
    group_delay: Annotated[
        Annotated[float, Meta(ge=0, le=LONGEST_DELAY)] | None,
        optional("Minimum seconds between two gets of a group; kept to 1 ms", default=0),
    ] = None
    group_limit: Annotated[
        Count16 | None, optional("Maximum of tasks of a group held at once; 0: any number", default=0)
    ] = None
    group_order: Annotated[
        Literal["priority", "fair"] | None,
        optional(
            "Which group comes first: `priority`: the one whose best task has the highest priority; `fair`: they take "
            "turns",
            default="priority",
        ),
    ] = None
    retry_delay: Annotated[
        Duration | None,
        optional(
            "Seconds, plus up to a tenth, before a task released as fail is assigned again, first to other workers; "
            "0: at once",
            default=0,
        ),
    ] = None
    retry_delay_max: Annotated[
        Duration | None,
        optional("Seconds; `retry_delay` doubles at each fail of a task, up to this; 0: it does not double", default=0),
    ] = None
    max_reclaims: Annotated[
        Count16 | None,
        optional("A task that is reclaimed more often than this is failed; 0: any number", default=0),
    ] = None
    max_votes: Annotated[
        Count16 | None,
        optional(
            "A task is failed when it has so many votes and not enough of them agree; 0: any number; a value below "
            "the task's `verification_count` counts as that",
            default=0,
        ),
    ] = None

    notify_url: Annotated[
        Annotated[str, Meta(max_length=2048)] | None,
        optional(
            "http or https; the project's events are sent there by POST, signed as webhooks are; only managers with "
            'SECRET see it; "": none',
            default="",
        ),
    ] = None
    notify_failed: Annotated[
        Annotated[int, Meta(ge=0, le=2**31 - 1)] | None,
        optional("The event `failing` is sent each time that so many tasks have failed; 0: never", default=0),
    ] = None
    notify_stalled: Annotated[
        Duration | None,
        optional(
            "The event `stalled` is sent when tasks wait and none is assigned for so many seconds; 0: never",
            default=0,
        ),
    ] = None

    def given(self) -> dict[str, Any]:
        """The fields that were sent. Raises ``invalid`` for a ``notify_url`` that is not valid."""
        if self.notify_url:
            try:
                notify_url.parsed(self.notify_url)
            except ValueError as error:
                raise Invalid(f"notify_url: must be {error}") from None
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class RemoveGroup(Struct):
    group: Annotated[str | None, needed("The group", minLength=1, maxLength=LONGEST_GROUP)] = None


class MatchTasks(Struct):
    state: Annotated[
        str | None,
        optional("The state of the tasks, as in `/project/tasks`; required to remove tasks", default="failed"),
    ] = None
    contains: Annotated[
        Annotated[str, Meta(max_length=LONGEST_TEXT)] | None,
        optional("A text in the recipe or in the message of the last failure; case counts"),
    ] = None
    group: Annotated[str | None, optional("Only tasks of this group", maxLength=LONGEST_GROUP)] = None
    worker: Annotated[Id | None, optional("Only tasks that this worker holds, or was the last to fail")] = None


class SetGroup(RemoveGroup):
    delay: Annotated[
        Annotated[float, Meta(ge=-1, le=LONGEST_DELAY)] | None,
        optional("Its own `group_delay`, seconds; -1: the project's again"),
    ] = None
    limit: Annotated[
        Annotated[int, Meta(ge=-1, le=2**15 - 1)] | None,
        optional("Its own `group_limit`; 0: any number; -1: the project's again"),
    ] = None
    blocked_for: Annotated[
        Annotated[float, Meta(ge=0, le=LONGEST_DELAY)] | None,
        optional("Seconds for which none of its tasks is assigned; 0: ends a block"),
    ] = None


class NewProject(ProjectFields):
    """As ProjectFields, with a name."""

    name: Annotated[ProjectName | None, needed("Unique among all projects", minLength=1)] = None


class Credentials(Struct):
    username: Annotated[
        str | None,
        needed(
            "3 to 16 ASCII letters, digits, or any of `_ . -`; unique among all accounts",
            minLength=3,
            maxLength=16,
        ),
    ] = None
    password: Annotated[str | None, needed(f"8 to {LONGEST_PASSWORD} bytes of UTF-8", maxLength=LONGEST_PASSWORD)] = (
        None
    )


class ChangePassword(Struct):
    old: Annotated[str | None, needed("The current password")] = None
    new: Annotated[str | None, needed(f"8 to {LONGEST_PASSWORD} bytes of UTF-8", maxLength=LONGEST_PASSWORD)] = None


class CloseSessions(Struct):
    session: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None,
        optional("The id of one session; without it, all sessions except the current one", pattern="^[0-9a-f]{64}$"),
    ] = None


class DeleteWorkers(Struct):
    worker: Annotated[Id | None, optional("The worker's id")] = None
    silent_for: Annotated[
        Annotated[float, Meta(ge=86_400, le=LONGEST_DELAY)] | None,
        optional("Seconds for which workers have been silent", minimum=86_400, maximum=LONGEST_DELAY),
    ] = None


class NewToken(Struct):
    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=100)] | None,
        needed("What the token is for; for people", minLength=1, maxLength=100),
    ] = None
    expires_in: Annotated[
        Annotated[int, Meta(ge=0, le=LONGEST_DELAY)] | None,
        optional("Seconds until it expires; 0: the default, 90 days", default=7_776_000),
    ] = None


class RevokeToken(Struct):
    token_id: Annotated[Id | None, needed("The token's id, as the list of tokens has it")] = None


class LogQuery(Struct):
    level: Annotated[
        int | None,
        needed(
            "7 trace, 6 debug, 5 info, 4 warn, 3 error; 2 and 1 have no lines",
            enum=sorted({*LEVELS.values(), *UNUSED_LEVELS}),
        ),
    ] = None
    since: Annotated[Int64 | None, needed("Unix seconds: only later lines", minimum=1)] = None


class SetSecret(Struct):
    secret: Annotated[
        Annotated[str, Meta(max_length=MAX_SECRET)] | None,
        needed("Text for workers that were granted assign; may be empty"),
    ] = None


class SetWebhookSecret(Struct):
    webhook_secret: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1024)] | None,
        needed("The secret with which the Git server signs its calls"),
    ] = None


class SetNotifySecret(Struct):
    notify_secret: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1024)] | None,
        needed("The key with which the broker signs the project's events"),
    ] = None


class SetPaused(Struct):
    worker: Annotated[Id | None, needed("The worker's id")] = None
    paused: Annotated[bool | None, needed("True: get refuses the worker")] = None


class SetRole(Struct):
    manager: Annotated[Id | None, needed("The manager's id")] = None
    role: Annotated[
        Annotated[int, Meta(ge=0, le=31)] | None,
        needed("A sum: READ 1, EDIT 2, MANAGE_ACCESS 4, SECRET 8, MAINTENANCE 16; 0 removes the manager"),
    ] = None


class Repository(Struct):
    full_name: Annotated[str | None, optional("Compared with the projects' `git_repo`, ignoring case")] = None


class Push(Struct):
    """``after`` is all zeros when the branch was deleted.

    The fields that all three servers send: docs.github.com/webhooks, docs.gitea.com/usage/webhooks, gogs.io/docs."""

    ref: Annotated[str | None, optional("Only `refs/heads/master` and `refs/heads/main` count")] = None
    after: Annotated[
        Annotated[str, Meta(max_length=255)] | None,
        optional("The commit, which becomes the project's `version`; all zeros: nothing changes"),
    ] = None
    repository: Annotated[Repository | None, optional("The repository of the push")] = None


def hash_of(body: SubmitTask | ForgetHash) -> int | None:
    """The task's hash, given as a number or as a unique string; None: no hash."""
    hash64, unique = body.hash64 or None, body.unique_string or None
    if body.hash_u64 or body.unique_str:
        hash64 = one_of("hash64", hash64, "hash_u64", body.hash_u64 or None)
        unique = one_of("unique_string", unique, "unique_str", body.unique_str or None)
    if unique:
        if hash64:
            raise Invalid("unique_string: send this or hash64, not both")
        hash64 = hash64_of(unique)
    return hash64
