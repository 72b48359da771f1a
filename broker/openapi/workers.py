"""The calls by which workers come and go, and write to the log."""

from broker import schemas
from broker.openapi import contents
from broker.openapi.bodies import NewAlias
from broker.openapi.entry import ANYBODY, MANAGER, READER, WORKER, Entry, Example
from broker.openapi.samples import WORKER as CRAWLER

_SECRET = "lOpEoMJGAFemB1YrSPbc1QqLL0d9XV1aMoJMSzwcky8="  # noqa: S105 (an example)
_RESERVED = {"reserved": "the alias `unassigned`"}

ENTRIES = {
    "POST /worker/create": Entry(
        summary="Make a worker",
        text="The only time that the secret is shown. Repeating makes another worker; the first stays unused.",
        who=ANYBODY,
        body=schemas.WorkerAlias,
        content=(contents.OneWorker,),
        refuses=_RESERVED | {"rate_limited": "too many from this address"},
        example=Example(
            path="/worker/create",
            body={"alias": "crawler-1"},
            content={"worker": CRAWLER | {"alias": "crawler-1", "secret": _SECRET}},
        ),
    ),
    "POST /worker/update": Entry(
        summary="Rename a worker",
        text="By the worker itself. Safe to repeat.",
        who=WORKER,
        body=NewAlias,
        refuses=_RESERVED,
        example=Example(path="/worker/update", body={"alias": "crawler-01"}),
    ),
    "GET /worker/get/{id}": Entry(
        summary="Look at a worker",
        who=ANYBODY,
        path={"id": "the worker's id"},
        content=(contents.OneWorker,),
        refuses={"not_found": "no such worker"},
        example=Example(path="/worker/get/1", content={"worker": CRAWLER}),
    ),
    "POST /worker/rotate_secret": Entry(
        summary="Change a worker's secret",
        text="By the worker itself. The old secret ends at once. Not safe to repeat: when the answer is lost and the "
        "old secret is refused, the worker is lost. Make a new one; what the old one held is reclaimed.",
        who=WORKER,
        content=(contents.OneWorker,),
        example=Example(path="/worker/rotate_secret", content={"worker": CRAWLER | {"secret": _SECRET}}),
    ),
    "POST /project/request_access": Entry(
        summary="Ask to be let into a project",
        text="By a worker; a manager decides. After a lost answer, `already_asked` means that it was done.",
        who=WORKER,
        body=schemas.AccessRequest,
        refuses={
            "already_asked": "",
            "already_granted": "anything was granted before; to ask for more, a manager must first reject",
            "not_found": "no such project",
        },
        example=Example(path="/project/request_access", body={"project": 2, "assign": True, "submit": True}),
    ),
    "POST /log/{level}": Entry(
        summary="Write a line to the broker's log",
        text="By a worker. A repeat writes the line twice.",
        who=WORKER,
        path={"level": "how grave it is"},
        body=schemas.LogLine,
        refuses={"not_found": "no such level"},
        example=Example(path="/log/info", body={"scope": "fetch", "message": "started", "timestamp": 1559393394}),
    ),
    "GET /worker/stats": Entry(
        summary="What workers have closed, and hold",
        text="By anybody; with a hidden `project` by managers with READ on it. Without a query all workers, whose "
        "counts come from a copy that is at most 10 seconds old; else at most 500, as they are now, but for "
        "`held_task_count`, which always comes from such a copy. `alias` and `paused` are always as they are now.",
        who=READER,
        query=contents.WorkerStatsQuery,
        content=(contents.AllWorkerStats,),
        refuses={"not_found": "no such project"},
        example=Example(
            path="/worker/stats?project=2&limit=1",
            content={
                "stats": [
                    {"alias": "crawler-01", "closed_task_count": 1, "held_task_count": 0, "paused": False, "id": 1}
                ]
            },
        ),
    ),
    "POST /worker/set_paused": Entry(
        summary="Pause a worker, or let it go on",
        text="By an admin. A paused worker is refused by get, and by nothing else. Safe to repeat.",
        who=MANAGER,
        body=schemas.SetPaused,
        refuses={"denied": "no admin", "not_found": "no such worker"},
        example=Example(path="/worker/set_paused", body={"worker": 1, "paused": False}),
    ),
}
