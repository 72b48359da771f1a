"""The calls that look into a project, and put it in order."""

from broker.openapi import contents
from broker.openapi.entry import MANAGER, READER, Entry, Example
from broker.openapi.projects import ID
from broker.openapi.samples import managed_task

_TASK = ID | {"task": "the task's id"}
_NO_SUCH = {"not_found": "no such project"}
_READ = {"denied": "needs READ on the project"}
_MAINTENANCE = {"denied": "needs MAINTENANCE on the project"}
_OTHER = {"invalid": "an id; or the task is another project's"}
_WHOLE = (
    "By a manager with MAINTENANCE. It takes hold of all tasks concerned in one step; what is submitted, assigned or "
    "fails after that is not touched. It may take up to about 30 seconds; what is left then the broker goes on with."
)
_FAILED = managed_task(
    200002,
    "https://example.org/a",
    state="failed",
    status=2,
    retries=1,
    hash64=5158252350249958646,
    fail_time=1795469335,
)

ENTRIES = {
    "GET /project/monitoring/{id}": Entry(
        summary="The newest counts over time",
        text="By anybody; of a hidden project by managers with READ. A snapshot is taken each 120 seconds, and kept "
        "for 400 hours (settings).",
        who=READER,
        path=ID,
        query=contents.SnapshotsQuery,
        content=(contents.Snapshots,),
        refuses=_NO_SUCH,
        example=Example(
            path="/project/monitoring/2?count=1",
            content={
                "snapshots": [
                    {
                        "new_task_count": 2,
                        "failed_task_count": 0,
                        "closed_task_count": 0,
                        "worker_access_count": 1,
                        "awaiting_verification_count": 0,
                        "time_stamp": 1795471193,
                    }
                ]
            },
        ),
    ),
    "GET /project/monitoring-between/{id}": Entry(
        summary="The counts of a span of time",
        text="As `/project/monitoring/{id}`; at most 100,000 snapshots.",
        who=READER,
        path=ID,
        query=contents.BetweenQuery,
        content=(contents.Snapshots,),
        refuses=_NO_SUCH,
        example=Example(
            path="/project/monitoring-between/2?from=1795468800&to=1795469100",
            content={"snapshots": []},
        ),
    ),
    "GET /project/assignees/{id}": Entry(
        summary="Who holds tasks",
        text="By anybody; of a hidden project by managers with READ. The 16 workers that hold the most, and last how "
        "many tasks nobody holds.",
        who=READER,
        path=ID,
        content=(contents.Assignees,),
        refuses=_NO_SUCH,
        example=Example(
            path="/project/assignees/2",
            content={
                "assignees": [
                    {"assignee": "crawler-01", "task_count": 1},
                    {"assignee": "unassigned", "task_count": 2},
                ]
            },
        ),
    ),
    "GET /project/tasks/{id}": Entry(
        summary="List a project's tasks",
        text="By a manager with READ, also when the project is public. Tasks that a maintenance call has in hand are "
        "in no state.",
        who=MANAGER,
        path=ID,
        query=contents.TaskPageQuery,
        content=(contents.TaskPage,),
        refuses=_READ | _NO_SUCH,
        example=Example(path="/project/tasks/2?state=failed", content={"total": 1, "tasks": [_FAILED]}),
    ),
    "GET /project/task/{id}/{task}": Entry(
        summary="Look at one task",
        text="By a manager with READ: in whatever state, with its whole recipe.",
        who=MANAGER,
        path=_TASK,
        content=(contents.OneManagedTask,),
        refuses=_OTHER | _READ | {"not_found": "no such project; or the task was closed, removed, or never there"},
        example=Example(path="/project/task/2/200002", content={"task": _FAILED}),
    ),
    "POST /project/retry_task/{id}/{task}": Entry(
        summary="Let a failed task wait again",
        text="By a manager with MAINTENANCE. It takes the last place of its priority, with `retries` 0 and its votes. "
        "404 the second time.",
        who=MANAGER,
        path=_TASK,
        refuses=_OTHER | _MAINTENANCE | {"not_found": "no such project or task, or it is not failed"},
        example=Example(path="/project/retry_task/2/200002"),
    ),
    "POST /project/remove_task/{id}/{task}": Entry(
        summary="Delete one task",
        text="By a manager with MAINTENANCE. In whatever state, with its votes; its hash is free at once, and who held "
        "it learns of it at release. 404 the second time.",
        who=MANAGER,
        path=_TASK,
        refuses=_OTHER | _MAINTENANCE | {"not_found": "no such project or task"},
        example=Example(path="/project/remove_task/2/300002"),
    ),
    "POST /project/reset_failed_tasks/{id}": Entry(
        summary="Let all failed tasks wait again",
        text=f"{_WHOLE} They keep their votes, and have `retries` 0. Safe to repeat.",
        who=MANAGER,
        path=ID,
        content=(contents.AffectedTasks,),
        refuses=_MAINTENANCE | _NO_SUCH,
        example=Example(path="/project/reset_failed_tasks/2", content={"affected_tasks": 0}),
    ),
    "POST /project/reclaim_assigned_tasks/{id}": Entry(
        summary="Take all assigned tasks back",
        text=f"{_WHOLE} They wait again, whatever their deadline was. Safe to repeat.",
        who=MANAGER,
        path=ID,
        content=(contents.AffectedTasks,),
        refuses=_MAINTENANCE | _NO_SUCH,
        example=Example(path="/project/reclaim_assigned_tasks/2", content={"affected_tasks": 0}),
    ),
    "POST /project/hard_reset/{id}": Entry(
        summary="Delete all tasks of a project",
        text=f"{_WHOLE} Their votes and hashes go too, and remembered hashes; counters and snapshots stay. "
        "A second one also deletes what was submitted after the first.",
        who=MANAGER,
        path=ID,
        content=(contents.AffectedTasks,),
        refuses=_MAINTENANCE | _NO_SUCH,
        example=Example(path="/project/hard_reset/2", content={"affected_tasks": 1}),
    ),
    "POST /project/delete/{id}": Entry(
        summary="Delete a project",
        text="By a manager with EDIT and MAINTENANCE. Its tasks, name, roles and accesses are gone, and chains to it "
        "end. Its id is never given again. 404 the second time.",
        who=MANAGER,
        path=ID,
        refuses={"denied": "needs EDIT and MAINTENANCE on the project"} | _NO_SUCH,
        example=Example(path="/project/delete/2"),
    ),
}
