"""Workers, projects and tasks of an original tracker, from PostgreSQL's own dumps, as clients see them afterwards."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from broker.settings import Settings
from broker.store import Store
from broker.store.projects import UNLIMITED
from tests.client import Caller, WorkerCaller
from tests.postgres import Postgres
from tests.serving import Serving, until
from tests.transfer.conftest import Broker, fine
from tests.transfer.old_tracker import TABLES, Value, dump, insert

NASTY = [
    "a \"quoted\" one, with commas, 'all' sorts",
    "lines\nand\r\nlines\r",
    "\\N \\. \\x41 \\",
    "\\.",
    "früher 東京 \U0001f577 \u202e",
    " spaces  and\ttabs ",
    '{"url": "https://example.org/?a=1&b=2"}',
    "NULL",
    '"',
    "x" * 200_000,
]
SECRETS = {id: hashlib.sha256(f"secret {id}".encode()).digest() for id in (1, 2, 3, 40)}
WORKERS: list[dict[str, Value]] = [
    {
        "id": 1,
        "alias": "crawler",
        "created": 1559396382,
        "secret": SECRETS[1],
        "closed_task_count": 12,
        "paused": False,
    },
    {"id": 2, "alias": 'quote " and, comma\nline', "created": 5, "secret": SECRETS[2], "paused": True},
    {"id": 3, "alias": "", "created": 0, "secret": SECRETS[3], "closed_task_count": 3, "paused": False},
    {"id": 40, "alias": None, "created": None, "secret": SECRETS[40], "closed_task_count": None, "paused": None},
]
PROJECTS: list[dict[str, Value]] = [
    {
        "id": 2,
        "name": "pages",
        "priority": 999,
        "public": True,
        "hidden": False,
        "paused": False,
        "git_repo": "Ada/Pages",
    },
    {"id": 5, "name": "index", "public": False, "hidden": True, "paused": False, "version": "1.0", "motd": "a\nb"},
    {"id": 9, "name": 'odd ", name', "public": False, "hidden": False, "paused": True, "secret": "", "priority": None},
]
MORE = [
    "UPDATE project SET chain = 5, assign_rate = 2.5, submit_rate = 1.7976931348623157e308 WHERE id = 2;",
    "UPDATE project SET clone_url = 'http://example.org/x', webhook_secret = 'hook' WHERE id = 5;",
    "UPDATE project SET secret = '{\"k\": 1}' WHERE id = 5;",
]
ACCESS: list[dict[str, Value]] = [
    {"worker": 1, "project": 2, "role_assign": True, "role_submit": True, "request": False},
    {"worker": 1, "project": 5, "role_assign": True, "role_submit": False, "request": False},
    {"worker": 2, "project": 5, "role_assign": False, "role_submit": True, "request": True},
    {"worker": 3, "project": 5, "role_assign": True, "role_submit": False, "request": False},
    {"worker": 40, "project": 5, "role_assign": True, "role_submit": False, "request": False},
]
ODD: list[dict[str, Value]] = [
    {"id": 10 + n, "project": 2, "recipe": recipe, "hash64": n, "max_retries": 3} for n, recipe in enumerate(NASTY, 1)
]
TASKS: list[dict[str, Value]] = [
    *ODD,
    {
        "id": 100,
        "project": 2,
        "recipe": "least",
        "priority": -(2**15),
        "hash64": -(2**63),
        "max_assign_time": 2**31 - 1,
    },
    {"id": 101, "project": 2, "recipe": "most", "priority": 2**15 - 1, "hash64": 2**63 - 1, "max_retries": 2**15 - 1},
    {"id": 102, "project": 2, "recipe": "held", "assignee": 1, "assign_time": 1559397394, "retries": 2, "priority": 7},
    {"id": 103, "project": 2, "recipe": "failed", "status": 2, "retries": 3, "max_retries": 3, "hash64": 50},
    {"id": 104, "project": 2, "recipe": "no hash", "hash64": None, "max_retries": None},
    {"id": 105, "project": 2, "recipe": "no hash", "hash64": None, "priority": 7},
    {"id": 200, "project": 5, "recipe": "voted", "verification_count": 3, "hash64": 1},
    {"id": 201, "project": 5, "recipe": "voted and failed", "verification_count": 2, "status": 2, "retries": 1},
    {"id": 202, "project": 5, "recipe": "voted and held", "verification_count": 2, "assignee": 40},
    {"id": 250000, "project": 9, "recipe": "in a paused project"},
]
VOTES: list[dict[str, Value]] = [
    {"task": 200, "worker": 1, "verification_hash": -5},
    {"task": 200, "worker": 3, "verification_hash": 2**63 - 1},
    {"task": 201, "worker": 3, "verification_hash": 7},
    {"task": 202, "worker": 3, "verification_hash": 0},
]


@pytest.fixture(scope="module")
def dumps(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    database.run(TABLES)
    for table, rows in (("worker", WORKERS), ("project", PROJECTS), ("worker_access", ACCESS), ("task", TASKS)):
        database.run(insert(table, rows))
    database.run(insert("worker_verifies_task", VOTES) + "".join(MORE))
    # A row that is changed moves to the end of its table.
    database.run("UPDATE task SET assign_time = 1 WHERE id IN (11, 105)")
    return dump(database, tmp_path_factory.mktemp("tracker"))


async def exported(broker: Broker, project: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in fine(await broker("export", "--project", project)).splitlines()]


def counts(report: dict[str, Any]) -> dict[str, tuple[int, int, int, int]]:
    names = ("workers", "projects", "access", "tasks", "votes")
    return {
        name: (tally["read"], tally["imported"], tally["before"], sum(left["count"] for left in tally["left"]))
        for name, tally in ((name, report[name]) for name in names)
    }


def wanted(task: dict[str, Value]) -> dict[str, Any]:
    """As a line of an export has it."""
    votes = sorted([v["worker"], v["verification_hash"]] for v in VOTES if v["task"] == task["id"])
    state = "failed" if task.get("status") == 2 else "verifying" if votes else "queue"
    fields = ("recipe", "priority", "retries", "max_retries", "max_assign_time", "verification_count", "hash64")
    line = {field: task[field] for field in fields if task.get(field)}
    return line | {"state": state} | ({"votes": votes} if votes else {})


def bare(line: dict[str, Any]) -> dict[str, Any]:
    if "votes" in line:
        line["votes"].sort()
    return {name: value for name, value in line.items() if name not in {"id", "created"}}


async def test_tasks_keep_everything_but_their_ids(broker: Broker, dumps: Path) -> None:
    report = json.loads(fine(await broker("import-tracker", dumps, "--json")))

    assert counts(report) == {
        "workers": (4, 4, 0, 0),
        "projects": (3, 3, 0, 0),
        "access": (5, 5, 0, 0),
        "tasks": (len(TASKS), len(TASKS), 0, 0),
        "votes": (4, 4, 0, 0),
    }
    assert (report["put_back"], report["failed"]) == (2, 2)
    for project in (2, 5, 9):
        lines = await exported(broker, project)
        assert [bare(line) for line in lines] == [wanted(task) for task in TASKS if task["project"] == project]
        assert all(line["id"] % 100_000 == project for line in lines)
        assert min(line["id"] for line in lines) > 250_000, "an old id is a task here"


async def test_an_old_client_goes_on_with_what_is_in_its_file(
    broker: Broker, dumps: Path, settings: Settings, tmp_path: Path
) -> None:
    fine(await broker("import-tracker", dumps))
    serving = Serving.start(tmp_path, redis_url=settings.redis_url, prefix=settings.prefix)
    try:
        admin = serving.admin()
        # The Go client has the raw secret and encodes it; the Python one keeps the text that it got.
        crawlers = {
            id: WorkerCaller(serving.url, {"id": id, "alias": "", "secret": base64.b64encode(secret).decode()})
            for id, secret in SECRETS.items()
        }
        serving.callers += crawlers.values()
        one, two, three, forty = crawlers.values()

        assert three.get("/worker/get/1").content()["worker"] == {
            "id": 1,
            "alias": "crawler",
            "created": 1559396382,
            "secret": None,
            "paused": False,
        }
        assert three.get("/worker/get/3").content()["worker"]["alias"] == "default_alias"
        first = one.take(2)
        assert (first["recipe"], first["priority"], first["max_retries"]) == ("most", 2**15 - 1, 2**15 - 1)
        assert not one.release(102), "it held 102 there, and it was put back"
        assert one.release(first["id"])
        assert one.post("/task/submit", {"project": 2, "recipe": "r", "hash64": 1}).code == "duplicate"
        assert one.submit(2, "a new one", hash64=2**63 - 1) > first["id"]
        assert two.get("/task/get/2").code == "worker_paused"
        stranger = WorkerCaller(serving.url, {"id": 1, "alias": "", "secret": base64.b64encode(bytes(32)).decode()})
        serving.callers.append(stranger)
        assert stranger.get("/task/get/2").code == "bad_credentials"

        # Three has voted on both tasks that wait for votes, one on the first only.
        assert three.take(5)["recipe"] == "most", "the chain has delivered it"
        assert forty.take(5)["recipe"] == "voted"
        assert one.take(5)["recipe"] == "voted and held"

        assert hidden_is_hidden(serving.caller())
        views = {view["id"]: view for view in admin.get("/project/list").content()["projects"]}
        assert views[2] | {"name": "pages", "chain": 5, "git_repo": "Ada/Pages", "assign_rate": 2.5} == views[2]
        assert views[2]["submit_rate"] == UNLIMITED
        assert (views[9]["name"], views[9]["paused"], views[9]["priority"]) == ('odd ", name', True, 0)
        assert admin.get("/project/secret/5").content()["secret"] == '{"k": 1}'
        assert admin.get("/project/secret/9").content()["secret"] == "{}"
        assert admin.get("/project/webhook_secret/5").content()["webhook_secret"] == "hook"
        accesses = admin.get("/project/access_list/5").content()["accesses"]
        assert [(row["worker"]["id"], row["assign"], row["submit"], row["request"]) for row in accesses] == [
            (2, False, True, True),
            (1, True, False, False),
            (3, True, False, False),
            (40, True, False, False),
        ]

        def closed() -> dict[int, int]:
            return {row["id"]: row["closed_task_count"] for row in admin.get("/worker/stats").content()["stats"]}

        assert closed()[3] == 3
        # What is closed here is counted some seconds later.
        until(lambda: closed() == {1: 13, 2: 0, 3: 3, 40: 0})

        assert admin.post("/worker/create", {"alias": "new"}).content()["worker"]["id"] == 41
        assert admin.post("/project/create", {"name": "new"}).content()["id"] == 10
    finally:
        assert serving.stop() == 0


def hidden_is_hidden(anybody: Caller) -> bool:
    listed = [view["id"] for view in anybody.get("/project/list").content()["projects"]]
    return listed == [9, 2] and anybody.get("/project/get/5").status == 401


async def test_tasks_come_by_priority_and_then_by_age(broker: Broker, dumps: Path, store: Store) -> None:
    fine(await broker("import-tracker", dumps))

    taken = (await store.tasks.assign(2, 3, 100, 60)).tasks

    queued = [task for task in TASKS if task["project"] == 2 and task.get("status") != 2]
    best = sorted(queued, key=lambda task: (-int(str(task.get("priority", 0))), int(str(task["id"]))))
    assert [task.fields.recipe for task in taken] == [task["recipe"] for task in best]


async def test_what_happened_here_since_stays_when_the_import_is_run_again(
    broker: Broker, dumps: Path, store: Store, boss: int
) -> None:
    fine(await broker("import-tracker", dumps))
    taken = (await store.tasks.assign(2, 1, 3, 60)).tasks
    await store.tasks.release(2, 1, [(task.id, 0, 0) for task in taken])
    await store.chain.flush(2)
    await store.workers.rename(1, "renamed")
    await store.workers.pause(2, False)
    secret = await store.workers.rotate_secret(3)
    await store.workers.revoke(5, 3)
    await store.projects.update(boss, 2, {"name": "renamed", "chain": 0, "paused": True})
    await store.maintenance.delete(boss, 9)
    before = [await exported(broker, project) for project in (2, 5)]

    report = json.loads(fine(await broker("import-tracker", dumps, "--json")))

    assert [await exported(broker, project) for project in (2, 5)] == before
    assert counts(report) == {
        "workers": (4, 0, 4, 0),
        "projects": (3, 0, 2, 1),
        "access": (5, 0, 5, 0),
        "tasks": (len(TASKS), 0, len(TASKS) - 1, 1),
        "votes": (4, 0, 4, 0),
    }
    assert report["tasks"]["left"] == [{"reason": "its project was not imported", "count": 1, "first": ["project 9"]}]
    aliases = [worker.alias for worker in await store.workers.get([1, 2]) if worker]
    assert aliases == ["renamed", 'quote " and, comma\nline']
    assert (await store.workers.authenticate(3, secret.encode())).id == 3
    assert await store.workers.access(5, 3) == ""
    values = (await store.projects.get(2)).values
    assert (values["name"], values["chain"], values["paused"]) == ("renamed", 0, True)


async def test_the_report_is_for_people(broker: Broker, dumps: Path) -> None:
    fine(await broker("import-tracker", dumps))
    done = await broker("import-tracker", dumps)

    assert done.stdout.splitlines() == [
        "          read  imported  before  left",
        "workers      4         0       4     0",
        "projects     3         0       3     0",
        "access       5         0       5     0",
        "tasks       20         0      20     0",
        "votes        4         0       4     0",
        "of the imported tasks, 0 were assigned and wait again, 0 have failed",
        "nothing is left",
        "managers must register again: broker create-admin creates the first, who gives roles to the others",
    ]
