"""Rows that an import cannot keep are left out and reported; broken dumps import nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from broker.store import Store
from broker.store.task_fields import TaskFields
from tests.transfer.conftest import Broker, fine, write

WORKER = "id,alias,created,secret,closed_task_count,paused"
PROJECT = (
    "id,priority,chain,public,hidden,paused,name,clone_url,git_repo,version,motd,secret,webhook_secret,"
    "assign_rate,submit_rate"
)
ACCESS = "worker,project,role_assign,role_submit,request"
TASK = (
    "id,hash64,project,assignee,max_assign_time,verification_count,priority,retries,max_retries,status,recipe,"
    "assign_time"
)
VOTE = "verification_hash,task,worker"

KINDS = ("workers", "projects", "access", "tasks", "votes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One worker, one project, one task and its vote: 1, 1, 1."""
    place = tmp_path / "dumps"
    write(place, "worker", WORKER, r"1,w,1,\x01,0,f")
    write(place, "project", PROJECT, "1,0,,f,f,f,p,,,,,,,0,0")
    write(place, "worker_access", ACCESS, "1,1,t,t,f")
    write(place, "task", TASK, "1,,1,,0,2,0,0,0,1,r,")
    write(place, "worker_verifies_task", VOTE, "1,1,1")
    return place


def more(folder: Path, table: str, *rows: str) -> None:
    with (folder / f"{table}.csv").open("a") as stream:
        stream.writelines(f"{row}\n" for row in rows)


async def left(broker: Broker, folder: Path, kind: str, what: str = "left") -> dict[str, tuple[int, list[str]]]:
    """The reasons, how many rows have each, and the first ids. Each row is imported now or before, or left."""
    report: dict[str, Any] = json.loads(fine(await broker("import-tracker", folder, "--json")))
    for name in KINDS:
        tally = report[name]
        assert tally["read"] == tally["imported"] + tally["before"] + sum(row["count"] for row in tally["left"])
    return {row["reason"]: (row["count"], row["first"]) for row in report[kind][what]}


async def test_workers_that_cannot_be_kept(broker: Broker, store: Store, folder: Path) -> None:
    more(
        folder,
        "worker",
        rf"2,{'a' * 16_385},1,\x02,0,f",
        r"2147483648,w,1,\x03,0,f",
        r"3,w,1,,0,f",
        r"4,w,1,secret,0,f",
        r"5,w,1,\x05,0,maybe",
        r"6,w,yesterday,\x06,0,f",
        rf"7,{'a' * 16_384},1,\x07,0,f",
        r"7,w,1,\x08,0,f",
        r"-1,w,1,\x09,0,f",
    )
    more(folder, "worker_access", "2,1,t,t,f")
    more(folder, "worker_verifies_task", "1,1,2")

    assert await left(broker, folder, "workers") == {
        "its alias is longer than 16384 characters": (1, ["2"]),
        "its id is not within 1 and 2147483647": (2, ["2147483648", "-1"]),
        "its secret is not bytea in hexadecimal": (2, ["3", "4"]),
        "its paused is neither t nor f": (1, ["5"]),
        "its created is not a whole number": (1, ["6"]),
        "it occurs twice": (1, []),
    }
    assert (await left(broker, folder, "access"))["its worker was not imported"] == (1, ["worker 2"])
    assert await store.workers.count() == 7
    assert await store.workers.access(1, 2) == ""


async def test_projects_that_cannot_be_kept_take_their_tasks_with_them(
    broker: Broker, store: Store, boss: int, folder: Path
) -> None:
    await store.projects.create(boss, {"name": "first here"})
    await store.projects.create(boss, {"name": "taken"})
    more(
        folder,
        "project",
        "3,0,,f,f,f,taken,,,,,,,0,0",
        "100000,0,,f,f,f,high,,,,,,,0,0",
        "99999,0,,f,f,f,highest,,,,,,,0,0",
        "4,0,,f,f,f,,,,,,,,0,0",
        "5,0,,f,f,f,rates,,,,,,,fast,0",
    )
    more(folder, "task", "2,,3,,0,0,0,0,0,1,r,", "3,,100000,,0,0,0,0,0,1,r,", "4,,99999,,0,0,0,0,0,1,r,")
    more(folder, "worker_access", "1,3,t,t,f")
    more(folder, "worker_verifies_task", "1,2,1", "1,77,1")

    reasons = await left(broker, folder, "projects")

    assert reasons == {
        "id: another project has it": (1, ["1"]),
        "name: another project has it; rename that one, and run the import again": (1, ["3"]),
        "its id is not within 1 and 99999": (1, ["100000"]),
        "it has no name": (1, ["4"]),
        "its assign_rate is not a number": (1, ["5"]),
    }
    tasks = await left(broker, folder, "tasks")
    assert tasks == {"its project was not imported": (3, ["project 1", "project 3", "project 100000"])}
    assert (await left(broker, folder, "votes")) == {"its task was not imported": (3, [])}
    assert {project.id async for project in store.projects.ids()} == {1, 2, 99999}

    await store.projects.update(boss, 2, {"name": "renamed"})
    assert "name: another project has it; rename that one, and run the import again" not in await left(
        broker, folder, "projects"
    )
    assert (await store.project_tasks.page(3, "verifying", 0, 1, longest=0))[0] == 0, "its task needs no votes"
    assert (await store.project_tasks.page(3, "queue", 0, 1, longest=0))[0] == 1


async def test_projects_that_are_kept_with_a_change(broker: Broker, store: Store, folder: Path) -> None:
    more(
        folder,
        "project",
        "2,-5,3,t,t,f,two,,,,,,,-1,NaN",
        "3,0,4,f,f,f,three,,,,,,,Infinity,1e-05",
        "4,0,2,f,f,f,four,,,,,,,0,0",
        "5,0,77,f,f,f,five,,,,,,,0,0",
        "6,0,6,f,f,f,six,,,,,,,0,0",
    )

    assert await left(broker, folder, "projects", "changed") == {
        "its assign_rate was not a rate, and is unlimited now": (1, ["2"]),
        "its submit_rate was not a rate, and is unlimited now": (1, ["2"]),
        "its priority was below 0 and is 0 now": (1, ["2"]),
        "it was public and hidden, and is only hidden now": (1, ["2"]),
        "not chained: chain: chains must not form a circle": (2, ["4", "6"]),
        "not chained: chain: the project that it names does not exist": (1, ["5"]),
    }
    views = {project.id: project.values async for project in store.projects.every(None)}
    assert [views[id]["chain"] for id in range(1, 7)] == [0, 3, 4, 0, 0, 0]
    assert (views[2]["public"], views[2]["hidden"], views[2]["priority"]) == (False, True, 0)
    assert views[3]["submit_rate"] == 1e-05
    assert views[2]["assign_rate"] == views[3]["assign_rate"] == 1.7976931348623157e308


async def test_tasks_and_votes_that_cannot_be_kept(broker: Broker, store: Store, boss: int, folder: Path) -> None:
    rows = [
        "2,,1,,0,0,0,0,0,1,,",
        "3,,1,,0,0,0,0,0,7,r,",
        "4,,1,,0,32768,0,0,0,1,r,",
        f"5,,1,,0,0,0,0,0,1,{'ü' * (1 << 19)}x,",
        f"6,,1,,0,0,0,0,0,1,{'ü' * (1 << 19)},",
        "7,,1,,0,-3,0,-1,-1,1,below,",
        "8,9223372036854775808,1,,0,0,0,0,0,1,r,",
        "9,5,1,,0,0,0,0,0,1,hash,",
        "10,5,1,,0,0,0,0,0,1,same hash,",
        "11,0,1,,0,0,0,0,0,1,no hash,",
        "12,,9,,0,0,0,0,0,1,no project,",
        "13,,1,,0,0,0,0,0,1,caf\udce9,",
        "twelve,,1,,0,0,0,0,0,1,r,",
    ]
    with (folder / "task.csv").open("a", encoding="utf-8", errors="surrogateescape") as stream:
        stream.writelines(f"{row}\n" for row in rows)
    more(folder, "worker_verifies_task", "1,9,1", "1,1,1", "1,1,9", "1,2,1", "1,,1")

    report = json.loads(fine(await broker("import-tracker", folder, "--json")))

    tasks = {row["reason"]: (row["count"], row["first"]) for row in report["tasks"]["left"]}
    assert tasks == {
        "its recipe is empty": (1, ["2"]),
        "its status is neither 1 nor 2": (1, ["3"]),
        "its verification_count is not within -2147483648 and 32767": (1, ["4"]),
        "its recipe is longer than 1048576 bytes": (1, ["5"]),
        "its hash64 is not within -9223372036854775808 and 9223372036854775807": (1, ["8"]),
        "its project has a task with this hash64": (1, ["10"]),
        "its project was not imported": (1, ["project 9"]),
        "its recipe is not UTF-8: dump it with PGCLIENTENCODING=UTF8": (1, ["13"]),
        "its id is not a whole number": (1, ["twelve"]),
    }
    votes = {row["reason"]: (row["count"], row["first"]) for row in report["votes"]["left"]}
    assert votes == {
        "its task needs no votes": (1, ["task 9"]),
        "it occurs twice": (1, []),
        "its worker was not imported": (1, ["worker 9"]),
        "its task was not imported": (1, []),
        "its task is not a whole number": (1, []),
    }
    total, found = await store.project_tasks.page(1, "queue", 0, 10, longest=11)
    assert total == 4
    assert [task.fields.recipe for task in found] == ["ü" * 5, "below", "hash", "no hash"]
    assert (await store.project_tasks.page(1, "verifying", 0, 10, longest=0))[0] == 1
    assert (await store.monitoring.stats(1)).counters == {"imported": 5, "duplicates": 1}


async def test_what_workers_do_while_the_import_is_not_done_stays(broker: Broker, store: Store, folder: Path) -> None:
    more(folder, "task", *(f"{n},{n},1,,0,0,0,0,0,1,recipe {n}," for n in range(2, 9)))
    tasks = (folder / "task.csv").read_text()
    write(folder, "task", TASK)
    fine(await broker("import-tracker", folder))
    worker = (await store.workers.create("new"))[0].id
    new = await store.tasks.submit(1, 1, [TaskFields("by the fleet", hash64=5)])
    (folder / "task.csv").write_text(tasks)

    reasons = await left(broker, folder, "tasks")

    assert worker == 2
    assert reasons == {"its project has a task with this hash64": (1, ["5"])}
    total, found = await store.project_tasks.page(1, "queue", 0, 10, longest=0)
    assert total == 7
    assert found[0].id == new[0]


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("task", None, "task.csv: No such file or directory"),
        ("worker", "", "worker.csv: the first line does not name the column id: dump the table WITH HEADER"),
        (
            "worker",
            "1,w,1,\\x01,0,f\n",
            "worker.csv: the first line does not name the column id: dump the table WITH HEADER",
        ),
        (
            "project",
            PROJECT.replace("motd,", "") + "\n",
            "project.csv: the first line does not name the column motd: dump the",
        ),
        ("task", f"{TASK}\n1,,1,,0,0,0,0,0,1,r,\n2,,1,,0", "task.csv, line 3: 5 fields, not 12: is the file complete?"),
        ("task", f'{TASK}\n1,,1,,0,0,0,0,0,1,"re', "task.csv, line 2: unexpected end of data: is the file complete?"),
        (
            "worker_verifies_task",
            f"{VOTE}\n1,1\n",
            "worker_verifies_task.csv, line 2: 2 fields, not 3: is the file complete?",
        ),
    ],
)
async def test_broken_dumps_import_nothing_and_the_line_is_named(
    broker: Broker, folder: Path, table: str, text: str | None, said: str
) -> None:
    file = folder / f"{table}.csv"
    file.unlink()
    if text is not None:
        file.write_text(text)

    done = await broker("import-tracker", folder)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(f"broker: {folder}/{said}")
    write(folder, table, {"task": TASK, "worker": WORKER, "project": PROJECT, "worker_verifies_task": VOTE}[table])
    report = json.loads(fine(await broker("import-tracker", folder, "--json")))
    assert [report[kind]["before"] for kind in KINDS] == [0] * 5


async def test_the_order_of_columns_does_not_matter(broker: Broker, store: Store, folder: Path) -> None:
    write(folder, "worker", "paused,secret,identity,id,closed_task_count,alias,created", r"t,\x01,9,1,4,moved,1")

    fine(await broker("import-tracker", folder))

    (worker,) = await store.workers.get([1])
    assert worker is not None
    assert (worker.alias, worker.paused, worker.closed_before) == ("moved", True, 4)
