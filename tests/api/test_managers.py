"""Accounts, sessions and roles."""

import itertools
import math
import secrets
import time
from http.cookies import SimpleCookie
from typing import Any

import pytest

from broker.store import Store
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


HTTPS = {"X-Forwarded-Proto": "https"}


def cookies_set(answer: Answer) -> dict[str, str]:
    return {line.partition("=")[0]: line.partition("=")[2] for line in answer.headers.get_list("set-cookie")}


def test_over_https_the_cookie_is_one_that_no_other_host_can_set(fleet: Fleet) -> None:
    manager = fleet.manager()
    login = {"username": manager.username, "password": manager.password}

    first = cookies_set(fleet.anybody.post("/login", login, headers=HTTPS))
    fleet.anybody.http.cookies.clear()

    assert list(first) == ["__Host-tt"]
    value, *attributes = first["__Host-tt"].split("; ")
    assert set(attributes) == {"Max-Age=604800", "Path=/", "HttpOnly", "SameSite=Strict", "Secure"}
    for scheme in ("https", "http"):
        # What a subdomain may set counts only when there is no other.
        headers = {"X-Forwarded-Proto": scheme, "Cookie": f"tt={'A' * 43}; __Host-tt={value}"}
        account = fleet.anybody.get("/account", headers=headers).content()
        assert account["manager"]["id"] == manager.id
        assert fleet.anybody.http.get("/ui/account", headers=headers).status_code == 200


def test_over_https_the_plain_cookie_is_taken_too_and_a_login_or_logout_ends_it(fleet: Fleet) -> None:
    manager = fleet.manager()
    plain = manager.http.cookies["tt"]
    manager.http.cookies.clear()
    login = {"username": manager.username, "password": manager.password}
    assert fleet.anybody.get("/account", **as_holder(plain, **HTTPS)).content()["logged_in"] is True

    answer = cookies_set(fleet.anybody.post("/login", login, **as_holder(plain, **HTTPS)))

    assert set(answer) == {"__Host-tt", "tt"}
    assert answer["tt"].startswith("; Max-Age=0;")
    assert not logged_in(fleet, plain)
    new = answer["__Host-tt"].partition(";")[0]
    other = cookie_of(fleet.anybody.post("/login", login))
    fleet.anybody.http.cookies.clear()
    out = fleet.anybody.get("/logout", headers={"Cookie": f"tt={other}; __Host-tt={new}", **HTTPS})
    fleet.anybody.http.cookies.clear()
    assert {name: value[:13] for name, value in cookies_set(out).items()} == dict.fromkeys(
        ("__Host-tt", "tt"), "; Max-Age=0; "
    )
    assert not logged_in(fleet, new)
    assert not logged_in(fleet, other)


@pytest.mark.parametrize("name", ["ada.b-C_9", "...", "a" * 16])
def test_a_name_has_letters_and_digits_of_ascii(fleet: Fleet, name: str) -> None:
    answer = fleet.anybody.post("/register", {"username": name, "password": PASSWORD})
    fleet.anybody.http.cookies.clear()

    assert answer.status == 200


@pytest.mark.parametrize(
    "name", ["\u0430da", "ada b", "ad\u00e9", "ada\n", "ada\u200b", "ad", "a" * 17, "<b>", "ada/1"]
)
def test_a_name_that_could_pass_for_another_is_refused(fleet: Fleet, name: str) -> None:
    answer = fleet.anybody.post("/register", {"username": name, "password": PASSWORD})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message == "username: 3 to 16 ASCII letters, digits, or any of _ . -"


async def test_an_account_that_has_another_name_already_still_logs_in(store: Store) -> None:
    name = "Zo\u00eb M."
    made = await store.managers.register(name, PASSWORD, open_to_all=True)

    assert await store.managers.check_password(name, PASSWORD, "192.0.2.1") == made


def test_no_answer_of_the_api_may_be_cached_or_sniffed(fleet: Fleet) -> None:
    manager = fleet.manager()
    calls = [
        ("GET", "/account"),
        ("POST", "/worker/create"),
        ("GET", "/nowhere"),
        ("POST", "/account"),
        ("GET", "/metrics"),
    ]

    answers = [manager.send(method, path) for method, path in calls]
    answers.append(fleet.admin.post(f"/manager/promote/{manager.id}"))

    assert [answer.status for answer in answers] == [200, 200, 404, 405, 200, 204]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    document = manager.get("/openapi.json")
    assert document.headers["x-content-type-options"] == "nosniff"
    assert document.headers["cache-control"] == "no-cache"


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


@pytest.mark.parametrize(
    "wrong", [None, "", "ab", "x" * 17, "\u00e9" * 17, "a\x00b", "a\nbc", "a\u202eb", 5, [], "   \t"]
)
def test_an_invalid_name_is_refused(fleet: Fleet, wrong: object) -> None:
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
def test_an_invalid_password_is_refused(fleet: Fleet, wrong: object) -> None:
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


def test_a_wrong_password_and_an_unknown_name_cannot_be_told_apart(fleet: Fleet) -> None:
    manager = fleet.manager()

    wrong = fleet.anybody.post("/login", {"username": manager.username, "password": "another password"})
    unknown = fleet.anybody.post("/login", {"username": username(), "password": PASSWORD})
    empty = fleet.anybody.post("/login", {"username": "", "password": ""})
    endless = fleet.anybody.post("/login", {"username": "x" * 30_000, "password": "x" * 30_000})

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
def test_an_invalid_login_names_the_field(fleet: Fleet, body: object, field: str) -> None:
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


def test_a_manager_adds_and_removes_only_roles_that_they_have(fleet: Fleet) -> None:
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
def test_an_invalid_role_names_the_field(fleet: Fleet, body: object, field: str) -> None:
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
