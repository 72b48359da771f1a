"""Every call of the API, sent by everybody who may try it."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from broker.api import routes
from tests.client import Caller, Fleet, ManagerCaller
from tests.manage.call_setup import BODIES, CallSetup, path_of
from tests.serving import Serving

# A stranger has an account and no role; those named after a role hold only this one on the project; the worker was
# granted both accesses there. Without (hidden) a project is private, and everybody may see it. With POST*
# the body may be over 64 KiB.
TABLE = """
                                                 nobody worker stranger READ EDIT ACCESS SECRET MAINT admin
POST* /task/submit                                401    200    401    401  401    401    401   401   401
GET   /task/get/{project}                         403    200    403    403  403    403    403   403   403
GET   /task/get                                   403    200    403    403  403    403    403   403   403
POST* /task/release                               403    200    403    403  403    403    403   403   403
POST* /task/bulk_submit                           401    200    401    401  401    401    401   401   401
POST* /task/bulk_release                          401    200    401    401  401    401    401   401   401
POST* /task/extend                                401    200    401    401  401    401    401   401   401
POST  /task/give_back                             401    200    401    401  401    401    401   401   401
POST* /task/turn                                  401    200    401    401  401    401    401   401   401
POST  /task/cancel                                401    200    401    401  401    401    401   401   401
GET   /task/assigned/{project}                    401    200    401    401  401    401    401   401   401

POST  /logs                                       401    401    200    200  200    200    200   200   200
POST* /log/{level}                                401    200    401    401  401    401    401   401   401

POST* /worker/create                              200    200    200    200  200    200    200   200   200
POST* /worker/update                              401    200    401    401  401    401    401   401   401
GET   /worker/get/{id}                            200    200    200    200  200    200    200   200   200
POST  /worker/rotate_secret                       401    200    401    401  401    401    401   401   401
POST  /worker/set_paused                          401    401    403    403  403    403    403   403   200
POST  /worker/delete                              401    401    403    403  403    403    403   403   200
GET   /worker/stats                               200    200    200    200  200    200    200   200   200
GET   /worker/stats (project)                     200    200    200    200  200    200    200   200   200
GET   /worker/stats (project,hidden)              401    401    403    200  403    403    403   403   200

POST* /project/create                             401    401    200    200  200    200    200   200   200
POST* /project/create (public)                    401    401    403    403  403    403    403   403   200
POST* /project/create (chain)                     401    401    403    403  200    403    403   403   200
POST* /project/update/{id}                        401    401    403    403  200    403    403   403   200
POST* /project/update/{id} (public)               401    401    403    403  403    403    403   403   200
GET   /project/get/{id}                           200    200    200    200  200    200    200   200   200
GET   /project/get/{id} (hidden)                  401    401    403    200  403    403    403   403   200
GET   /project/list                               200    200    200    200  200    200    200   200   200
GET   /project/stats/{id}                         200    200    200    200  200    200    200   200   200
GET   /project/stats/{id} (hidden)                401    200    403    200  403    403    403   403   200
GET   /project/why/{id}                           401    200    403    403  403    200    403   403   200
POST  /project/request_access                     401    200    401    401  401    401    401   401   401
GET   /project/access_list/{id}                   401    401    403    403  403    200    403   403   200
POST  /project/accept_request/{id}/{worker}       401    401    403    403  403    200    403   403   200
POST  /project/reject_request/{id}/{worker}       401    401    403    403  403    200    403   403   200
POST  /project/accept_requests/{id}               401    401    403    403  403    200    403   403   200
GET   /project/join_tokens/{id}                   401    401    403    403  403    200    403   403   200
POST  /project/join_tokens/{id}                   401    401    403    403  403    200    403   403   200
POST  /project/revoke_join_token/{id}             401    401    403    403  403    200    403   403   200
POST  /project/join                               401    200    401    401  401    401    401   401   401
GET   /project/secret/{id}                        401    200    403    403  403    403    200   403   200
POST* /project/secret/{id}                        401    401    403    403  403    403    200   403   200
GET   /project/webhook_secret/{id}                401    401    403    403  403    403    200   403   200
POST  /project/webhook_secret/{id}                401    401    403    403  403    403    200   403   200
GET   /project/notify_secret/{id}                 401    401    403    403  403    403    200   403   200
POST  /project/notify_secret/{id}                 401    401    403    403  403    403    200   403   200

POST  /register                                   200    200    200    200  200    200    200   200   200
POST  /login                                      200    200    200    200  200    200    200   200   200
GET   /logout                                     200    200    200    200  200    200    200   200   200
POST  /logout                                     200    200    200    200  200    200    200   200   200
GET   /account                                    200    200    200    200  200    200    200   200   200
POST  /account/password                           401    401    200    200  200    200    200   200   200
GET   /account/sessions                           401    401    200    200  200    200    200   200   200
POST  /account/close_sessions                     401    401    200    200  200    200    200   200   200
POST  /account/tokens                             401    401    200    200  200    200    200   200   200
GET   /account/tokens                             401    401    200    200  200    200    200   200   200
POST  /account/revoke_token                       401    401    200    200  200    200    200   200   200
GET   /manager/list                               401    401    200    200  200    200    200   200   200
GET   /manager/list_for_project/{id}              401    401    200    200  200    200    200   200   200
GET   /manager/promote/{id}                       401    401    403    403  403    403    403   403   204
POST  /manager/promote/{id}                       401    401    403    403  403    403    403   403   204
GET   /manager/demote/{id}                        401    401    403    403  403    403    403   403   204
POST  /manager/demote/{id}                        401    401    403    403  403    403    403   403   204
POST  /manager/set_role_for_project/{id}          401    401    403    403  403    200    403   403   200

POST  /project/reset_failed_tasks/{id}            401    401    403    403  403    403    403   200   200
POST  /project/hard_reset/{id}                    401    401    403    403  403    403    403   200   200
POST  /project/reclaim_assigned_tasks/{id}        401    401    403    403  403    403    403   200   200
POST  /project/retry_tasks/{id}                   401    401    403    403  403    403    403   200   200
POST  /project/remove_tasks/{id}                  401    401    403    403  403    403    403   200   200
POST  /project/reclaim_worker/{id}/{worker}       401    401    403    403  403    403    403   200   200
POST  /project/forget/{id}                        401    200    403    403  403    403    403   200   200
POST  /project/delete/{id}                        401    401    403    403  403    403    403   403   200
GET   /project/tasks/{id}                         401    401    403    200  403    403    403   403   200
GET   /project/failures/{id}                      401    401    403    200  403    403    403   403   200
GET   /project/task/{id}/{task}                   401    401    403    200  403    403    403   403   200
GET   /project/group/{id}                         401    200    403    200  403    403    403   403   200
POST  /project/group/{id}                         401    401    403    403  200    403    403   403   200
GET   /project/groups/{id}                        401    401    403    200  403    403    403   403   200
POST  /project/remove_group/{id}                  401    401    403    403  403    403    403   200   200
POST  /project/retry_task/{id}/{task}             401    401    403    403  403    403    403   200   200
POST  /project/remove_task/{id}/{task}            401    401    403    403  403    403    403   200   200

GET   /project/monitoring/{id}                    200    200    200    200  200    200    200   200   200
GET   /project/monitoring/{id} (hidden)           401    401    403    200  403    403    403   403   200
GET   /project/monitoring-between/{id}            200    200    200    200  200    200    200   200   200
GET   /project/monitoring-between/{id} (hidden)   401    401    403    200  403    403    403   403   200
GET   /project/assignees/{id}                     200    200    200    200  200    200    200   200   200
GET   /project/assignees/{id} (hidden)            401    401    403    200  403    403    403   403   200

POST* /git/receivehook                            403    403    403    403  403    403    403   403   403
POST* /git/receivehook (signed)                   200    200    200    200  200    200    200   200   200

GET   /                                           200    200    200    200  200    200    200   200   200
HEAD  /                                           200    200    200    200  200    200    200   200   200
GET   /openapi.json                               200    200    200    200  200    200    200   200   200
GET   /healthz                                    200    200    200    200  200    200    200   200   200
HEAD  /healthz                                    200    200    200    200  200    200    200   200   200
GET   /readyz                                     200    200    200    200  200    200    200   200   200
HEAD  /readyz                                     200    200    200    200  200    200    200   200   200
GET   /metrics                                    200    200    200    200  200    200    200   200   200
"""

WHO, LINES = TABLE.split("\n")[1].split(), [line for line in TABLE.split("\n")[2:] if line]
BITS = {"READ": 1, "EDIT": 2, "ACCESS": 4, "SECRET": 8, "MAINT": 16}
ENDS_THE_SESSION = {"/register", "/login", "/logout", "/account/password"}
BY_SESSION_ONLY = {
    *("/account/tokens", "/account/revoke_token", "/account/password"),
    *("/manager/promote/{id}", "/manager/demote/{id}"),
}
"""What a token may not do."""


class Row(NamedTuple):
    method: str
    large: bool
    path: str
    variant: str
    statuses: dict[str, int]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.variant}".strip()


def row(line: str) -> Row:
    match = re.fullmatch(r"(\w+)(\*?) +(\S+)(?: \((\S+)\))?((?: +\d{3})+)", line)
    assert match, line
    statuses = [int(status) for status in match[5].split()]
    return Row(match[1], bool(match[2]), match[3], match[4] or "", dict(zip(WHO, statuses, strict=True)))


ROWS = [row(line) for line in LINES]
LARGE = {row.path for row in ROWS if row.large}
EXAMPLES = {route.path: route.operation.example.body for route in routes() if "POST" in (route.methods or ())}
"""Bodies of calls that need no setup."""


@pytest.fixture(scope="module")
def people(serving: Serving, admin: Caller) -> Iterator[Fleet]:
    """A fleet for the whole table."""
    fleet = Fleet(serving.url, admin)
    yield fleet
    fleet.close()


@pytest.fixture(scope="module")
def managers(people: Fleet) -> dict[str, ManagerCaller]:
    return {who: manager_like(people, who) for who in WHO[2:]}


def manager_like(fleet: Fleet, who: str) -> ManagerCaller:
    manager = fleet.manager()
    if who == "admin":
        assert fleet.admin.post(f"/manager/promote/{manager.id}").status == 204
    return manager


@pytest.fixture(scope="module")
def tokens(people: Fleet, managers: dict[str, ManagerCaller]) -> Iterator[dict[str, Caller]]:
    """For each manager a program with their token. It also sends an invalid cookie, as a call from another site."""
    programs = {}
    for who, manager in managers.items():
        token = manager.post("/account/tokens", {"name": who}).content()["token"]
        headers = {"Authorization": f"Bearer {token}", "Cookie": "tt=nobody", "Sec-Fetch-Site": "cross-site"}
        programs[who] = Caller(people.url, headers)
    yield programs
    for program in programs.values():
        program.close()


def asked(
    row: Row, who: str, scene: CallSetup, managers: dict[str, ManagerCaller], tokens: dict[str, Caller] | None = None
) -> int:
    people = scene.fleet
    caller: Caller = people.anybody
    if who == "worker":
        caller = scene.worker
    elif who != "nobody":
        ends = row.path in ENDS_THE_SESSION and tokens is None
        caller = manager = manager_like(people, who) if ends else managers[who]
        scene.manager = None if tokens else manager
        if who in BITS:
            role = {"manager": manager.id, "role": BITS[who]}
            people.admin.post(f"/manager/set_role_for_project/{scene.project}", role).content()
        caller = tokens[who] if tokens else manager
    if row.path.startswith("/task/get"):
        assert scene.waiting

    options: dict[str, Any] = {"headers": scene.signature()} if row.variant == "signed" else {}
    if row.method == "POST":
        body = BODIES[row.path](scene) if row.path in BODIES else EXAMPLES[row.path]
        options["content"] = body if isinstance(body, str) else json.dumps(body)
    answer = caller.send(row.method, path_of(row.path, scene), **options)
    if who == "nobody":
        caller.http.cookies.clear()

    if answer.body and row.path not in {"/metrics", "/openapi.json"}:
        assert answer.body["ok"] is (answer.status == 200), answer
    return answer.status


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_call_answers_everybody_as_the_table_says(
    people: Fleet, managers: dict[str, ManagerCaller], row: Row
) -> None:
    statuses: dict[str, int] = {}
    scene = CallSetup(people, row.variant)
    for who in WHO:
        statuses[who] = asked(row, who, scene, managers)
        if statuses[who] < 300:
            # The call cannot be repeated on the same objects.
            scene = CallSetup(people, row.variant)

    assert statuses == row.statuses


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_token_may_what_its_manager_may(
    people: Fleet, managers: dict[str, ManagerCaller], tokens: dict[str, Caller], row: Row
) -> None:
    statuses: dict[str, int] = {}
    scene = CallSetup(people, row.variant)
    for who in tokens:
        statuses[who] = asked(row, who, scene, managers, tokens)
        if statuses[who] < 300:
            scene = CallSetup(people, row.variant)

    expected = {who: 403 if row.path in BY_SESSION_ONLY else row.statuses[who] for who in tokens}
    assert statuses == expected


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_bad_token_is_nobody_s_whatever_the_cookie(
    people: Fleet, managers: dict[str, ManagerCaller], row: Row
) -> None:
    scene = CallSetup(people, row.variant)
    admin, takes_managers = managers["admin"], row.statuses["nobody"] == 401 and row.statuses["admin"] < 300
    if not takes_managers:
        return
    for token in ("", "x", "tbm_" + "A" * 43, "\u00ff" * 3000):
        headers = [(b"Authorization", b"bearer " + token.encode("latin-1") if token else b"bearer")]
        answer = admin.send(row.method, path_of(row.path, scene), headers=headers)
        assert (answer.status, answer.code) == (401, "not_logged_in")


def test_the_table_has_every_call_and_no_other() -> None:
    served = {f"{method} {route.path}" for route in routes() for method in route.methods or ()}

    assert {f"{row.method} {row.path}" for row in ROWS} == served
    assert len({str(row) for row in ROWS}) == len(ROWS)
