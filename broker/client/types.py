"""The data of the API, named as in docs/http-api.md, and the errors of the client. Unknown fields are ignored."""

from enum import IntEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field


class Result(IntEnum):
    """How a task is released."""

    OK = 0
    FAIL = 1
    SKIP = 2


class Project(Struct, frozen=True):
    """Rates are in tasks per second; 1.7976931348623157e+308 means unlimited."""

    id: int
    name: str
    priority: int = 0
    clone_url: str = ""
    git_repo: str = ""
    version: str = ""
    motd: str = ""
    public: bool = False
    hidden: bool = False
    chain: int = 0
    paused: bool = False
    assign_rate: float = 0
    submit_rate: float = 0
    remember_closed: int = 0
    group_delay: float = 0
    group_limit: int = 0
    group_order: str = "priority"
    retry_delay: float = 0
    retry_delay_max: float = 0
    max_reclaims: int = 0
    max_votes: int = 0
    notify_url: str | None = None
    notify_failed: int = 0
    notify_stalled: float = 0


class NewTask(Struct, frozen=True, omit_defaults=True):
    """A task to submit. Set ``hash64`` or ``unique_string``, not both, to refuse duplicates.

    No worker gets it before ``delay`` seconds have passed, or before ``not_before`` (unix seconds).
    """

    recipe: str
    priority: Annotated[int, Meta(ge=-(2**15), le=2**15 - 1)] = 0
    max_retries: Annotated[int, Meta(ge=0, le=2**15 - 1)] = 0
    max_assign_time: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    verification_count: Annotated[int, Meta(ge=0, le=2**15 - 1)] = 1
    hash64: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] = 0
    unique_string: str = ""
    group: str = ""
    delay: Annotated[float, Meta(ge=0, le=10 * 365 * 86400)] = 0
    not_before: Annotated[float, Meta(ge=0)] = 0

    @property
    def hashed(self) -> bool:
        return bool(self.hash64 or self.unique_string)


class Task(Struct):
    """A task that a worker holds. ``max_assign_time`` is in seconds; 0 means the server's default."""

    id: int
    recipe: str
    project: Project
    priority: int = 0
    assignee: int = 0
    retries: int = 0
    max_retries: int = 0
    status: int = 1
    max_assign_time: int = 0
    assign_time: int = 0
    verification_count: int = 1
    group: str = ""
    round: int = 1
    group_delay: float = 0
    """This and the next are sent with the release, as in :class:`Release`."""
    group_blocked: float = 0
    comes_again: float = 0
    """As ``again_in`` in :class:`Release`."""
    submits: list[NewTask] = []
    """Tasks that the worker submits when it releases this one as OK."""

    def submit(self, task: NewTask | str, /, **fields: Any) -> None:
        """When this task is released as OK, the worker submits this one to its project: a :class:`NewTask`, or a recipe
        and fields of one. If the function raises, it is not submitted.
        """
        new = NewTask(task, **fields) if isinstance(task, str) else task
        msgspec.json.encode(new)  # What cannot be encoded is an error here, and not in a call for many tasks.
        self.submits.append(new)

    def again_in(self, seconds: float) -> None:
        """When this task is released as OK and closes, it comes again after so many seconds, in its next ``round``."""
        self.comes_again = float(seconds)

    def slow_group(self, seconds: float) -> None:
        """When this task is released, its group gets this delay: at least the project's, at most an hour."""
        self.group_delay = _bounded(seconds, 3600)

    def block_group(self, seconds: float) -> None:
        """When this task is released, no task of its group is assigned for so long, at most a day; 0 ends the block."""
        self.group_blocked = _bounded(seconds, 86_400)


def _bounded(seconds: float, most: float) -> float:
    """A site may ask for any number, but the broker refuses a release with one that is out of range."""
    return min(seconds, most) if seconds > 0 else -1


class Release(Struct, frozen=True):
    """The release of one task. ``verification`` is used with OK when the task's ``verification_count`` is 2 or more.

    ``message``: why it failed. ``delay``: seconds before any worker gets it again after a FAIL or SKIP; 0: as the
    project says. ``again_in``: with an OK, seconds after which the task comes again if this closes it; 0: never.

    ``group_delay``, ``group_blocked``: seconds between two gets of its group, and seconds for which none of its
    tasks is assigned; 0: no change; -1: ends what workers have set.
    """

    task_id: int
    result: Result = Result.OK
    verification: int = 0
    group_delay: float = 0
    group_blocked: float = 0
    message: str = ""
    delay: float = 0
    again_in: float = 0


class RefusedPart(Struct, frozen=True):
    """Why a part of a turn was not done. ``rate_limit_delay``: seconds to wait, with the code ``rate_limited``."""

    code: str
    message: str
    detail: str | None = None
    rate_limit_delay: float | None = None


class Turn(Struct, frozen=True):
    """What a turn has done. ``outcomes``: the id of each submitted task, None for a duplicate.

    ``refused``: by part (releases, submits, get), why it was not done, or not completely. Where it is not known what
    was done, ``updated`` is False, and ``outcomes`` ends.
    """

    updated: list[bool]
    outcomes: list[int | None]
    tasks: list[Task]
    refused: dict[str, RefusedPart]


class Group(Struct, frozen=True):
    """A group of tasks, such as a host. Times are unix seconds.

    ``running``: tasks that are held. ``next``: when its next task can be assigned, if that is known.
    """

    group: str
    waiting: int = 0
    running: int = 0
    delay: float = 0
    limit: int = 0
    own: bool = False
    next: float | None = None
    blocked_until: float | None = None
    set_by: str | None = None


GroupState = Literal["ready", "resting", "full", "blocked"]

AccessState = Literal["requested", "pending", "granted"]
"""The request was made now; an earlier one is still waiting for a manager; or the worker has access already."""


class WorkerInfo(Struct, frozen=True):
    """What anybody may read about a worker. The other fields are for managers, and for the worker itself."""

    id: int
    alias: str
    created: int = 0
    paused: bool = False
    last_seen: int | None = None
    """Unix seconds, to the minute."""
    held_task_count: int | None = None
    failed_task_count: int | None = None
    version: str | None = None
    host: str | None = None


class Access(Struct, frozen=True):
    """What a worker may do in a project."""

    assign: bool
    submit: bool


class Manager(Struct, frozen=True):
    id: int
    username: str
    tracker_admin: bool = False
    register_time: int = 0


class Counters(Struct):
    """Events of a project's tasks since the project was created."""

    submitted: int = 0
    chained: int = 0
    imported: int = 0
    duplicates: int = 0
    assigned: int = 0
    voted: int = 0
    closed: int = 0
    failed: int = 0
    retried: int = 0
    skipped: int = 0
    reclaimed: int = 0
    removed: int = 0
    dropped: int = 0
    repeated: int = 0
    orphaned: int = 0


class Stats(Struct):
    """How many of a project's tasks are in each state, and their events so far."""

    waiting: int = 0
    verifying: int = 0
    delayed: int = 0
    assigned: int = 0
    failed: int = 0
    errors: int = 0
    groups_ready: int = 0
    groups_resting: int = 0
    groups_full: int = 0
    groups_blocked: int = 0
    counters: Counters = field(default_factory=Counters)

    @property
    def unfinished(self) -> int:
        return self.waiting + self.verifying + self.delayed + self.assigned


TaskState = Literal["waiting", "verifying", "delayed", "assigned", "failed"]


class Vote(Struct, frozen=True):
    worker: int
    verification: int


class TaskError(Struct, frozen=True):
    """Why a task failed at its last attempt. ``worker``: None when its votes did not agree. Unix seconds."""

    message: str
    worker: int | None = None
    time: int = 0


class TaskRow(Struct, frozen=True):
    """A task as its project's managers see it. Times are unix seconds."""

    id: int
    state: TaskState
    recipe: str
    recipe_bytes: int
    status: int = 1
    priority: int = 0
    retries: int = 0
    reclaims: int = 0
    round: int = 1
    error: TaskError | None = None
    max_retries: int = 0
    max_assign_time: int = 0
    verification_count: int = 1
    group: str = ""
    hash64: int | None = None
    created: int = 0
    assignee: int | None = None
    assign_time: int | None = None
    deadline: int | None = None
    fail_time: int | None = None
    not_before: float | None = None
    votes: list[Vote] = []


class TaskPage(Struct, frozen=True):
    """Some of the tasks in a state. ``total``: how many there are."""

    total: int
    tasks: list[TaskRow]


class Failure(Struct, frozen=True):
    """A message with which tasks have failed: how many, the last time (unix seconds), and one of the tasks."""

    message: str
    count: int
    last: int
    task_id: int


class Affected(Struct, frozen=True):
    """How many tasks a call has changed so far. ``pending``: the rest follows in the background."""

    affected_tasks: int
    pending: bool


class ClientError(Exception):
    """A call failed.

    ``done``: after ``submit_many``, the ids of the first tasks, which were submitted; None for duplicates.
    """

    done: "list[int | None]"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.done = []


class Refused(ClientError):
    """The broker refused the call and changed nothing. ``code`` is stable; ``delay``: seconds, with a 429."""

    def __init__(self, call: str, status: int, code: str | None, message: str | None, delay: float | None) -> None:
        super().__init__(f"the broker refused {call} with {status} {code or ''}: {message or 'no message'}")
        self.status = status
        self.code = code
        self.reason = message or ""
        self.delay = delay


class Unreachable(ClientError):
    """There was no answer, or none that says what was done.

    ``sent``: whether the broker may have carried the call out. ``status``: of the last answer, perhaps a proxy's;
    None without one. ``delay``: the seconds of its Retry-After.
    """

    def __init__(self, message: str, *, sent: bool, status: int | None = None, delay: float = 0) -> None:
        super().__init__(message)
        self.sent = sent
        self.status = status
        self.delay = delay


class _GivenBack(Exception):
    def __init__(self, message: str = "", *, delay: float = 0) -> None:
        super().__init__(message)
        self.delay = float(delay)


class Fail(_GivenBack):
    """Raised by a worker's function: the task failed. It is assigned again while it has retries left.

    ``message``: why, for the project's managers. ``delay``: seconds before any worker gets it again; 0: as the project
    says.
    """


class Skip(_GivenBack):
    """Raised by a worker's function: the task should be done by another worker, or later. It does not count as a retry.

    ``delay``: seconds before any worker gets it again; 0: at once.
    """
