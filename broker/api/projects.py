"""Projects: their configuration, who may work on them, their secrets."""

from functools import partial

import orjson

from broker.api import answers, auth
from broker.api.bodies import NewProject, ProjectFields, SetNotifySecret, SetSecret, SetWebhookSecret
from broker.api.requests import Call
from broker.api.responses import Answer, Listed, Reply
from broker.api.routing import (
    EITHER,
    MANAGER,
    NEEDS_SECRET,
    NO_SUCH_PROJECT,
    PERHAPS_MANAGER,
    PROJECT_ID,
    READER,
    Example,
    Operation,
    Routes,
)
from broker.api.values import required
from broker.errors import BrokerError
from broker.store.projects import FIELDS, SECRET, UNLIMITED, Project

routes = Routes()

EXAMPLE: dict[str, object] = {
    "id": 2,
    "priority": 10,
    "name": "pages",
    "clone_url": "https://git.example/ada/crawler",
    "git_repo": "ada/crawler",
    "version": "1.4",
    "motd": "",
    "public": False,
    "hidden": False,
    "chain": 1,
    "paused": False,
    "assign_rate": UNLIMITED,
    "submit_rate": UNLIMITED,
    "remember_closed": 0,
}
WHOLE_EXAMPLE = EXAMPLE | {
    **{"group_delay": 0.5, "group_limit": 2, "group_order": "priority"},
    **{"retry_delay": 0, "retry_delay_max": 0, "max_reclaims": 0, "max_votes": 0},
    **{"notify_url": "", "notify_failed": 0, "notify_stalled": 0},
}


def view(project: Project) -> dict[str, object]:
    return {"id": project.id, **project.values}


async def as_json(call: Call, project: int, revision: int) -> orjson.Fragment:
    """The project as the answer of a get shows it, at this revision or a newer one."""
    return orjson.Fragment(await call.store.projects.rendered(project, revision, _json))


def _json(project: Project) -> bytes:
    values = {name: value for name, value in project.values.items() if FIELDS[name].with_tasks}
    return orjson.dumps({"id": project.id, **values})


@routes.add(
    "POST /project/create",
    Operation(
        group="Projects",
        summary="Create a project",
        text="For managers; only admins can create a public project. A `chain` needs EDIT on the project that it "
        "names. The creator gets all roles on the project.\n\n"
        "After a lost answer, repeat the call: 409 means that the project was created; `/project/list` has its id.",
        who=MANAGER,
        body=NewProject,
        large=True,
        content=(answers.ProjectId,),
        refuses={
            "invalid": "a field is not valid; the chain names no project or forms a circle; or there are 99,999 "
            "projects already",
            "denied": "public needs an admin; a chain needs EDIT on its target",
            "limit_reached": "the manager is not an admin, and has created 1,000 projects that still exist (a setting)",
            "duplicate": "the name is taken",
            "rate_limited": "too many projects created from this address",
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
                "group_delay": 0.5,
                "group_limit": 2,
            },
            content={"id": 2},
        ),
    ),
)
async def create(call: Call) -> Reply:
    manager = await auth.manager(call)
    body = await call.decode(ProjectFields)
    return Reply({"id": await call.store.projects.create(manager.id, body.given(), call.address)})


@routes.add(
    "POST /project/update/{id}",
    Operation(
        group="Projects",
        summary="Change a project",
        text="For managers with EDIT; only admins can make a project public. A new chain needs EDIT on its target. "
        "Fields that are absent or null keep their values. A new rate applies at once. Safe to repeat.",
        who=MANAGER,
        path=PROJECT_ID,
        body=ProjectFields,
        large=True,
        content=(answers.ProjectId,),
        refuses={
            "invalid": "a field is not valid; or the chain names no project or forms a circle",
            "denied": "needs EDIT; public needs an admin; a chain needs EDIT on its target",
            "duplicate": "the name is taken",
            **NO_SUCH_PROJECT,
        },
        example=Example(path="/project/update/2", body={"remember_closed": 3600}, content={"id": 2}),
    ),
)
async def update(call: Call) -> Reply:
    manager = await auth.manager(call)
    project = call.id("id")
    body = await call.decode(ProjectFields)
    await call.store.projects.update(manager.id, project, body.given())
    return Reply({"id": project})


@routes.add(
    "POST /project/delete/{id}",
    Operation(
        group="Maintenance",
        summary="Delete a project",
        text="For managers with EDIT and MAINTENANCE. Deletes the project with its tasks, name, roles and access. "
        "Chains to it are removed. Its id is never used again. A repeat answers 404.",
        who=MANAGER,
        path=PROJECT_ID,
        refuses={"denied": "needs EDIT and MAINTENANCE on the project"} | NO_SUCH_PROJECT,
        example=Example(path="/project/delete/2"),
    ),
)
async def delete(call: Call) -> Reply:
    manager = await auth.manager(call)
    await call.store.maintenance.delete(manager.id, call.id("id"))
    return Reply()


@routes.add(
    "GET /project/get/{id}",
    Operation(
        group="Projects",
        summary="Get a project",
        text="For everybody; if the project is hidden, for managers with READ. Each field appears twice, because "
        "existing clients read one place or the other.",
        who=READER,
        path=PROJECT_ID,
        content=(answers.ProjectTwice,),
        refuses=NO_SUCH_PROJECT,
        example=Example(path="/project/get/2", content={**WHOLE_EXAMPLE, "project": WHOLE_EXAMPLE}),
    ),
)
async def get(call: Call) -> Reply:
    project = view(await auth.readable(call, call.id("id")))
    return Reply({**project, "project": project})


@routes.add(
    "GET /project/list",
    Operation(
        group="Projects",
        summary="List the projects",
        text="For everybody; hidden projects are listed only for managers with READ.",
        who=PERHAPS_MANAGER,
        content=(answers.Projects,),
        example=Example(
            path="/project/list",
            content={
                "projects": [
                    WHOLE_EXAMPLE
                    | {"id": 1, "name": "index", "priority": 0, "chain": 0}
                    | {"clone_url": "", "git_repo": "", "version": "", "group_delay": 0, "group_limit": 0},
                    WHOLE_EXAMPLE,
                ]
            },
        ),
    ),
)
async def list_all(call: Call) -> Answer:
    manager = await auth.manager_if_any(call)
    return Listed("projects", await call.store.projects.rendered_list(manager.id if manager else None, _whole_json))


def _whole_json(project: Project) -> bytes:
    return orjson.dumps(view(project))


@routes.add(
    "GET /project/stats/{id}",
    Operation(
        group="Projects",
        summary="Count a project's tasks",
        text="For everybody; if the project is hidden, for managers with READ and for workers with access. Returns the "
        "tasks and groups in each state now, and totals since the project was created.",
        who=READER,
        path=PROJECT_ID,
        content=(answers.ProjectStats,),
        refuses=NO_SUCH_PROJECT,
        example=Example(
            path="/project/stats/2",
            content={
                "stats": {
                    "waiting": 0,
                    "verifying": 0,
                    "delayed": 0,
                    "assigned": 1,
                    "failed": 1,
                    "groups_ready": 0,
                    "groups_resting": 0,
                    "groups_full": 0,
                    "groups_blocked": 0,
                    "errors": 1,
                    "orphaned": 0,
                    "counters": {"submitted": 3, "duplicates": 1, "assigned": 3, "closed": 1, "failed": 1},
                }
            },
        ),
    ),
)
async def stats(call: Call) -> Reply:
    project = await auth.readable(call, call.id("id"), workers=True)
    stats = await call.store.monitoring.stats(project.id)
    # Anybody may ask: requests for access are shown only to those who may grant it.
    told = {name: value for name, value in stats._asdict().items() if name != "requests"}
    return Reply({"stats": told | {"orphaned": stats.counters.get("orphaned", 0)}})


_of_a_secret = partial(
    Operation, group="Projects", who=MANAGER, path=PROJECT_ID, refuses=NEEDS_SECRET | NO_SUCH_PROJECT
)


async def _secret(call: Call, name: str) -> Reply:
    project = await auth.authorized(call, SECRET)
    return Reply({name: (await call.store.projects.get(project)).fields.get(name, "")})


async def _set_secret(call: Call, body: type[SetSecret | SetWebhookSecret | SetNotifySecret], name: str) -> Reply:
    manager, project = await auth.manager(call), call.id("id")
    secret = required(getattr(await call.decode(body), name), name)
    await call.store.projects.set_secret(manager.id, project, name, secret)
    return Reply()


@routes.add(
    "GET /project/secret/{id}",
    Operation(
        group="Projects",
        summary="Read the project's secret",
        text="For workers that were granted assign, and for managers with SECRET. For a worker, a public project or a "
        "pending request is not enough. A call with an id in `X-Worker-ID`, or without a cookie, is a worker's call.",
        who=EITHER,
        path=PROJECT_ID,
        content=(answers.ProjectSecret,),
        refuses={"denied": "the worker was not granted assign; the manager lacks SECRET"} | NO_SUCH_PROJECT,
        example=Example(path="/project/secret/2", content={"secret": '{"token": "abc"}'}),
    ),
)
async def get_secret(call: Call) -> Reply:
    project = call.id("id")
    if auth.is_workers_call(call):
        worker = await auth.worker(call)
        if "assign" not in await call.store.workers.access(project, worker.id):
            raise BrokerError("denied", "Needs ASSIGN on the project")
        return Reply({"secret": (await call.store.projects.get(project)).fields["secret"]})
    return await _secret(call, "secret")


@routes.add(
    "POST /project/secret/{id}",
    _of_a_secret(
        summary="Set the project's secret",
        text="For managers with SECRET. Safe to repeat.",
        body=SetSecret,
        large=True,
        example=Example(path="/project/secret/2", body={"secret": '{"token": "abc"}'}),
    ),
)
async def set_secret(call: Call) -> Reply:
    return await _set_secret(call, SetSecret, "secret")


@routes.add(
    "GET /project/webhook_secret/{id}",
    _of_a_secret(
        summary="Read the project's webhook secret",
        text="For managers with SECRET.",
        content=(answers.WebhookSecret,),
        example=Example(path="/project/webhook_secret/2", content={"webhook_secret": "a long random text"}),
    ),
)
async def get_webhook_secret(call: Call) -> Reply:
    return await _secret(call, "webhook_secret")


@routes.add(
    "POST /project/webhook_secret/{id}",
    _of_a_secret(
        summary="Set the project's webhook secret",
        text="For managers with SECRET. Safe to repeat.",
        body=SetWebhookSecret,
        example=Example(path="/project/webhook_secret/2", body={"webhook_secret": "a long random text"}),
    ),
)
async def set_webhook_secret(call: Call) -> Reply:
    return await _set_secret(call, SetWebhookSecret, "webhook_secret")


@routes.add(
    "GET /project/notify_secret/{id}",
    _of_a_secret(
        summary="Read the key of the project's events",
        text="For managers with SECRET. Each event that is sent to `notify_url` has the HMAC of its body with this key "
        "in `X-Hub-Signature-256`.",
        content=(answers.NotifySecret,),
        example=Example(path="/project/notify_secret/2", content={"notify_secret": "another long random text"}),
    ),
)
async def get_notify_secret(call: Call) -> Reply:
    return await _secret(call, "notify_secret")


@routes.add(
    "POST /project/notify_secret/{id}",
    _of_a_secret(
        summary="Set the key of the project's events",
        text="For managers with SECRET. Safe to repeat.",
        body=SetNotifySecret,
        example=Example(path="/project/notify_secret/2", body={"notify_secret": "another long random text"}),
    ),
)
async def set_notify_secret(call: Call) -> Reply:
    return await _set_secret(call, SetNotifySecret, "notify_secret")
