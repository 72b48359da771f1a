"""``python -m tests.upgrade.make``: a data directory with something of everything, as the broker of today writes it.

To be run once for each layout, by the release that is the last to write it: what it makes is committed, in
``layout-N/``, and every later release must start from it (``test_upgrade.py``) or refuse it.

``data/``    what goes into a data directory: the append-only file, as text, in which no key expires
``known.json``  what the broker said of it: secrets, cookies, and its answers to ``GET`` by path
"""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from redis import Redis

from broker.settings import Settings
from broker.store import Store, open_store
from broker.store.redis.keys import LAYOUT
from broker.store.task_fields import TaskFields
from tests.client import Caller, Fleet, WorkerCaller
from tests.serving import Serving, until

PASSWORD = "a long password"
CENTURY = "36500d"
IN_2100 = 4_102_444_800_000
FOR_EVER = 2**31 - 1
"""The longest that a task may be held, in seconds."""


def make(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        # Nothing is swept: what is half done stays so.
        serving = Serving.start(Path(scratch), session_ttl=CENTURY, sweep_interval=CENTURY)
        try:
            known = asyncio.run(_fill(serving))
            _write_as_text(serving)
        finally:
            serving.stop()
        # The base has everything: what follows it is empty.
        (base,) = (Path(scratch) / "data" / "appendonlydir").glob("*.base.aof")
        (folder / "data" / "appendonlydir").mkdir(parents=True)
        shutil.copy(base, folder / "data" / "appendonlydir" / "appendonly.aof.1.base.aof")
        manifest = folder / "data" / "appendonlydir" / "appendonly.aof.manifest"
        manifest.write_text("file appendonly.aof.1.base.aof seq 1 type b\n")
    (folder / "known.json").write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


async def _fill(serving: Serving) -> dict[str, Any]:
    admin = serving.caller()
    admin.post("/register", {"username": "ada", "password": PASSWORD}).content()
    editor = serving.caller()
    editor.post("/register", {"username": "bob", "password": PASSWORD}).content()
    fleet = Fleet(serving.url, admin)
    pages = fleet.project(name="pages", motd="what the index found", assign_rate=1000.0)
    index = fleet.project(
        name="index", chain=pages, remember_closed=-1, priority=3, git_repo="ada/index", clone_url="https://e.org/i"
    )
    reset = fleet.project(name="failing", hidden=True)
    admin.post(f"/project/secret/{index}", {"secret": '{"key": "of the index"}'}).content()
    admin.post(f"/manager/set_role_for_project/{index}", {"manager": 2, "role": 3})
    ann, ben = fleet.worker(index, pages, reset, alias="ann"), fleet.worker(index, pages, alias="ben")
    fleet.admin.post("/worker/set_paused", {"worker": fleet.worker(pages, alias="paused").id, "paused": True}).content()
    fleet.worker(alias="waits").post("/project/request_access", {"project": index, "assign": True}).content()
    ann.post("/log/warn", {"scope": "fetch", "message": "slow", "timestamp": 1_700_000_000}).content()

    tasks = _tasks(ann, index)
    admin.post(f"/project/group/{index}", {"group": "a.org", "delay": 0.5, "limit": 1}).content()
    assert ann.take(pages)["recipe"] == "closed"
    for n in range(3):
        assert ann.release(ann.submit(reset, f"fails {n}") and ann.take(reset)["id"], 1)

    store = open_store(Settings(redis_url=f"unix://{serving.store_socket()}"))
    try:
        (delayed,) = await store.tasks.submit(index, ann.id, [TaskFields("delayed", start=f"={IN_2100}")])
        tasks["delayed"] = delayed or 0
        await store.monitoring.take_snapshot(index)
        await _leave_half_done(store, ann.id, index, reset)
        return {
            "workers": {worker.alias: {"id": worker.id, "secret": worker.secret} for worker in (ann, ben)},
            "sessions": {"ada": admin.http.cookies["tt"], "bob": editor.http.cookies["tt"]},
            "projects": {"pages": pages, "index": index, "failing": reset},
            "tasks": tasks,
            "answers": _answers(admin, [pages, index], index, tasks),
        }
    finally:
        await store.close()
        fleet.close()


def _tasks(ann: WorkerCaller, project: int) -> dict[str, int]:
    """A task in each state, by the state."""
    submit = ann.submit
    closed = submit(project, "closed", unique_string="closed", max_assign_time=FOR_EVER)
    assert ann.release(ann.take(project)["id"])
    failed = submit(project, "failed", hash64=-5)
    release = {"task_id": ann.take(project)["id"], "result": 1, "message": "HTTP 500"}
    assert ann.post("/task/release", release).content()["updated"]
    verifying = submit(project, "needs two votes", verification_count=2, hash64=2**62)
    assert ann.release(ann.take(project)["id"], 0, 7) is False
    held = submit(project, "held", max_assign_time=FOR_EVER, max_retries=2)
    assert ann.take(project)["id"] == held
    on_its_way = submit(project, "on its way", max_assign_time=FOR_EVER)
    assert ann.take(project)["id"] == on_its_way
    waiting = submit(project, "waits: \u00e9, \N{GRINNING FACE}, \r\n", priority=-3, unique_string="waits")
    grouped = submit(project, "in a group", group="a.org", priority=-9)
    return {
        "closed": closed,
        "failed": failed,
        "verifying": verifying,
        "held": held,
        "on its way": on_its_way,
        "waiting": waiting,
        "grouped": grouped,
    }


def _answers(admin: Caller, projects: list[int], index: int, tasks: dict[str, int]) -> dict[str, Any]:
    """Content of the answers that the admin gets, by path."""
    calls = ["project/get", "project/secret", "project/webhook_secret", "project/access_list"]
    calls += ["manager/list_for_project"]
    paths = [f"/{call}/{project}" for call in calls for project in projects]
    paths += [
        f"/project/task/{index}/{tasks[state]}"
        for state in ("failed", "verifying", "held", "waiting", "grouped", "delayed")
    ]
    paths += [f"/project/group/{index}?group=a.org"]
    paths += [f"/project/{call}/{index}" for call in ("stats", "assignees")]
    paths += [f"/project/monitoring/{index}?count=9", "/project/list", "/manager/list", "/worker/stats"]
    return {path: admin.get(path).content() for path in paths}


async def _leave_half_done(store: Store, worker: int, index: int, reset: int) -> None:
    """A closed task that has not reached the chained project; three failed ones, of which one was put back."""
    held = [
        task
        for task in (await store.tasks.held(index, worker, "0", 500))[1].tasks
        if task.fields.recipe == "on its way"
    ]
    assert (await store.tasks.release(index, worker, [(held[0].id, 0, 0)])).chained == 1
    assert await store.maintenance.begin_drain(reset, "reset_failed") == 3
    assert await store.maintenance.drain(reset, 1) == (1, True)


def _write_as_text(serving: Serving) -> None:
    with Redis(unix_socket_path=str(serving.store_socket())) as client:
        for key in client.scan_iter(count=1_000):
            client.persist(key)
        client.config_set("aof-use-rdb-preamble", "no")
        client.bgrewriteaof()
        until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
        assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"


if __name__ == "__main__":
    target = Path(__file__).parent / f"layout-{LAYOUT}"
    make(target)
    sys.stdout.write(f"{target} is made\n")
