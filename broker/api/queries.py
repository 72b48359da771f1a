"""The parameters of queries, as the API describes them; the handlers read them."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from broker.api.answers import TaskState
from broker.api.values import LONGEST_HOLD, LONGEST_TEXT, LONGEST_WAIT, MAX_COUNT, Id
from broker.store.groups import GroupState


class WhyQuery(Struct):
    worker: Annotated[Id | None, Meta(description="The worker; a worker may leave out its own id")] = None


_TASKS_TO_GET = "The maximum number of tasks, with at most about 8 MiB of recipes; the answer has `content.tasks`"
_SECONDS_TO_WAIT = "The maximum number of seconds to wait for a task"
_SECONDS_TO_HOLD = (
    "The maximum number of seconds to hold the tasks; a task with a `max_assign_time` is held no longer than that"
)
_WHOLE_RECIPES = "Whole recipes; the page then ends after about 8 MiB of recipes"
Offset = Annotated[int, Meta(ge=0, lt=10**9)]
Limit = Annotated[int, Meta(ge=1, le=500)]
Moment = Annotated[int, Meta(ge=0, lt=10**11, description="Unix seconds, inclusive")]


class TakeQuery(Struct):
    count: Annotated[int, Meta(ge=1, le=MAX_COUNT, description=_TASKS_TO_GET)] | None = None
    wait: Annotated[int, Meta(ge=0, le=LONGEST_WAIT, description=_SECONDS_TO_WAIT)] | None = None
    hold: Annotated[int, Meta(ge=1, le=LONGEST_HOLD, description=_SECONDS_TO_HOLD)] | None = None


class SnapshotsQuery(Struct):
    count: Annotated[int, Meta(ge=1, le=999, description="The number of snapshots, newest first")]


class BetweenQuery(Struct):
    oldest: Moment = field(name="from")
    newest: Moment = field(name="to")
    full: Annotated[Literal[1], Meta(description="Adds more counts to each snapshot")] | None = None


class GroupQuery(Struct):
    group: Annotated[str, Meta(description="The group", min_length=1, max_length=255)]


class GroupsQuery(Struct):
    state: Annotated[
        GroupState,
        Meta(
            description="Which groups. `ready`: a task can be assigned now; `resting`: only later; `full`: as many "
            "tasks are held as the limit allows; `blocked`: such groups also count as resting or full"
        ),
    ]
    after: Annotated[str, Meta(description="The `next` of the page before")] | None = None
    limit: Annotated[Limit, Meta(description="The maximum number of groups to list; default 100")] | None = None


class TaskPageQuery(Struct):
    state: Annotated[
        Literal[TaskState, "queue"],
        Meta(
            description="The state: `waiting` (`queue` is the same) is without votes, `verifying` with votes. "
            "The next task to be assigned comes first; `assigned` is by deadline, `failed` by fail time"
        ),
    ] = "waiting"
    offset: Annotated[Offset, Meta(description="How many tasks to skip")] = 0
    limit: Annotated[Limit, Meta(description="The maximum number of tasks to list")] = 50
    order: (
        Annotated[Literal["newest", "oldest"], Meta(description="By id; `oldest` if only a filter is given")] | None
    ) = None
    contains: (
        Annotated[
            str,
            Meta(
                max_length=LONGEST_TEXT,
                description="A text in the recipe or in the message of the last failure; case counts",
            ),
        ]
        | None
    ) = None
    group: Annotated[str, Meta(description="Only tasks of this group")] | None = None
    worker: Annotated[Id, Meta(description="Only tasks that this worker holds, or was the last to fail")] | None = None
    after: Annotated[str, Meta(description="The `next` of the page before")] | None = None
    full: Annotated[Literal[1], Meta(description=_WHOLE_RECIPES)] | None = None


class WorkerStatsQuery(Struct):
    offset: Annotated[Offset, Meta(description="How many workers to skip")] | None = None
    limit: Annotated[Limit, Meta(description="The maximum number of workers to list")] | None = None
    project: Annotated[int, Meta(ge=1, lt=10**9, description="Count only tasks of this project")] | None = None
