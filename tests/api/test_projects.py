"""Projects: what managers set, what everybody can read, and who may do what."""

import secrets
from itertools import product
from typing import Any

import pytest

from tests.client import Fleet

UNLIMITED = 1.7976931348623157e308
LONG = "x" * 65_536


def name() -> str:
    return f"project {secrets.token_hex(6)}"


def read(fleet: Fleet, project: int) -> dict[str, Any]:
    view: dict[str, Any] = fleet.admin.get(f"/project/get/{project}").content()["project"]
    return view


def test_a_project_needs_a_name_and_has_a_default_for_the_rest(fleet: Fleet) -> None:
    called = name()

    project = fleet.manager().post("/project/create", {"name": called}).content()["id"]

    assert read(fleet, project) == {
        "id": project,
        "priority": 0,
        "name": called,
        "clone_url": "",
        "git_repo": "",
        "version": "",
        "motd": "",
        "public": False,
        "hidden": False,
        "chain": 0,
        "paused": False,
        "assign_rate": UNLIMITED,
        "submit_rate": UNLIMITED,
        "remember_closed": 0,
        "group_delay": 0,
        "group_limit": 0,
        "group_order": "priority",
        "retry_delay": 0,
        "retry_delay_max": 0,
        "max_reclaims": 0,
        "max_votes": 0,
        "notify_url": "",
        "notify_failed": 0,
        "notify_stalled": 0,
    }


def test_a_project_is_read_back_as_it_was_made(fleet: Fleet) -> None:
    target = fleet.project()
    fields: dict[str, Any] = {
        "priority": 999,
        "name": name(),
        "clone_url": "http://github.com/test/test",
        "git_repo": "Test/Test",
        "version": "1.0",
        "motd": "line one\nline two \N{GRINNING FACE}\x00",
        "public": True,
        "hidden": False,
        "chain": target,
        "paused": True,
        "assign_rate": 2,
        "submit_rate": 0.1,
        "remember_closed": 3600,
        "group_delay": 0.25,
        "group_limit": 3,
        "group_order": "fair",
        "retry_delay": 0.5,
        "retry_delay_max": 3600,
        "max_reclaims": 3,
        "max_votes": 5,
        "notify_url": "https://hooks.example/crawl",
        "notify_failed": 100,
        "notify_stalled": 0.5,
    }

    project = fleet.project(**fields)

    assert read(fleet, project) == {"id": project, **fields}


def test_the_fields_of_a_project_stand_in_content_and_once_more_in_content_project(fleet: Fleet) -> None:
    project = fleet.project()

    content = fleet.anybody.get(f"/project/get/{project}").content()

    inner = content.pop("project")
    assert content == inner
    assert inner["id"] == project


def test_an_update_changes_what_it_names_and_keeps_the_rest(fleet: Fleet) -> None:
    manager = fleet.manager()
    fields: dict[str, Any] = {"priority": 5, "motd": "hello", "assign_rate": 3.5, "hidden": True, "remember_closed": -1}
    project = fleet.project(manager, **fields)
    before = read(fleet, project)

    for change in ({"motd": ""}, {"priority": 0}, {"hidden": False}, {"assign_rate": 0}, {"remember_closed": 0}):
        assert manager.post(f"/project/update/{project}", change).content() == {"id": project}
        before |= change
        assert read(fleet, project) == before | ({"assign_rate": UNLIMITED} if before["assign_rate"] == 0 else {})


@pytest.mark.parametrize("body", [{}, "null", b"", {"name": None, "priority": None, "public": None, "chain": None}])
def test_an_update_of_nothing_changes_nothing(fleet: Fleet, body: object) -> None:
    project = fleet.project(motd="stays", priority=3)
    before = read(fleet, project)

    fleet.admin.post(f"/project/update/{project}", body).content()

    assert read(fleet, project) == before


def test_a_project_is_posted_back_as_it_was_read(fleet: Fleet) -> None:
    project = fleet.project(motd="stays", assign_rate=2, git_repo="Me/Mine")
    before = read(fleet, project)

    fleet.admin.post(f"/project/update/{project}", before).content()

    assert read(fleet, project) == before


@pytest.mark.parametrize("field", ["assign_rate", "submit_rate"])
@pytest.mark.parametrize(
    ("posted", "reads"),
    [
        ("0", UNLIMITED),
        ("0.0", UNLIMITED),
        ("-0.0", UNLIMITED),
        ("1.7976931348623157e+308", UNLIMITED),
        ("5e-324", 5e-324),
        ("0.1", 0.1),
        ("1e22", 1e22),
        ("3", 3),
        ("3.0", 3),
        ("9007199254740991", 2**53 - 1),
    ],
)
def test_a_rate_of_0_is_unlimited_and_every_other_is_kept(fleet: Fleet, field: str, posted: str, reads: float) -> None:
    project = fleet.project(assign_rate=7, submit_rate=7)

    fleet.admin.post(f"/project/update/{project}", f'{{"{field}": {posted}}}').content()

    found = read(fleet, project)[field]
    # A whole number has no fraction: 3, not 3.0.
    assert (found, type(found)) == (reads, type(reads))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *product(["name"], ["", 5, [], True, "x" * 16_385]),
        *product(["priority"], [-1, 2**53 + 1, 2**63, 10**400, 1.5, "1"]),
        *product(["assign_rate", "submit_rate"], [-1, -5e-324, "2", True, []]),
        *product(["clone_url", "git_repo", "version", "motd"], [1, [], f"{LONG}x"]),
        *product(["public", "hidden", "paused"], [0, 1, "true", []]),
        *product(["chain"], [-1, 2**53 + 1, "1", 1.5]),
        *product(["remember_closed"], [-2, 2**31, "1"]),
        *product(["group_delay", "retry_delay", "retry_delay_max"], [-1, 315_360_001, "1"]),
        *product(["group_limit", "max_reclaims", "max_votes"], [-1, 2**15, 1.5]),
        *product(["group_order"], ["", "fast", 1]),
    ],
)
def test_an_invalid_field_is_refused_and_changes_nothing(fleet: Fleet, field: str, wrong: object) -> None:
    project = fleet.project(motd="before")
    before = read(fleet, project)

    for path in ("/project/create", f"/project/update/{project}"):
        answer = fleet.admin.post(path, {"name": name(), "motd": "after", field: wrong})
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.message.startswith(f"{field}:")
    assert read(fleet, project) == before


@pytest.mark.parametrize(
    ("field", "edge"),
    [
        ("priority", 0),
        ("priority", 2**53),
        *product(["clone_url", "git_repo", "version", "motd"], ["", LONG]),
        *product(["remember_closed"], [-1, 2**31 - 1]),
        *product(["group_delay", "retry_delay", "retry_delay_max"], [0.001, 315_360_000]),
        *product(["group_limit", "max_reclaims", "max_votes"], [0, 2**15 - 1]),
        *product(["group_order"], ["priority", "fair"]),
    ],
)
def test_a_field_is_taken_to_its_edges(fleet: Fleet, field: str, edge: object) -> None:
    fields: dict[str, Any] = {field: edge}

    assert read(fleet, fleet.project(**fields))[field] == edge


def test_a_name_may_have_16384_characters(fleet: Fleet) -> None:
    called = secrets.token_hex(8192)

    assert read(fleet, fleet.project(name=called))["name"] == called


@pytest.mark.parametrize("body", [{}, {"name": None}, {"motd": "x"}, "null", b""])
def test_a_project_without_a_name_is_refused(fleet: Fleet, body: object) -> None:
    answer = fleet.admin.post("/project/create", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("name")


def test_a_name_belongs_to_one_project(fleet: Fleet) -> None:
    one, other = name(), name()
    first = fleet.project(name=one)
    second = fleet.project(name=other)

    for path, body in (("/project/create", {"name": one}), (f"/project/update/{second}", {"name": one, "motd": "x"})):
        answer = fleet.admin.post(path, body)
        assert (answer.status, answer.code) == (409, "duplicate")
        assert "name" in answer.message
    assert (read(fleet, second)["name"], read(fleet, second)["motd"]) == (other, "")

    fleet.admin.post(f"/project/update/{first}", {"name": one}).content()
    fleet.admin.post(f"/project/update/{first}", {"name": name()}).content()
    fleet.admin.post(f"/project/update/{second}", {"name": one}).content()
    assert read(fleet, second)["name"] == one


@pytest.mark.parametrize(
    ("made", "change"),
    [
        ({}, {"hidden": True, "public": True}),
        ({"hidden": True}, {"public": True}),
        ({"public": True}, {"hidden": True}),
    ],
)
def test_a_project_is_never_hidden_and_public(fleet: Fleet, made: dict[str, Any], change: dict[str, Any]) -> None:
    project = fleet.project(**made)
    before = read(fleet, project)

    for answer in (
        fleet.admin.post(f"/project/update/{project}", {**change, "motd": "x"}),
        fleet.admin.post("/project/create", {"name": name(), **made, **change}),
    ):
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.message.startswith(("public", "hidden"))
    assert read(fleet, project) == before


def test_a_hidden_project_becomes_public_in_one_update_and_hidden_again(fleet: Fleet) -> None:
    project = fleet.project(hidden=True)

    for public in (True, False):
        fleet.admin.post(f"/project/update/{project}", {"public": public, "hidden": not public}).content()
        assert (read(fleet, project)["public"], read(fleet, project)["hidden"]) == (public, not public)


@pytest.mark.parametrize("called", [None, "", "taken"])
def test_a_manager_who_may_not_make_a_project_public_is_told_so_whatever_its_name(
    fleet: Fleet, called: str | None
) -> None:
    taken = name()
    fleet.project(name=taken)
    body = {"name": taken if called == "taken" else called, "public": True}

    answer = fleet.manager().post("/project/create", body)

    assert (answer.status, answer.code) == (403, "denied")


def test_only_an_admin_makes_a_project_public(fleet: Fleet) -> None:
    manager = fleet.manager()
    project = fleet.project(manager)

    create = manager.post("/project/create", {"name": name(), "public": True})
    update = manager.post(f"/project/update/{project}", {"public": True})
    for answer in (create, update):
        assert (answer.status, answer.code) == (403, "denied")
    assert read(fleet, project)["public"] is False

    fleet.admin.post(f"/project/update/{project}", {"public": True}).content()
    manager.post(f"/project/update/{project}", {"motd": "still public", "public": True}).content()
    assert (read(fleet, project)["public"], read(fleet, project)["motd"]) == (True, "still public")
    manager.post(f"/project/update/{project}", {"public": False}).content()
    assert read(fleet, project)["public"] is False


def test_any_manager_creates_a_project_and_the_edit_role_updates_it(fleet: Fleet) -> None:
    owner, other = fleet.manager(), fleet.manager()
    project = fleet.project(owner)
    change = {"motd": "changed"}

    assert fleet.anybody.post("/project/create", {"name": name()}).code == "not_logged_in"
    assert fleet.worker().post("/project/create", {"name": name()}).status == 401
    assert fleet.anybody.post(f"/project/update/{project}", change).code == "not_logged_in"
    for role in (0, 31 - 2):
        owner.post(f"/manager/set_role_for_project/{project}", {"manager": other.id, "role": role}).content()
        assert other.post(f"/project/update/{project}", change).code == "denied"
    assert read(fleet, project)["motd"] == ""

    owner.post(f"/manager/set_role_for_project/{project}", {"manager": other.id, "role": 2}).content()
    other.post(f"/project/update/{project}", change).content()
    assert read(fleet, project)["motd"] == "changed"


def test_chaining_needs_the_edit_role_on_the_project_that_tasks_go_on_to(fleet: Fleet) -> None:
    owner, other = fleet.manager(), fleet.manager()
    target, source = fleet.project(owner), fleet.project(other)

    for role in (0, 31 - 2):
        owner.post(f"/manager/set_role_for_project/{target}", {"manager": other.id, "role": role}).content()
        for path in ("/project/create", f"/project/update/{source}"):
            answer = other.post(path, {"name": name(), "chain": target})
            assert (answer.status, answer.code) == (403, "denied")
            assert answer.message.startswith("chain")

    owner.post(f"/manager/set_role_for_project/{target}", {"manager": other.id, "role": 2}).content()
    other.post(f"/project/update/{source}", {"chain": target}).content()
    owner.post(f"/manager/set_role_for_project/{target}", {"manager": other.id, "role": 0}).content()
    other.post(f"/project/update/{source}", {"chain": target, "motd": "no new chain"}).content()
    assert (read(fleet, source)["chain"], read(fleet, source)["motd"]) == (target, "no new chain")


def test_a_chain_does_not_loop(fleet: Fleet) -> None:
    last = fleet.project()
    middle = fleet.project(chain=last)
    first = fleet.project(chain=middle)

    for project, chain in ((last, last), (last, middle), (last, first), (middle, first), (first, first)):
        answer = fleet.admin.post(f"/project/update/{project}", {"chain": chain, "motd": "x"})
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.message.startswith("chain")
    assert [read(fleet, project)["chain"] for project in (last, middle, first)] == [0, last, middle]
    assert read(fleet, last)["motd"] == ""

    fleet.admin.post(f"/project/update/{first}", {"chain": 0}).content()
    fleet.admin.post(f"/project/update/{last}", {"chain": first}).content()


@pytest.mark.parametrize("chain", [99_999, 2**53])
def test_a_chain_leads_to_a_project_that_exists(fleet: Fleet, chain: int) -> None:
    for path in ("/project/create", f"/project/update/{fleet.project()}"):
        answer = fleet.admin.post(path, {"name": name(), "chain": chain})
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.message.startswith("chain")


def test_an_unknown_project_is_not_found_by_every_call_on_projects(fleet: Fleet) -> None:
    for answer in (
        fleet.anybody.get("/project/get/99999"),
        fleet.anybody.get(f"/project/get/{2**53}"),
        fleet.anybody.get("/project/stats/99999"),
        fleet.admin.post("/project/update/99999", {"motd": "x"}),
        fleet.admin.get("/project/access_list/99999"),
        fleet.admin.post("/project/accept_request/99999/1"),
        fleet.admin.post("/project/reject_request/99999/1"),
        fleet.admin.get("/project/secret/99999"),
        fleet.admin.post("/project/secret/99999", {"secret": "x"}),
        fleet.admin.get("/project/webhook_secret/99999"),
        fleet.admin.post("/project/webhook_secret/99999", {"webhook_secret": "x"}),
        fleet.worker().get("/project/secret/99999"),
        fleet.worker().post("/project/request_access", {"project": 99999, "assign": True}),
        fleet.admin.post("/manager/set_role_for_project/99999", {"manager": 1, "role": 1}),
    ):
        assert (answer.status, answer.code) == (404, "not_found")


def test_a_hidden_project_is_read_with_the_read_role_only(fleet: Fleet) -> None:
    owner, other = fleet.manager(), fleet.manager()
    project = fleet.project(owner, hidden=True)

    for path in (f"/project/get/{project}", f"/project/stats/{project}"):
        for who in (fleet.anybody, fleet.worker()):
            assert (who.get(path).status, who.get(path).code) == (401, "not_logged_in")
        for role in (0, 31 - 1):
            owner.post(f"/manager/set_role_for_project/{project}", {"manager": other.id, "role": role}).content()
            assert (other.get(path).status, other.get(path).code) == (403, "denied")
        owner.post(f"/manager/set_role_for_project/{project}", {"manager": other.id, "role": 1}).content()
        for who in (owner, other, fleet.admin):
            assert who.get(path).status == 200


def test_the_list_has_every_project_that_one_may_read_by_name(fleet: Fleet) -> None:
    owner, other, mark = fleet.manager(), fleet.manager(), secrets.token_hex(4)
    names = [f"{letter} {mark}" for letter in ("b", "C", "a", "\u00e4", "0")]
    made = {called: fleet.project(owner, name=called, priority=n) for n, called in enumerate(names)}
    hidden = fleet.project(owner, name=f"aa {mark}", hidden=True)

    def listed(who: Any) -> list[dict[str, Any]]:
        projects: list[dict[str, Any]] = who.get("/project/list").content()["projects"]
        assert [project["name"] for project in projects] == sorted(project["name"] for project in projects)
        return [project for project in projects if project["name"].endswith(mark)]

    for who in (fleet.anybody, fleet.worker(hidden), other):
        assert {project["name"]: project["id"] for project in listed(who)} == made
    for who in (owner, fleet.admin):
        assert {project["name"]: project["id"] for project in listed(who)} == made | {f"aa {mark}": hidden}
        assert next(project for project in listed(who) if project["id"] == hidden) == read(fleet, hidden)


def test_stats_count_the_tasks_of_each_state_and_what_has_happened(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    ids = [worker.submit(project, priority=-n) for n in range(5)]
    worker.submit(project, priority=9, hash64=5, verification_count=2)
    worker.post("/task/submit", {"project": project, "recipe": "x", "hash64": 5})
    worker.release(worker.take(project)["id"])
    for task, result in ((ids[0], 0), (ids[1], 1), (ids[2], 2)):
        worker.take(project)
        worker.release(task, result=result)
    worker.take(project)

    stats = fleet.anybody.get(f"/project/stats/{project}").content()["stats"]

    counters = stats.pop("counters")
    shown = {name: count for name, count in stats.items() if count}
    assert shown == {"waiting": 2, "verifying": 1, "assigned": 1, "failed": 1, "errors": 1}
    expected = {
        "submitted": 6,
        "duplicates": 1,
        "assigned": 5,
        "voted": 1,
        "closed": 1,
        "failed": 1,
        "skipped": 1,
    }
    assert {counter: counters[counter] for counter in expected} == expected
