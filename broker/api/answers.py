"""The types of the ``content`` of answers.

Handlers build answers from plain dicts, which is faster; the tests check every answer against these types.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from broker.api.values import Id, Int64
from broker.store.monitoring import Counters

Time = Annotated[int, Meta(description="Unix seconds")]
Count = Annotated[int, Meta(ge=0)]
Round = Annotated[int, Meta(ge=1, description="1, and one more each time that the task is closed and comes again")]
LastSeen = Annotated[int | None, Meta(description="Unix seconds, to the minute, visible within 60 s; null: never")]
Held = Annotated[int, Meta(ge=0, description="How many tasks the worker holds")]
Fails = Annotated[int, Meta(ge=0, description="How often the worker has released a task as fail")]
Said = Annotated[str | None, Meta(description="From the header `X-Worker-Info`; null: not sent")]
Group = Annotated[str, Meta(description='The host or site that the task is for; "": none')]


class Worker(Struct):
    id: Id
    created: Time
    alias: str
    secret: Annotated[str | None, Meta(description="Shown only when it is created or changed, else null")]
    paused: Annotated[bool, Meta(description="An admin has paused the worker: get refuses it")]


class OneWorker(Struct):
    worker: Worker


class SeenWorker(Worker):
    """The optional fields are shown to managers who are logged in, and to the worker itself."""

    last_seen: LastSeen | UnsetType = UNSET
    held_task_count: Held | UnsetType = UNSET
    failed_task_count: Fails | UnsetType = UNSET
    version: Said | UnsetType = UNSET
    host: Said | UnsetType = UNSET


class OneSeenWorker(Struct):
    worker: SeenWorker


class Project(Struct):
    id: Id
    priority: Annotated[int, Meta(ge=0, description="Used by `/task/get` without a project: the highest first")]
    name: str
    clone_url: str
    git_repo: str
    version: str
    motd: str
    public: bool
    hidden: bool
    chain: Annotated[int, Meta(ge=0, description="The project that closed tasks go to; 0: none")]
    paused: bool
    assign_rate: Annotated[float, Meta(gt=0, description="Tasks per second; 1.7976931348623157e+308: unlimited")]
    submit_rate: Annotated[float, Meta(gt=0, description="As `assign_rate`")]
    remember_closed: Annotated[int, Meta(ge=-1, description="Seconds; -1: for ever")]


class WholeProject(Project):
    """A project with all its settings."""

    group_delay: Annotated[float, Meta(ge=0, description="Minimum seconds between two gets of a group")]
    group_limit: Annotated[int, Meta(ge=0, description="Maximum of tasks of a group held at once; 0: any number")]
    group_order: Annotated[Literal["priority", "fair"], Meta(description="Which group comes first")]
    retry_delay: Annotated[float, Meta(ge=0, description="Seconds before a task released as fail is assigned again")]
    retry_delay_max: Annotated[
        float, Meta(ge=0, description="Seconds up to which `retry_delay` doubles; 0: it does not")
    ]
    max_reclaims: Annotated[int, Meta(ge=0, description="Reclaims after which a task is failed; 0: any number")]
    max_votes: Annotated[
        int, Meta(ge=0, description="Votes after which a task without agreement is failed; 0: any number")
    ]
    notify_url: Annotated[str | None, Meta(description="Null for callers without SECRET")]
    notify_failed: Annotated[int, Meta(ge=0, description="Failed tasks after which the event `failing` is sent")]
    notify_stalled: Annotated[float, Meta(ge=0, description="Seconds after which the event `stalled` is sent")]


class ProjectTwice(WholeProject):
    """Each field appears twice, here and in `project`: existing clients read one or the other."""

    project: WholeProject


class Projects(Struct):
    projects: Annotated[list[WholeProject], Meta(description="By name")]


class ProjectId(Struct):
    id: Id


class ProjectSecret(Struct):
    secret: Annotated[str, Meta(description="`{}` in a new project")]


class NotifySecret(Struct):
    notify_secret: Annotated[str, Meta(description="Random in a new project")]


class WebhookSecret(Struct):
    webhook_secret: Annotated[str, Meta(description="Random in a new project")]


class Task(Struct):
    """An assigned task."""

    id: Id
    priority: int
    assignee: Annotated[Id, Meta(description="The worker that it is assigned to")]
    retries: Annotated[int, Meta(ge=0, description="How often it was released as fail")]
    max_retries: Count
    status: Annotated[Literal[1], Meta(description="1: not failed")]
    recipe: str
    max_assign_time: Annotated[int, Meta(ge=0, description="Seconds, as submitted; 0: the server's default")]
    assign_time: Time
    verification_count: Annotated[int, Meta(ge=1)]
    group: Group
    round: Round
    project: Project


class OneTask(Struct):
    """Without `count`."""

    task: Task


class Tasks(Struct):
    tasks: list[Task]


class TaskId(Struct):
    task_id: Id


class BulkOutcome(Struct):
    submitted: Count
    duplicates: Count
    outcomes: Annotated[list[Id | None], Meta(description="The id of each task; null for a duplicate")]


class Updated(Struct):
    updated: Annotated[
        bool,
        Meta(description="False: the worker does not hold the task, or more votes are needed; `message` says which"),
    ]


class AllUpdated(Struct):
    updated: Annotated[list[bool], Meta(description="In the order of the requests")]


class Returned(Struct):
    returned: Annotated[list[bool], Meta(description="In the order of the tasks; false: no longer held")]


class RefusedPart(Struct):
    code: str
    message: Annotated[str, Meta(description="For people; its words may change")]
    detail: Annotated[
        str | UnsetType, Meta(description="For a get: the reason, if `message` is `No task available`")
    ] = UNSET
    rate_limit_delay: Annotated[
        float | UnsetType, Meta(description="With `rate_limited`: seconds to wait, with a fraction")
    ] = UNSET


class RefusedParts(Struct):
    releases: RefusedPart | UnsetType = UNSET
    submits: RefusedPart | UnsetType = UNSET
    get: RefusedPart | UnsetType = UNSET


class TurnOutcome(Struct):
    updated: Annotated[list[bool], Meta(description="In the order of the releases")]
    outcomes: Annotated[
        list[Id | None],
        Meta(description="The id of each submitted task; null for a duplicate; fewer if the others are refused"),
    ]
    tasks: Annotated[list[Task], Meta(description="Empty: no task was available")]
    refused: Annotated[RefusedParts, Meta(description="What was not done, and why; empty: all was done")]


class Extended(Struct):
    extended: Annotated[list[bool], Meta(description="In the order of the tasks; false: no longer held")]


class Cancelled(Struct):
    cancelled: Annotated[list[bool], Meta(description="In the order of the tasks; true: the task is deleted")]


class Manager(Struct):
    id: Id
    username: str
    tracker_admin: Annotated[bool, Meta(description="The manager is an admin, and has all roles on all projects")]
    register_time: Time


class SignedIn(Struct):
    manager: Annotated[Manager | None, Meta(description="Null only if the session ended at the same moment")]


class Account(Struct):
    logged_in: bool
    manager: Manager | None


class Session(Struct):
    id: Annotated[str, Meta(description="Identifies the session; it is not the cookie, and gives no access")]
    created: Time
    ends: Time
    current: Annotated[bool, Meta(description="Whether this is the session of this call")]
    address: Annotated[str, Meta(description="From which the manager logged in; empty: not known")]
    browser: Annotated[str, Meta(description="The `User-Agent` of that call, its first 200 characters")]


class Sessions(Struct):
    sessions: Annotated[list[Session], Meta(description="Latest end first, 100 at most")]


class ClosedSessions(Struct):
    closed: Annotated[int, Meta(ge=0, description="How many sessions were ended")]


class DeletedWorkers(Struct):
    deleted: Annotated[int, Meta(ge=0, description="How many workers")]
    pending: Annotated[bool, Meta(description="True: the rest follows in the background")]


class Reason(Struct):
    code: Literal[
        "worker_paused",
        "paused",
        "no_access",
        "access_pending",
        "rejected",
        "rate_limited",
        "nothing_waits",
        "voted",
        "groups_resting",
        "groups_full",
        "groups_blocked",
        "delayed",
        "held",
        "failed",
        "draining",
        "available",
    ]
    message: str
    until: Annotated[Time | None, Meta(description="When it may end")]
    count: Annotated[Count | None, Meta(description="How many tasks, groups or calls it is about")]


class Reasons(Struct):
    reasons: Annotated[list[Reason], Meta(description="All reasons; or only `available`")]


class CreatedToken(Struct):
    token: Annotated[str, Meta(description="Shown only here")]
    token_id: Id


class Token(Struct):
    id: Id
    name: str
    expires: Time
    last_used: Annotated[Time | None, Meta(description="To the minute; null: never")]


class Tokens(Struct):
    tokens: Annotated[list[Token], Meta(description="By id, 100 at most")]


class Managers(Struct):
    managers: Annotated[list[Manager], Meta(description="By id")]


class RoleHolder(Struct):
    manager: Manager
    role: Annotated[int, Meta(ge=1, le=31, description="A sum of roles")]


class RoleHolders(Struct):
    managers: Annotated[list[RoleHolder], Meta(description="By id")]


class Stats(Struct):
    """Tasks in each state, now."""

    waiting: Count
    verifying: Count
    delayed: Annotated[int, Meta(ge=0, description="Tasks that no worker gets before a set time")]
    assigned: Count
    failed: Count
    groups_ready: Annotated[
        int, Meta(ge=0, description="Groups with a task that can be assigned now; a minimum if tasks with votes wait")
    ]
    groups_resting: Annotated[int, Meta(ge=0, description="Groups whose next task can be assigned only later")]
    groups_full: Annotated[int, Meta(ge=0, description="Groups with as many held tasks as their limit allows")]
    groups_blocked: Annotated[
        int, Meta(ge=0, description="Groups that are blocked; they also count as resting or full")
    ]
    errors: Annotated[int, Meta(ge=0, description="Tasks that failed at their last attempt")]
    orphaned: Annotated[int, Meta(ge=0, description="As in `counters`")]
    counters: Counters


class ProjectStats(Struct):
    stats: Stats


class Snapshot(Struct):
    new_task_count: Annotated[int, Meta(description="Unfinished tasks without a vote")]
    failed_task_count: int
    closed_task_count: Annotated[int, Meta(description="All tasks closed so far")]
    worker_access_count: Annotated[int, Meta(description="Workers that were granted access")]
    awaiting_verification_count: Annotated[int, Meta(description="Unfinished tasks with votes")]
    time_stamp: Time


class FullSnapshot(Snapshot):
    """With `full=1`. The additional fields are null in snapshots that an earlier version took."""

    waiting_task_count: int | None
    assigned_task_count: int | None
    submitted_task_count: Annotated[int | None, Meta(description="All tasks submitted so far, also by chains")]
    all_failed_task_count: Annotated[int | None, Meta(description="All tasks failed for good so far")]
    reclaimed_task_count: Annotated[int | None, Meta(description="All tasks reclaimed so far")]


class FullSnapshots(Struct):
    snapshots: Annotated[list[FullSnapshot], Meta(description="Newest first")]


class Snapshots(Struct):
    snapshots: Annotated[list[Snapshot], Meta(description="Newest first")]


class Assignee(Struct):
    assignee: Annotated[str, Meta(description="A worker's alias; the last is `unassigned`")]
    task_count: Count


class Assignees(Struct):
    assignees: list[Assignee]


class WorkerStats(Struct):
    """The optional fields are shown to managers who are logged in, and to the worker itself."""

    alias: str
    closed_task_count: Count
    paused: bool
    id: Id
    last_seen: LastSeen | UnsetType = UNSET
    held_task_count: Held | UnsetType = UNSET
    failed_task_count: Fails | UnsetType = UNSET
    version: Said | UnsetType = UNSET
    host: Said | UnsetType = UNSET


class AllWorkerStats(Struct):
    stats: Annotated[list[WorkerStats], Meta(description="By id")]


class Vote(Struct):
    worker: Id
    verification: Int64


TaskState = Literal["waiting", "verifying", "delayed", "assigned", "failed"]


class TaskError(Struct):
    message: Annotated[str, Meta(description='As the worker gave it; "": none')]
    worker: Annotated[Id | None, Meta(description="Null: the votes of its workers did not agree")]
    time: Time


class ManagedTask(Struct):
    """A task as managers see it. A field without a value is null."""

    id: Id
    state: TaskState
    status: Annotated[Literal[1, 2], Meta(description="2 if the task is failed, else 1")]
    recipe: Annotated[str, Meta(description="In a list without `full`, the first 200 characters")]
    recipe_bytes: Annotated[int, Meta(ge=0, description="Of the whole recipe")]
    priority: int
    retries: Count
    reclaims: Annotated[int, Meta(ge=0, description="How often it was reclaimed after its deadline or given back")]
    round: Round
    error: Annotated[TaskError | None, Meta(description="Why its last attempt failed")]
    max_retries: Count
    max_assign_time: Count
    verification_count: Annotated[int, Meta(ge=1)]
    group: Group
    hash64: Int64 | None
    created: Time
    assignee: Annotated[Id | None, Meta(description="The worker that holds the task")]
    assign_time: Time | None
    deadline: Annotated[int | None, Meta(description="Unix seconds; for an assigned task")]
    fail_time: Annotated[int | None, Meta(description="Unix seconds; for a failed task")]
    not_before: Annotated[float | None, Meta(description="Unix seconds; for a delayed task")]
    vote_count: Count
    votes: Annotated[
        list[Vote], Meta(description="About 100 at most; in a page, about 1,000 for all its tasks together")
    ]


class TaskPage(Struct):
    total: Annotated[int, Meta(ge=0, description="Tasks in this state")]
    tasks: list[ManagedTask]


class FoundTasks(Struct):
    tasks: Annotated[list[ManagedTask], Meta(description="By id; may be empty")]
    next: Annotated[str | None, Meta(description="What to send as `after` for the next page; null: this is the last")]


class Failure(Struct):
    message: Annotated[str, Meta(description='As workers gave it; "": none')]
    count: Annotated[int, Meta(ge=1, description="How many of these tasks failed with this message")]
    last: Time
    task_id: Annotated[Id, Meta(description="The task that failed last with this message")]


class Failures(Struct):
    failures: Annotated[list[Failure], Meta(description="By count, largest first")]


class OneManagedTask(Struct):
    task: ManagedTask


class AffectedTasks(Struct):
    affected_tasks: Count


class MatchingTasks(Struct):
    affected_tasks: Annotated[int, Meta(ge=0, description="How many so far")]
    pending: Annotated[bool, Meta(description="True: the rest follows in the background")]


class Forgotten(Struct):
    forgotten: Annotated[bool, Meta(description="False: no closed task with this hash was remembered")]


class Access(Struct):
    submit: bool
    assign: bool
    request: Annotated[bool, Meta(description="Requested and not granted yet")]
    worker: Worker
    project: Id


class Accesses(Struct):
    accesses: Annotated[list[Access], Meta(description="Requests first, then granted access, each by worker id")]


class Accepted(Struct):
    accepted: Annotated[int, Meta(ge=0, description="How many requests were accepted")]


class JoinToken(Struct):
    id: Id
    assign: bool
    submit: bool
    uses_left: Annotated[Count | None, Meta(description="Null: any number")]
    expires: Time


class JoinTokens(Struct):
    tokens: Annotated[list[JoinToken], Meta(description="Those that have not expired, by id")]


class Joined(Struct):
    assign: Annotated[bool, Meta(description="Whether the worker may get tasks of the project now")]
    submit: bool


class LoggedLine(Struct):
    timestamp: Time
    message: str
    data: Annotated[str, Meta(description="JSON: `scope`, and the id of the `worker` if the line is a worker's")]
    level: Literal[3, 4, 5, 6, 7]


class LoggedLines(Struct):
    logs: Annotated[list[LoggedLine], Meta(description="Newest first, 1,000 at most")]


class Versioned(Struct):
    projects: Annotated[list[int], Meta(description="The projects whose version was set")]


class About(Struct):
    name: str
    version: str


class GroupRow(Struct):
    group: str
    waiting: Annotated[int, Meta(ge=0, description="Waiting tasks, with or without votes")]
    running: Annotated[int, Meta(ge=0, description="Tasks that are held")]
    delay: Annotated[float, Meta(ge=0, description="Minimum seconds between two gets")]
    limit: Annotated[int, Meta(ge=0, description="Maximum of tasks held at once; 0: any number")]
    own: Annotated[bool, Meta(description="The group has its own delay or limit, or workers have slowed it down")]
    next: Annotated[
        float | None, Meta(description="Unix seconds: when the next task can be assigned; null: now, or not known")
    ]
    blocked_until: Annotated[float | None, Meta(description="Unix seconds")]
    set_by: Annotated[str | None, Meta(description="Who set its limits, such as `manager 2`")]


class OneGroup(Struct):
    group: GroupRow


class GroupPage(Struct):
    groups: list[GroupRow]
    next: Annotated[str | None, Meta(description="What to send as `after` for the next page; null: this is the last")]
