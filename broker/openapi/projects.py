"""The calls on projects: their settings, who may work on them, their secrets."""

from broker import schemas
from broker.openapi import contents
from broker.openapi.bodies import NewProject
from broker.openapi.entry import EITHER, MANAGER, READER, SIGNED, Entry, Example
from broker.openapi.samples import COMMIT, PROJECT, WORKER

ID = {"id": "the project's id"}
_REQUEST = ID | {"worker": "the worker's id"}
_NO_SUCH = {"not_found": "no such project"}
_MANAGE_ACCESS = {"denied": "needs MANAGE_ACCESS on the project"}
_SECRET = {"denied": "needs SECRET on the project"}
_NO_REQUEST = {"not_found": "no such project or worker, or this worker has neither asked nor has access"}

ENTRIES = {
    "POST /project/create": Entry(
        summary="Make a project",
        text="By any manager; a public one by an admin; a chain needs EDIT on the project that it names. Whoever makes "
        "a project has all roles on it.\n\n"
        "After a lost answer: a repeat gives 409 when it was done; `/project/list` has the id.",
        who=MANAGER,
        body=NewProject,
        content=(contents.ProjectId,),
        refuses={
            "invalid": "a field; a chain to nowhere or in a circle; the 100,000th project",
            "denied": "public without an admin; a chain without EDIT on its target",
            "duplicate": "the name is taken",
        },
        example=Example(
            path="/project/create",
            body={
                "name": "pages",
                "priority": 10,
                "chain": 1,
                "clone_url": "https://git.example/ada/crawler",
                "git_repo": "ada/crawler",
                "version": "1.4",
            },
            content={"id": 2},
        ),
    ),
    "POST /project/update/{id}": Entry(
        summary="Change a project",
        text="By a manager with EDIT; to make it public by an admin; a new chain needs EDIT on its target. What is "
        "absent or null keeps its value. A new rate begins at once. Safe to repeat.",
        who=MANAGER,
        path=ID,
        body=schemas.ProjectFields,
        content=(contents.ProjectId,),
        refuses={
            "invalid": "a field; a chain to nowhere or in a circle",
            "denied": "needs EDIT; public without an admin; a chain without EDIT on its target",
            "duplicate": "the name is taken",
            **_NO_SUCH,
        },
        example=Example(path="/project/update/2", body={"remember_closed": 3600}, content={"id": 2}),
    ),
    "GET /project/get/{id}": Entry(
        summary="Look at a project",
        text="By anybody; a hidden one by managers with READ. The fields are there twice, because clients in the field "
        "read either place.",
        who=READER,
        path=ID,
        content=(contents.ProjectTwice,),
        refuses=_NO_SUCH,
        example=Example(path="/project/get/2", content={**PROJECT, "project": PROJECT}),
    ),
    "GET /project/list": Entry(
        summary="List the projects",
        text="By anybody; the hidden ones only for managers with READ.",
        who=READER._replace(refuses={}),
        content=(contents.Projects,),
        example=Example(
            path="/project/list",
            content={
                "projects": [
                    PROJECT
                    | {"id": 1, "name": "index", "priority": 0, "chain": 0}
                    | {"clone_url": "", "git_repo": "", "version": ""},
                    PROJECT,
                ]
            },
        ),
    ),
    "GET /project/stats/{id}": Entry(
        summary="Count a project's tasks",
        text="By anybody; of a hidden one by managers with READ. The tasks in each state now, and totals since the "
        "project was made.",
        who=READER,
        path=ID,
        content=(contents.ProjectStats,),
        refuses=_NO_SUCH,
        example=Example(
            path="/project/stats/2",
            content={
                "stats": {
                    "waiting": 0,
                    "verifying": 0,
                    "assigned": 1,
                    "failed": 1,
                    "counters": {"submitted": 3, "duplicates": 1, "assigned": 3, "closed": 1, "failed": 1},
                }
            },
        ),
    ),
    "GET /project/access_list/{id}": Entry(
        summary="List who has access, or asks for it",
        text="By a manager with MANAGE_ACCESS.",
        who=MANAGER,
        path=ID,
        content=(contents.Accesses,),
        refuses=_MANAGE_ACCESS | _NO_SUCH,
        example=Example(
            path="/project/access_list/2",
            content={"accesses": [{"submit": True, "assign": True, "request": True, "worker": WORKER, "project": 2}]},
        ),
    ),
    "POST /project/accept_request/{id}/{worker}": Entry(
        summary="Let a worker into a project",
        text="By a manager with MANAGE_ACCESS. Grants what the worker has asked for, at once. Safe to repeat.",
        who=MANAGER,
        path=_REQUEST,
        refuses=_MANAGE_ACCESS | _NO_REQUEST,
        example=Example(path="/project/accept_request/2/1"),
    ),
    "POST /project/reject_request/{id}/{worker}": Entry(
        summary="Turn a worker down, or out",
        text="By a manager with MANAGE_ACCESS. Drops the request, and takes back what was granted, at once. One that "
        "was done answers 404 the second time.",
        who=MANAGER,
        path=_REQUEST,
        refuses=_MANAGE_ACCESS | _NO_REQUEST,
        example=Example(path="/project/reject_request/2/2"),
    ),
    "GET /project/secret/{id}": Entry(
        summary="Read the project's secret",
        text="By a worker that was granted assign (a public project is not enough, nor is a request), or a manager "
        "with SECRET. With `X-Worker-ID`, or without a cookie, it counts as a worker's call.",
        who=EITHER,
        path=ID,
        content=(contents.ProjectSecret,),
        refuses={"denied": "the worker was not granted assign; the manager lacks SECRET"} | _NO_SUCH,
        example=Example(path="/project/secret/2", content={"secret": '{"token": "abc"}'}),
    ),
    "POST /project/secret/{id}": Entry(
        summary="Set the project's secret",
        text="By a manager with SECRET. Safe to repeat.",
        who=MANAGER,
        path=ID,
        body=schemas.SetSecret,
        refuses=_SECRET | _NO_SUCH,
        example=Example(path="/project/secret/2", body={"secret": '{"token": "abc"}'}),
    ),
    "GET /project/webhook_secret/{id}": Entry(
        summary="Read the project's webhook secret",
        text="By a manager with SECRET.",
        who=MANAGER,
        path=ID,
        content=(contents.WebhookSecret,),
        refuses=_SECRET | _NO_SUCH,
        example=Example(path="/project/webhook_secret/2", content={"webhook_secret": "a long random text"}),
    ),
    "POST /project/webhook_secret/{id}": Entry(
        summary="Set the project's webhook secret",
        text="By a manager with SECRET. Safe to repeat.",
        who=MANAGER,
        path=ID,
        body=schemas.SetWebhookSecret,
        refuses=_SECRET | _NO_SUCH,
        example=Example(path="/project/webhook_secret/2", body={"webhook_secret": "a long random text"}),
    ),
    "POST /git/receivehook": Entry(
        summary="A push, as GitHub, Gitea and Gogs tell it",
        text="Every project whose `git_repo` is `repository.full_name`, and whose webhook secret has signed the body, "
        "gets `after` as its `version`. A signature is the HMAC of the raw body, SHA-1 or SHA-256, in "
        "`X-Hub-Signature-256`, `X-Hub-Signature`, `X-Gitea-Signature` or `X-Gogs-Signature`. Anything but a push to "
        "`refs/heads/master` or `refs/heads/main` is answered with a message, and changes nothing. Safe to repeat.",
        who=SIGNED,
        body=schemas.Push,
        content=(contents.Versioned,),
        remarks="instead",
        example=Example(
            path="/git/receivehook",
            body={"ref": "refs/heads/main", "after": COMMIT, "repository": {"full_name": "ada/crawler"}},
            content={"projects": [2]},
        ),
    ),
}
