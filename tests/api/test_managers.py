"""Accounts, sessions and roles."""

import itertools
import math
import secrets
import time
from http.cookies import SimpleCookie
from typing import Any

import pytest

from tests.client import Answer, Caller, Fleet

PASSWORD = "a long password"


def username() -> str:
    return f"m-{secrets.token_hex(5)}"


def cookie_of(answer: Answer) -> str:
    cookie: str = SimpleCookie(answer.headers["set-cookie"])["tt"].value
    return cookie


def as_holder(cookie: str, **headers: str) -> dict[str, Any]:
    return {"headers": {"Cookie": f"tt={cookie}", **headers}}


def logged_in(fleet: Fleet, cookie: str) -> bool:
    content = fleet.anybody.get("/account", **as_holder(cookie)).content()
    assert content["logged_in"] is (content["manager"] is not None)
    return content["logged_in"] is True


def test_registering_logs_in(fleet: Fleet) -> None:
    called = username()
    caller = Caller(fleet.url)
    begun = int(time.time())

    manager = caller.post("/register", {"username": called, "password": PASSWORD}).content()["manager"]

    assert set(manager) == {"id", "username", "tracker_admin", "register_time"}
    assert (manager["username"], manager["tracker_admin"]) == (called, False)
    assert begun - 5 <= manager["register_time"] <= begun + 60
    assert caller.get("/account").content() == {"logged_in": True, "manager": manager}
    caller.close()


def test_the_first_account_is_the_admin(fleet: Fleet) -> None:
    manager = fleet.admin.get("/account").content()["manager"]

    assert (manager["id"], manager["username"], manager["tracker_admin"]) == (1, "admin", True)


def test_an_account_call_of_nobody_says_so(fleet: Fleet) -> None:
    assert fleet.anybody.get("/account").content() == {"logged_in": False, "manager": None}


def test_a_login_answers_the_manager_and_opens_a_session(fleet: Fleet) -> None:
    manager = fleet.manager()
    answer = fleet.anybody.post("/login", {"username": manager.username, "password": manager.password})
    fleet.anybody.http.cookies.clear()

    assert answer.content()["manager"] == manager.get("/account").content()["manager"]
    assert logged_in(fleet, cookie_of(answer))


def test_the_cookie_is_for_this_site_and_out_of_the_reach_of_scripts(fleet: Fleet) -> None:
    body = {"username": username(), "password": PASSWORD}

    for path in ("/register", "/login"):
        header = fleet.anybody.post(path, body).headers["set-cookie"]
        fleet.anybody.http.cookies.clear()
        attributes = [part.strip().lower() for part in header.split(";")[1:]]
        assert {"httponly", "samesite=strict", "path=/"} <= set(attributes)
        assert "secure" not in attributes
        assert not any(attribute.startswith("domain") for attribute in attributes)


def test_the_cookie_is_secure_behind_a_proxy_that_serves_https(fleet: Fleet) -> None:
    body = {"username": username(), "password": PASSWORD}

    answer = fleet.anybody.post("/register", body, headers={"X-Forwarded-Proto": "https"})
    fleet.anybody.http.cookies.clear()

    assert "; secure" in answer.headers["set-cookie"].lower()


def test_every_login_has_a_fresh_cookie_that_the_client_does_not_choose(fleet: Fleet) -> None:
    manager = fleet.manager()
    body = {"username": manager.username, "password": manager.password}
    chosen = "A" * 43

    cookies = [cookie_of(fleet.anybody.post("/login", body, **as_holder(chosen))) for _ in range(3)]
    fleet.anybody.http.cookies.clear()

    assert len({chosen, *cookies}) == 4
    assert min(map(len, cookies)) >= 22
    assert not logged_in(fleet, chosen)
    assert all(logged_in(fleet, cookie) for cookie in cookies)


def test_a_login_ends_the_session_that_it_replaces(fleet: Fleet) -> None:
    manager = fleet.manager()
    before = manager.http.cookies["tt"]

    manager.post("/login", {"username": manager.username, "password": manager.password}).content()

    assert manager.http.cookies["tt"] != before
    assert not logged_in(fleet, before)
    assert logged_in(fleet, manager.http.cookies["tt"])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_logout_ends_the_session_for_good(fleet: Fleet, method: str) -> None:
    manager = fleet.manager()
    cookie = manager.http.cookies["tt"]

    assert manager.send(method, "/logout").content() == {}

    assert "tt" not in manager.http.cookies
    assert manager.get("/account").content()["logged_in"] is False
    for _ in range(8):
        assert not logged_in(fleet, cookie)
    assert fleet.anybody.post("/project/create", {"name": "x"}, **as_holder(cookie)).code == "not_logged_in"


def test_a_logout_ends_this_session_and_no_other(fleet: Fleet) -> None:
    manager = fleet.manager()
    login = fleet.anybody.post("/login", {"username": manager.username, "password": manager.password})
    fleet.anybody.http.cookies.clear()

    manager.post("/logout").content()

    assert logged_in(fleet, cookie_of(login))


def test_a_logout_of_nobody_is_fine(fleet: Fleet) -> None:
    assert fleet.anybody.post("/logout").content() == {}
    fleet.anybody.http.cookies.clear()


@pytest.mark.parametrize("wanted", ["xyz", "x" * 16, "\u00e9\u00e9\u00e9", "\U0001f600" * 3, "\u00e9" * 16, "a b"])
def test_a_name_of_3_to_16_characters_is_taken(fleet: Fleet, wanted: str) -> None:
    answer = fleet.anybody.post("/register", {"username": wanted, "password": PASSWORD})
    fleet.anybody.http.cookies.clear()

    assert answer.content()["manager"]["username"] == wanted
    login = fleet.anybody.post("/login", {"username": wanted, "password": PASSWORD})
    fleet.anybody.http.cookies.clear()
    assert login.content()["manager"] == answer.content()["manager"]


@pytest.mark.parametrize(
    "wrong", [None, "", "ab", "x" * 17, "\u00e9" * 17, "a\x00b", "a\nbc", "a\u202eb", 5, [], "   \t"]
)
def test_a_name_that_cannot_be_right_is_refused(fleet: Fleet, wrong: object) -> None:
    answer = fleet.anybody.post("/register", {"username": wrong, "password": PASSWORD})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("username")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("password", ["x" * 8, "\u00e9" * 4, "\U0001f600" * 2, "x" * 1024, "\u00e9" * 512, "\x00" * 8])
def test_a_password_counts_in_bytes_and_all_of_them_count(fleet: Fleet, password: str) -> None:
    called = username()
    fleet.anybody.post("/register", {"username": called, "password": password}).content()

    assert fleet.anybody.post("/login", {"username": called, "password": f"{password[:-1]}?"}).status == 403
    assert fleet.anybody.post("/login", {"username": called, "password": f"{password}x"}).status == 403
    assert fleet.anybody.post("/login", {"username": called, "password": password}).status == 200
    fleet.anybody.http.cookies.clear()


@pytest.mark.parametrize("wrong", [None, "", "x" * 7, "\u00e9" * 3, "x" * 1025, "\u00e9" * 513, 12345678, []])
def test_a_password_that_cannot_be_right_is_refused(fleet: Fleet, wrong: object) -> None:
    called = username()

    answer = fleet.anybody.post("/register", {"username": called, "password": wrong})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("password")
    fleet.anybody.post("/register", {"username": called, "password": PASSWORD}).content()
    fleet.anybody.http.cookies.clear()


def test_a_name_is_taken_once(fleet: Fleet) -> None:
    manager = fleet.manager()

    answer = fleet.anybody.post("/register", {"username": manager.username, "password": "another password"})

    assert (answer.status, answer.code) == (409, "duplicate")
    assert answer.message.startswith("username")
    assert "set-cookie" not in answer.headers
    login = fleet.anybody.post("/login", {"username": manager.username, "password": "another password"})
    assert login.status == 403


def test_a_wrong_password_and_an_unknown_name_are_told_apart_by_nothing(fleet: Fleet) -> None:
    manager = fleet.manager()

    wrong = fleet.anybody.post("/login", {"username": manager.username, "password": "another password"})
    unknown = fleet.anybody.post("/login", {"username": username(), "password": PASSWORD})
    empty = fleet.anybody.post("/login", {"username": "", "password": ""})
    endless = fleet.anybody.post("/login", {"username": "x" * 100_000, "password": "x" * 100_000})

    for answer in (wrong, unknown, empty, endless):
        assert (answer.status, answer.code, answer.body) == (403, "bad_credentials", wrong.body)
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "username"),
        ({"username": "x"}, "password"),
        ({"username": None, "password": PASSWORD}, "username"),
        ({"username": 5, "password": PASSWORD}, "username"),
        ({"username": "abc", "password": 5}, "password"),
        ({"username": "abc", "password": {}}, "password"),
    ],
)
def test_a_login_that_cannot_be_right_names_the_field(fleet: Fleet, body: object, field: str) -> None:
    answer = fleet.anybody.post("/login", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)


def test_from_the_tenth_wrong_password_in_a_minute_a_name_has_to_wait(fleet: Fleet) -> None:
    guessed, spared = fleet.manager(), fleet.manager()
    wrong = {"username": guessed.username, "password": "another password"}

    for _ in range(9):
        assert fleet.anybody.post("/login", wrong).status == 403

    for password in ("another password", "another password", guessed.password):
        answer = fleet.anybody.post("/login", {"username": guessed.username, "password": password})
        assert (answer.status, answer.code) == (429, "rate_limited")
        assert 0 < answer.body["rate_limit_delay"] <= 60
        assert answer.headers["retry-after"] == str(math.ceil(answer.body["rate_limit_delay"]))
        assert "set-cookie" not in answer.headers
    assert guessed.get("/account").content()["logged_in"] is True
    spared.post("/login", {"username": spared.username, "password": spared.password}).content()


def test_nine_wrong_passwords_do_not_lock_a_manager_out(fleet: Fleet) -> None:
    manager = fleet.manager()
    for _ in range(9):
        fleet.anybody.post("/login", {"username": manager.username, "password": "another password"})

    manager.post("/login", {"username": manager.username, "password": manager.password}).content()


def test_guesses_at_a_name_that_nobody_has_are_slowed_down_as_well(fleet: Fleet) -> None:
    body = {"username": username(), "password": PASSWORD}

    statuses = [fleet.anybody.post("/login", body).status for _ in range(11)]

    assert statuses == [403] * 9 + [429] * 2


def test_a_role_of_0_takes_all_away(fleet: Fleet) -> None:
    owner, other = fleet.manager(), fleet.manager()
    project = fleet.project(owner, hidden=True)

    for role, status in ((1, 200), (0, 403), (31, 200), (0, 403)):
        body = {"manager": other.id, "role": role}
        assert owner.post(f"/manager/set_role_for_project/{project}", body).content() == {}
        assert other.get(f"/project/get/{project}").status == status


def test_a_manager_adds_and_removes_only_roles_that_he_holds_himself(fleet: Fleet) -> None:
    owner, asking, about = fleet.manager(), fleet.manager(), fleet.manager()
    project = fleet.project(owner)
    path = f"/manager/set_role_for_project/{project}"
    may = 4 | 1
    owner.post(path, {"manager": asking.id, "role": may}).content()

    for before, wanted in itertools.product((0, 1, 8, 8 | 1, 31), (0, 1, 2, 4 | 8, 5 | 8, 31)):
        owner.post(path, {"manager": about.id, "role": before}).content()
        answer = asking.post(path, {"manager": about.id, "role": wanted})
        allowed = (before ^ wanted) & ~may == 0
        assert (before, wanted, answer.status) == (before, wanted, 200 if allowed else 403)
        assert allowed or answer.code == "denied"
        reads_secret = (wanted if allowed else before) & 8
        assert about.get(f"/project/secret/{project}").status == (200 if reads_secret else 403)


def test_roles_are_given_with_the_manage_access_role_only(fleet: Fleet) -> None:
    owner, other = fleet.manager(), fleet.manager()
    project = fleet.project(owner)
    path = f"/manager/set_role_for_project/{project}"
    owner.post(path, {"manager": other.id, "role": 31 - 4}).content()

    for role in (31, 1, 0):
        answer = other.post(path, {"manager": other.id, "role": role})
        assert (answer.status, answer.code) == (403, "denied")
    assert fleet.anybody.post(path, {"manager": other.id, "role": 31}).code == "not_logged_in"
    assert fleet.worker(project).post(path, {"manager": other.id, "role": 31}).status == 401

    assert fleet.admin.post(path, {"manager": other.id, "role": 31}).content() == {}
    assert other.post(path, {"manager": owner.id, "role": 0}).content() == {}
    assert owner.get(f"/project/secret/{project}").status == 403


def test_a_role_for_nobody_is_not_found(fleet: Fleet) -> None:
    project = fleet.project()

    answer = fleet.admin.post(f"/manager/set_role_for_project/{project}", {"manager": 2**53, "role": 1})

    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "manager"),
        ({"manager": 1}, "role"),
        ({"role": 1}, "manager"),
        ({"manager": 0, "role": 1}, "manager"),
        ({"manager": 2**63, "role": 1}, "manager"),
        ({"manager": "1", "role": 1}, "manager"),
        ({"manager": 1, "role": -1}, "role"),
        ({"manager": 1, "role": 32}, "role"),
        ({"manager": 1, "role": "1"}, "role"),
        ({"manager": 1, "role": 1.0}, "role"),
        ({"manager": 1, "role": True}, "role"),
    ],
)
def test_a_role_that_cannot_be_right_names_the_field(fleet: Fleet, body: object, field: str) -> None:
    answer = fleet.admin.post(f"/manager/set_role_for_project/{fleet.project()}", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)


def test_an_admin_may_do_all_on_a_project_of_somebody_else(fleet: Fleet) -> None:
    project = fleet.project(fleet.manager(), hidden=True)

    assert fleet.admin.get(f"/project/get/{project}").status == 200
    assert fleet.admin.post(f"/project/update/{project}", {"motd": "x"}).status == 200
    assert fleet.admin.get(f"/project/secret/{project}").status == 200
    assert fleet.admin.get(f"/project/webhook_secret/{project}").status == 200
    assert fleet.admin.get(f"/project/access_list/{project}").status == 200
