"""What the document adds to the fields of ``schemas.py``: what they mean, which are needed, and more bounds."""

from typing import Any, NamedTuple

from msgspec import Struct

from broker import schemas
from broker.schemas import LONGEST_PASSWORD, MAX_BULK, MAX_RECIPE, ProjectFields, WorkerAlias
from broker.store.logs import LEVELS, UNUSED_LEVELS


class Note(NamedTuple):
    text: str
    bounds: dict[str, Any]
    """Words of JSON Schema."""
    needed: bool = False


def _may(text: str, **bounds: Any) -> Note:
    return Note(text, bounds)


def _must(text: str, **bounds: Any) -> Note:
    return Note(text, bounds, needed=True)


class NewProject(ProjectFields):
    """As ProjectFields, with a name."""


class NewAlias(WorkerAlias):
    """As WorkerAlias, with an alias."""


_USERNAME = _must(
    "3 to 16 printable characters, no space at either end; no two accounts have the same", minLength=3, maxLength=16
)
_DIGEST = "^[0-9a-f]{64}$"
"""As JSON Schema spells it: its $ is the end, and there is no other."""

_PROJECT = {
    "name": _may("No other project has it", minLength=1),
    "priority": _may("For `/task/get` without a project: higher goes first", default=0),
    "clone_url": _may("For workers to read", default=""),
    "git_repo": _may("For workers to read; and the repository whose webhooks set `version`", default=""),
    "version": _may("For workers to read", default=""),
    "motd": _may("A message for workers to read", default=""),
    "public": _may("Any worker may take its tasks; needs an admin; not together with `hidden`", default=False),
    "hidden": _may("Only managers with READ see it", default=False),
    "chain": _may("The project that gets the closed tasks; 0: none; no circles", default=0),
    "paused": _may("No task is handed out; submit and release go on", default=False),
    "assign_rate": _may("Tasks handed out per second; 0: unlimited", default=0),
    "submit_rate": _may("Tasks submitted per second; 0: unlimited", default=0),
    "remember_closed": _may(
        "Seconds for which the hash of a closed task still counts as a duplicate; -1: for ever", default=0
    ),
}

NOTES: dict[type[Struct], dict[str, Note]] = {
    WorkerAlias: {"alias": _may("A name for people to read; other workers may have the same", default="default_alias")},
    NewAlias: {"alias": _must("A name for people to read; other workers may have the same", minLength=1)},
    schemas.SubmitTask: {
        "project": _must("The project that gets the task"),
        "recipe": _must(
            f"What is to be done, as the workers understand it; at most {MAX_RECIPE:,} bytes of UTF-8 (a setting)",
            minLength=1,
            maxLength=MAX_RECIPE,
        ),
        "priority": _may("Higher goes first", default=0),
        "max_retries": _may("Fails before the task is failed; with 0 the first fail is the last", default=0),
        "max_assign_time": _may("Seconds that a worker may hold it; 0: the server's default", default=0),
        "verification_count": _may("Workers that must release it with the same verification; 0 is 1", default=1),
        "hash64": _may("What makes it a duplicate of another task; 0: nothing", default=0),
        "hash_u64": _may("Another spelling of `hash64`", deprecated=True),
        "unique_string": _may("Instead of a hash: it is hashed with SipHash-2-4, key (1, 2)"),
        "unique_str": _may("Another spelling of `unique_string`", deprecated=True),
    },
    schemas.BulkSubmit: {
        "requests": _must("Tasks of one and the same project; how many is a setting", minItems=1, maxItems=MAX_BULK),
    },
    schemas.ReleaseTask: {
        "task_id": _must("A task that the worker holds"),
        "result": _must("0 ok, 1 fail, 2 skip"),
        "verification": _may(
            "With an ok, of a task with a verification_count of 2 or more: the vote; 0 is one too", default=0
        ),
    },
    schemas.BulkRelease: {
        "requests": _must("Releases of tasks of any projects; how many is a setting", minItems=1, maxItems=MAX_BULK),
    },
    schemas.ExtendTasks: {
        "task_id": _may("One task; or `task_ids`"),
        "task_ids": _may("Several tasks; how many is a setting", minItems=1, maxItems=MAX_BULK),
        "seconds": _must("The new deadline, from now"),
    },
    schemas.LogLine: {
        "scope": _must("What the line is about; cut after 256 bytes"),
        "message": _may("Needed, in this spelling or the other; cut after 4,096 bytes"),
        "timestamp": _must("Unix seconds, kept as given"),
        "Message": _may("Another spelling of `message`", deprecated=True),
    },
    schemas.AccessRequest: {
        "project": _must("The project that the worker asks to be let into"),
        "assign": _may("To take tasks; this or `submit` must be true", default=False),
        "submit": _may("To submit tasks, and to take them", default=False),
    },
    ProjectFields: _PROJECT,
    NewProject: _PROJECT | {"name": _must("No other project has it", minLength=1)},
    schemas.Credentials: {
        "username": _USERNAME,
        "password": _must(f"8 to {LONGEST_PASSWORD} bytes of UTF-8", maxLength=LONGEST_PASSWORD),
    },
    schemas.ChangePassword: {
        "old": _must("The password as it is"),
        "new": _must(f"8 to {LONGEST_PASSWORD} bytes of UTF-8", maxLength=LONGEST_PASSWORD),
    },
    schemas.CloseSessions: {
        "session": _may("The id of a session; without it, all but the one that asks", pattern=_DIGEST)
    },
    schemas.LogQuery: {
        "level": _must(
            "7 trace, 6 debug, 5 info, 4 warn, 3 error; 2 and 1 have no lines",
            enum=sorted({*LEVELS.values(), *UNUSED_LEVELS}),
        ),
        "since": _must("Unix seconds: only lines after that", minimum=1),
    },
    schemas.SetSecret: {"secret": _must("For the workers that were granted assign; may be empty")},
    schemas.SetWebhookSecret: {"webhook_secret": _must("What the Git server signs its calls with")},
    schemas.SetPaused: {
        "worker": _must("The worker's id"),
        "paused": _must("Whether get refuses it"),
    },
    schemas.SetRole: {
        "manager": _must("The manager's id"),
        "role": _must("A sum: READ 1, EDIT 2, MANAGE_ACCESS 4, SECRET 8, MAINTENANCE 16; 0 removes him"),
    },
    schemas.Push: {
        "ref": _may("Only `refs/heads/master` and `refs/heads/main` count"),
        "after": _may("The commit, which becomes the project's `version`; all zeros: nothing happens"),
        "repository": _may("Where it was pushed to"),
    },
    schemas.Repository: {"full_name": _may("Compared with the projects' `git_repo`, in any case")},
}
