"""The commands for operators of projects, with a token or with an account."""

import re
from typing import Any

import pytest

from tests.cli.test_commands import Broker, broker, environment, fine, rows
from tests.client import Fleet, ManagerCaller

__all__ = ["broker", "environment"]


@pytest.fixture
def manager(fleet: Fleet) -> ManagerCaller:
    return fleet.manager()


@pytest.fixture
def token(broker: Broker, manager: ManagerCaller, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the manager, in the environment beside the admin's account."""
    token: str = manager.post("/account/tokens", {"name": "shell"}).content()["token"]
    monkeypatch.setenv("TASK_BROKER_TOKEN", token)
    return token


def test_a_token_is_created_used_listed_and_revoked(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    token = fine(broker("token", "create", "nightly report", "--expires-in", 3600)).strip()
    (listed,) = [one for one in rows(broker("token", "list", "--json")) if one["name"] == "nightly report"]
    assert listed["last_used"] is None

    monkeypatch.setenv("TASK_BROKER_TOKEN", token)
    project = rows(broker("project", "create", "made with a token", "--json"))[0]["id"]
    assert f"{project} " in fine(broker("project", "list"))
    # The token may not list or revoke tokens; the account may.
    assert "403 denied" in broker("token", "list").stderr
    account = ["--admin-file", "admin.json"]
    assert "nightly report" in fine(broker("token", "list", *account))
    assert fine(broker("token", "revoke", listed["id"], *account)) == f"token {listed['id']} is revoked\n"
    refused = broker("project", "pause", project)
    assert (refused.returncode, "401 not_logged_in" in refused.stderr) == (1, True)
    assert token not in refused.stderr


def test_a_token_counts_before_the_account_of_the_environment(
    broker: Broker, fleet: Fleet, manager: ManagerCaller, token: str
) -> None:
    project = fleet.project()
    assert "403 denied" in broker("project", "pause", project).stderr
    fine(broker("project", "pause", project, "--admin-file", "admin.json"))


@pytest.mark.parametrize("wrong", ["two words", "ä", "a\nb"])
def test_an_invalid_token_is_named_and_not_shown(broker: Broker, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("TASK_BROKER_TOKEN", wrong)
    done = broker("project", "pause", 1)
    assert (done.returncode, done.stderr) == (1, "broker: TASK_BROKER_TOKEN: not a token\n")


def test_a_project_is_created_configured_and_paused(broker: Broker, manager: ManagerCaller, token: str) -> None:
    name = f"shop of {manager.username}"
    settings = [
        "group_delay=0.5",
        "group_limit=2",
        "motd=5",
        "hidden=yes",
        "assign_rate=0.25",
        "submit_rate=1.7976931348623157e+308",
        "clone_url=http://a/?b=c",
    ]
    created = fine(broker("project", "create", name, *settings))
    match = re.fullmatch(r"project (\d+) is created\n", created)
    assert match
    project = int(match[1])

    (shown,) = rows(broker("project", "settings", project, "--json"))
    given = ("name", "group_delay", "group_limit", "motd", "hidden", "assign_rate", "clone_url")
    assert [shown[field] for field in given] == [name, 0.5, 2, "5", True, 0.25, "http://a/?b=c"]
    assert fine(broker("project", "settings", project, "motd=", "priority=7")) == f"project {project} is changed\n"
    table = dict(
        line.split(maxsplit=1) for line in fine(broker("project", "settings", project)).splitlines() if " " in line
    )
    assert (table["priority"], table["hidden"], "motd" in table) == ("7", "yes", False)

    assert fine(broker("project", "pause", project)) == f"project {project} is paused\n"
    (row,) = [line for line in fine(broker("project", "list")).splitlines() if line.startswith(f"{project} ")]
    assert row.split()[-2:] == ["hidden,", "paused"]
    fine(broker("project", "resume", project))
    assert not rows(broker("project", "settings", project, "--json"))[0]["paused"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["colour=red"], "colour=red: FIELD=VALUE, and FIELD is one of name, priority"),
        (["motd"], "motd: FIELD=VALUE"),
        (["id=5"], "id=5: FIELD=VALUE"),
        (["hidden=maybe"], "hidden: yes or no"),
        *((["priority=" + text], "priority: a number") for text in ("high", "--5", "²", "nan", "1 000", "")),
        (["priority=2.5"], "400 invalid"),
        (["priority=-1"], "400 invalid"),
    ],
)
def test_a_wrong_setting_is_named(broker: Broker, fleet: Fleet, settings: list[str], said: str) -> None:
    done = broker("project", "settings", fleet.project(), *settings)

    assert done.returncode == 1
    assert said in done.stderr


def test_requests_are_listed_and_accepted(broker: Broker, fleet: Fleet) -> None:
    project = fleet.project()
    workers = [fleet.worker(alias=f"crawler-{n}") for n in range(4)]
    for worker in workers:
        worker.post("/project/request_access", {"project": project, "assign": True}).content()
    fleet.admin.post(f"/project/accept_request/{project}/{workers[0].id}").content()

    assert [row["worker"]["id"] for row in rows(broker("access", "list", project, "--requests", "--json"))] == [
        worker.id for worker in workers[1:]
    ]
    assert fine(broker("access", "accept", project, workers[1].id)) == "1 accepted\n"
    fine(broker("access", "reject", project, workers[2].id))
    table = [line.split() for line in fine(broker("access", "list", project)).splitlines()]
    assert table[1:] == [
        [str(workers[3].id), "crawler-3", "assign", "requested"],
        [str(workers[0].id), "crawler-0", "assign", "granted"],
        [str(workers[1].id), "crawler-1", "assign", "granted"],
    ]
    assert rows(broker("access", "accept", project, "--all", "--json")) == [{"accepted": 1}]
    for arguments in ([], [workers[0].id, "--all"]):
        assert "--all" in broker("access", "accept", project, *arguments).stderr


def test_join_tokens_are_created_listed_and_revoked(broker: Broker, fleet: Fleet) -> None:
    project = fleet.project()
    token = fine(broker("access", "tokens", project, "--create", "--submit", "--uses", 3)).strip()
    worker = fleet.worker()
    worker.post("/project/join", {"project": project, "token": token}).content()

    (row,) = rows(broker("access", "tokens", project, "--json"))
    assert (row["assign"], row["submit"], row["uses_left"]) == (True, True, 2)
    assert "assign and submit  2" in fine(broker("access", "tokens", project))
    fine(broker("access", "tokens", project, "--revoke", row["id"]))
    assert fine(broker("access", "tokens", project)) == "no tokens\n"


def test_tasks_that_match_are_retried_or_removed(broker: Broker, fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    for recipe in ("a/1", "a/2", "b/1"):
        worker.submit(project, recipe)
    for _ in range(3):
        worker.post(
            "/task/release", {"task_id": worker.take(project)["id"], "result": 1, "message": "HTTP 500"}
        ).content()

    assert fine(broker("tasks", "retry", project, "--contains", "a/1")) == "1 retried\n"
    assert rows(broker("tasks", "retry", "--contains", "HTTP 404", project, "--json")) == [
        {"affected_tasks": 0, "pending": False}
    ]
    removed = broker("tasks", "remove", project, "--state", "failed", "--contains", "b/")
    assert fine(removed) == "1 removed\n"
    left = {
        state: rows(broker("tasks", "list", project, "--state", state, "--json")) for state in ("waiting", "failed")
    }
    assert {state: [row["recipe"] for row in found] for state, found in left.items()} == {
        "waiting": ["a/1"],
        "failed": ["a/2"],
    }
    with pytest.raises(SystemExit):
        broker("tasks", "remove", project, "--contains", "a")


def test_groups_are_listed_blocked_and_limited(broker: Broker, fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    for group in ("a.example", "b.example"):
        worker.submit(project, group=group)

    assert len(rows(broker("groups", project, "--state", "ready", "--json"))) == 2
    assert len(rows(broker("groups", project, "--state", "ready", "--json", "--limit", 1))) == 1
    changed = rows(
        broker(
            "groups", project, "--group", "a.example", "--block", 60, "--set-delay", "2.5", "--set-limit", 1, "--json"
        )
    )
    assert [(row["delay"], row["limit"], row["own"]) for row in changed] == [(2.5, 1, True)]
    assert len(rows(broker("groups", project, "--json"))) == 2
    assert len(rows(broker("groups", project, "--json", "--limit", 1))) == 1
    table = fine(broker("groups", project, "--state", "blocked")).splitlines()
    assert table[0].startswith("group      waiting  running  delay  limit")
    assert (table[1].split()[:5], len(table)) == (["a.example", "1", "0", "2.5", "s"], 2)
    fine(broker("groups", project, "--group", "a.example", "--block", 0, "--set-delay", -1, "--set-limit", -1))
    assert fine(broker("groups", project, "--state", "blocked")) == "no groups are blocked\n"
    assert "need --group" in broker("groups", project, "--state", "ready", "--block", 5).stderr
    for wrong in ("-2", "nan", "1e3", "x"):
        with pytest.raises(SystemExit):
            broker("groups", project, "--group", "a", "--set-delay", wrong)


def test_why_a_worker_gets_nothing_is_said(broker: Broker, fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project, delay=3600)
    worker.submit(project)
    ask: list[Any] = ["why", "--worker", worker.id, "--project", project]

    assert fine(broker(*ask)) == "A task is available: a get returns it\n"
    worker.take(project)
    said = fine(broker(*ask)).splitlines()
    assert said[0] == "No task waits in this project"
    assert re.fullmatch(r"Tasks are delayed; the first of them is waiting then \(1, until \d{4}-.*\)", said[1])
    assert [row["code"] for row in rows(broker(*ask, "--json"))] == ["nothing_waits", "delayed", "held"]
    assert "404 not_found" in broker("why", "--worker", 2**50, "--project", project).stderr
