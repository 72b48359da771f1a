"""The calls of workers on tasks."""

from broker import schemas
from broker.openapi import contents
from broker.openapi.entry import TAKER, WORKER, Entry, Example
from broker.openapi.samples import task

_PROJECT = {"project": "the project's id"}
_LOST = (
    "After a lost answer a task may be assigned without the worker knowing it: `/task/assigned/{project}` shows it. "
    "Otherwise it comes back after its deadline. Repeating takes another task."
)
_TAKEN = "a waiting, verifying, assigned or failed task has this hash; with `remember_closed` also a closed one"

ENTRIES = {
    "POST /task/submit": Entry(
        summary="Submit a task",
        text="By a worker with submit on the project; a pause holds it up neither of the project nor of the worker.\n\n"
        "Give a hash, or a `unique_string`, or neither, not both. "
        "After a lost answer: with a hash, repeat; 409 means that the task is there. Without one, a repeat makes a "
        "second task.",
        who=WORKER,
        body=schemas.SubmitTask,
        content=(contents.TaskId,),
        refuses={
            "denied": "the worker may not submit here",
            "not_found": "no such project",
            "duplicate": _TAKEN,
            "too_large": "the recipe, or the body; or the project has no ids left for new tasks",
            "rate_limited": "the project's `submit_rate`",
        },
        example=Example(
            path="/task/submit",
            body={
                "project": 2,
                "recipe": "https://example.org/",
                "unique_string": "https://example.org/",
                "priority": 1,
                "max_retries": 3,
                "max_assign_time": 600,
            },
            content={"task_id": 100002},
        ),
    ),
    "POST /task/bulk_submit": Entry(
        summary="Submit up to 10,000 tasks",
        text="By a worker with submit; all of one project. One invalid task refuses the whole call; duplicates are "
        "skipped one by one.\n\n"
        "It runs in parts of 500. A 503 with `content` tells which were taken before it: send the rest again. "
        "After a lost answer: with hashes, a repeat fills the gaps.",
        who=WORKER,
        body=schemas.BulkSubmit,
        content=(contents.BulkOutcome,),
        partly=contents.BulkOutcome,
        refuses={
            "invalid": "any of the tasks; `message` names the first: `requests[1].recipe`",
            "denied": "the worker may not submit here",
            "not_found": "no such project",
            "too_large": "a recipe, or the body; or the project has not enough ids left for all",
            "rate_limited": "the project's `submit_rate`",
        },
        example=Example(
            path="/task/bulk_submit",
            body={
                "requests": [
                    {"project": 2, "recipe": "https://example.org/a", "unique_string": "a"},
                    {"project": 2, "recipe": "https://example.org/b", "unique_string": "b"},
                    {"project": 2, "recipe": "https://example.org/a", "unique_string": "a"},
                ]
            },
            content={"submitted": 2, "duplicates": 1, "outcomes": [200002, 300002, None]},
        ),
    ),
    "GET /task/get/{project}": Entry(
        summary="Take a task of one project",
        text="By a worker with assign or submit on the project; of a public project by any worker. It gets the task of "
        f"the highest priority, and of those the one that has waited longest.\n\n{_LOST}",
        who=TAKER,
        path=_PROJECT,
        query=contents.TakeQuery,
        content=(contents.OneTask, contents.Tasks),
        refuses={
            "no_task": "nothing waits, or only tasks that this worker has voted on; with `wait`, until its end",
            "paused": "the project is paused",
            "worker_paused": "",
            "denied": "the worker may not take tasks here",
            "not_found": "no such project",
            "rate_limited": "the project's `assign_rate`",
        },
        example=Example(
            path="/task/get/2",
            content={
                "task": task(100002, "https://example.org/", priority=1, max_retries=3, max_assign_time=600),
            },
        ),
    ),
    "GET /task/get": Entry(
        summary="Take a task of any project",
        text="By a worker: the best task of any project that it may take from, best project priority first. Of the "
        f"projects that have tasks, 16 are tried. All tasks of one answer are of one project.\n\n{_LOST}",
        who=TAKER,
        query=contents.TakeQuery,
        content=(contents.OneTask, contents.Tasks),
        refuses={
            "no_task": "nothing waits in any of them, or they are paused or closed to this worker",
            "worker_paused": "",
            "rate_limited": "nothing was found, and the rate of a project is why",
        },
        example=Example(
            path="/task/get?count=2",
            content={"tasks": [task(200002, "https://example.org/a"), task(300002, "https://example.org/b")]},
        ),
    ),
    "POST /task/release": Entry(
        summary="Release a task: done, failed, or not done",
        text="By the worker that holds it; also when that is paused, or has lost its access. `updated` is false, with "
        "a message, when the worker does not hold the task, or when its vote was taken and more are needed.\n\n"
        "Safe to repeat: “does not hold” then means that it was done, or that the task was reclaimed.",
        who=TAKER,
        body=schemas.ReleaseTask,
        content=(contents.Updated,),
        remarks="beside",
        example=Example(
            path="/task/release",
            body={"task_id": 100002, "result": 0, "verification": -32315129},
            content={"updated": True},
        ),
    ),
    "POST /task/bulk_release": Entry(
        summary="Release up to 10,000 tasks",
        text="By a worker; of any projects. A 503 with `content` tells what was done before it: `updated` is false "
        "where it is not known. To repeat: as `/task/release`.",
        who=WORKER,
        body=schemas.BulkRelease,
        content=(contents.AllUpdated,),
        partly=contents.AllUpdated,
        refuses={"invalid": "any of the releases; nothing was released"},
        example=Example(
            path="/task/bulk_release",
            body={"requests": [{"task_id": 200002, "result": 1}, {"task_id": 100002, "result": 2}]},
            content={"updated": [True, False]},
        ),
    ),
    "POST /task/extend": Entry(
        summary="Move the deadline of tasks",
        text="By the worker that holds them: `seconds` from now, be that later or earlier than the old deadline. "
        "Safe to repeat.",
        who=WORKER,
        body=schemas.ExtendTasks,
        content=(contents.Extended,),
        example=Example(
            path="/task/extend",
            body={"task_ids": [100002, 200002], "seconds": 900},
            content={"extended": [True, False]},
        ),
    ),
    "GET /task/assigned/{project}": Entry(
        summary="What the worker holds",
        text="By any worker, so that it can go on after a crash: by id, up to 1,000 tasks and about 8 MiB of recipes. "
        "Release some to see the others. Safe to repeat.",
        who=WORKER,
        path=_PROJECT,
        content=(contents.Tasks,),
        refuses={"not_found": "no such project"},
        example=Example(
            path="/task/assigned/2",
            content={"tasks": [task(100002, "https://example.org/", priority=1, max_retries=3, max_assign_time=600)]},
        ),
    ),
}
