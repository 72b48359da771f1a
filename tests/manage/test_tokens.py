"""Tokens of managers: what programs send as ``Authorization: Bearer``. What a token may do: test_who_may.py."""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker.api import routes
from broker.errors import BrokerError
from broker.settings import Settings
from broker.store import Store
from tests.client import Answer, Caller, Fleet, ManagerCaller
from tests.stores import keys_like, looking_into

PASSWORD = "a long password"
NOON = 1_700_000_000_000


@pytest.fixture
def program(fleet: Fleet) -> Iterator[Callable[[str], Caller]]:
    """A program that sends this token."""
    made: list[Caller] = []

    def create(token: str) -> Caller:
        made.append(Caller(fleet.url, {"Authorization": f"Bearer {token}"}))
        return made[-1]

    yield create
    for caller in made:
        caller.close()


def new_token(manager: Caller, **fields: Any) -> dict[str, Any]:
    return manager.post("/account/tokens", {"name": "a program", **fields}).content()


def name_of(caller: Caller) -> str | None:
    manager: dict[str, Any] | None = caller.get("/account").content()["manager"]
    return str(manager["username"]) if manager else None


def test_a_program_does_with_a_token_what_its_manager_may(fleet: Fleet, program: Callable[[str], Caller]) -> None:
    manager = fleet.manager()
    created = new_token(manager, name="nightly", expires_in=3600)

    caller = program(created["token"])
    assert name_of(caller) == manager.username
    project = caller.post("/project/create", {"name": f"project {secrets.token_hex(6)}"}).content()["id"]
    assert caller.post(f"/project/update/{project}", {"motd": "by a program"}).status == 200

    (listed,) = manager.get("/account/tokens").content()["tokens"]
    assert set(listed) == {"id", "name", "expires", "last_used"}
    assert (listed["id"], listed["name"]) == (created["token_id"], "nightly")
    assert 3500 < listed["expires"] - listed["last_used"] <= 3600


def test_a_token_counts_and_the_cookie_beside_it_does_not(fleet: Fleet, program: Callable[[str], Caller]) -> None:
    manager, other = fleet.manager(), fleet.manager()
    caller = program(new_token(manager)["token"])

    caller.http.cookies.update(other.http.cookies)
    assert name_of(caller) == manager.username
    assert caller.post("/logout").status == 200
    assert name_of(other) == other.username

    other.http.headers["Authorization"] = "Bearer tbm_wrong"
    answer = other.get("/account")
    assert (answer.status, answer.code) == (401, "not_logged_in")
    assert answer.message.startswith("authorization: ")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_is_spelled_in_any_way(fleet: Fleet, scheme: str) -> None:
    manager = fleet.manager()
    token = new_token(manager)["token"]

    answer = fleet.anybody.get("/account", headers={"Authorization": f"{scheme} {token}"})
    assert answer.content()["manager"]["username"] == manager.username


@pytest.mark.parametrize("header", ["Basic YWRhOnBhc3N3b3Jk", "", "Negotiate abc", "Bearertoken"])
def test_what_a_proxy_in_front_of_the_broker_wants_is_not_ours(fleet: Fleet, header: str) -> None:
    manager = fleet.manager()

    assert manager.get("/account", headers={"Authorization": header}).content()["logged_in"]


def test_other_sites_are_refused_for_cookies_and_not_for_tokens(fleet: Fleet, program: Callable[[str], Caller]) -> None:
    manager = fleet.manager()
    caller = program(new_token(manager)["token"])
    caller.http.cookies.update(manager.http.cookies)
    elsewhere = {"Origin": "https://tools.example", "Sec-Fetch-Site": "cross-site"}

    def create(by: Caller) -> Answer:
        return by.post("/project/create", {"name": f"project {secrets.token_hex(6)}"}, headers=elsewhere)

    assert create(caller).status == 200
    assert create(manager).code == "cross_site"


def test_every_call_takes_a_wrong_token_as_its_document_says(fleet: Fleet, program: Callable[[str], Caller]) -> None:
    project = fleet.project()
    caller = program("tbm_wrong")
    for route in routes():
        for method in (route.methods or set()) - {"HEAD"}:
            # The caller holds the answer against the document.
            answer = caller.send(method, re.sub("{[^}]*}", str(project), route.path))
            assert answer.status in {200, 400, 401, 403, 404}, route.path


def test_a_worker_s_call_does_not_mind_a_token(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.http.headers["Authorization"] = "Bearer tbm_of-a-proxy"

    worker.submit(project)
    assert worker.release(worker.take(project)["id"])
    assert worker.get(f"/project/secret/{project}").status == 200
    assert fleet.anybody.get("/healthz", headers={"Authorization": "Bearer x"}).status == 200


def test_a_revoked_token_ends_at_once_and_only_its_manager_revokes_it(
    fleet: Fleet, program: Callable[[str], Caller]
) -> None:
    manager, other = fleet.manager(), fleet.manager()
    first, second = new_token(manager), new_token(manager)
    caller = program(first["token"])
    assert name_of(caller)

    for who in (other, fleet.admin):
        answer = who.post("/account/revoke_token", {"token_id": 10**9})
        assert (answer.status, answer.code) == (404, "not_found")
    assert other.post("/account/revoke_token", {"token_id": first["token_id"]}).code == "not_found"
    assert name_of(caller)

    manager.post("/account/revoke_token", {"token_id": first["token_id"]}).content()
    assert caller.get("/account").status == 401
    assert [one["id"] for one in manager.get("/account/tokens").content()["tokens"]] == [second["token_id"]]
    assert manager.post("/account/revoke_token", {"token_id": first["token_id"]}).code == "not_found"
    # Ids are not used again.
    assert new_token(manager)["token_id"] == second["token_id"] + 1


def test_a_password_change_ends_all_tokens(fleet: Fleet, program: Callable[[str], Caller]) -> None:
    manager = fleet.manager()
    caller, other = program(new_token(manager)["token"]), program(new_token(fleet.manager())["token"])
    assert caller.get("/manager/list").status == 200

    manager.post("/account/password", {"old": PASSWORD, "new": "another password"}).content()

    assert caller.get("/manager/list").status == 401
    assert other.get("/manager/list").status == 200
    manager.post("/login", {"username": manager.username, "password": "another password"}).content()
    assert manager.get("/account/tokens").content() == {"tokens": []}


def test_what_a_manager_may_changes_at_once_for_open_tokens(fleet: Fleet, program: Callable[[str], Caller]) -> None:
    manager, worker = fleet.manager(), fleet.worker()
    caller = program(new_token(manager)["token"])
    pause = {"worker": worker.id, "paused": True}
    assert caller.post("/worker/set_paused", pause).status == 403

    fleet.admin.post(f"/manager/promote/{manager.id}")
    assert caller.post("/worker/set_paused", pause).status == 200
    fleet.admin.post(f"/manager/demote/{manager.id}")
    assert caller.post("/worker/set_paused", pause).status == 403


def test_a_manager_has_a_hundred_tokens_at_most(fleet: Fleet) -> None:
    manager = fleet.manager()
    first = new_token(manager)
    for _ in range(99):
        new_token(manager)

    answer = manager.post("/account/tokens", {"name": "one more"})
    assert (answer.status, answer.code) == (403, "limit_reached")
    assert len(manager.get("/account/tokens").content()["tokens"]) == 100

    manager.post("/account/revoke_token", {"token_id": first["token_id"]}).content()
    new_token(manager)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "expires_in": -1}, "expires_in"),
        ({"name": "x", "expires_in": 1.5}, "expires_in"),
        ({"name": "x", "expires_in": "60"}, "expires_in"),
        ({"name": "x", "expires_in": 315_360_001}, "expires_in"),
        ({"name": "x", "expires_in": 2**70}, "expires_in"),
    ],
)
def test_an_invalid_token_is_refused(fleet: Fleet, body: dict[str, object], field: str) -> None:
    manager = fleet.manager()

    answer = manager.post("/account/tokens", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(f"{field}: ")
    assert manager.get("/account/tokens").content() == {"tokens": []}


@pytest.mark.parametrize("token", [None, 0, -1, "1", 1.5, [], 2**64])
def test_an_invalid_id_is_refused(fleet: Fleet, token: object) -> None:
    answer = fleet.manager().post("/account/revoke_token", {"token_id": token})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("token_id: ")


@pytest.mark.parametrize("fields", [{}, {"expires_in": None}, {"expires_in": 0}])
def test_a_token_lasts_90_days_by_default_and_shows_no_use_before_the_first(
    fleet: Fleet, fields: dict[str, object]
) -> None:
    manager: ManagerCaller = fleet.manager()
    token = new_token(manager, **fields)["token"]

    (listed,) = manager.get("/account/tokens").content()["tokens"]
    assert listed["last_used"] is None
    (session,) = manager.get("/account/sessions").content()["sessions"]
    assert abs(listed["expires"] - session["created"] - 90 * 86_400) < 60
    assert token not in json.dumps(listed)


async def account(store: Store) -> tuple[int, str]:
    manager = await store.managers.register("ada", PASSWORD, open_to_all=True)
    return manager.id, await store.managers.open_session(manager, None)


async def test_a_token_expires_by_the_store_s_clock_and_makes_room(store: Store) -> None:
    store.set_clock(NOON)
    manager, cookie = await account(store)
    tokens = store.manager_tokens
    first, _ = await tokens.create(manager, cookie, "short", 60)
    for _ in range(99):
        await tokens.create(manager, cookie, "long", 3600)

    store.set_clock(NOON + 59_999)
    assert await tokens.manager_of(first) is not None
    with pytest.raises(BrokerError, match="revoke one"):
        await tokens.create(manager, cookie, "one more", 60)
    store.set_clock(NOON + 60_000)
    assert await tokens.manager_of(first) is None
    assert len(await tokens.of_manager(manager)) == 99
    await tokens.create(manager, cookie, "one more", 60)
    assert len(await tokens.of_manager(manager)) == 100


async def test_the_last_use_is_written_once_a_minute(store: Store, settings: Settings, redis_url: str) -> None:
    store.set_clock(NOON)
    manager, cookie = await account(store)
    token, _ = await store.manager_tokens.create(manager, cookie, "a program", 86_400)
    with looking_into(redis_url) as redis:
        seen = []
        for seconds in (5, 6, 64, 65, 100, 125, 10):
            store.set_clock(NOON + seconds * 1000)
            assert await store.manager_tokens.manager_of(token) is not None
            (listed,) = await store.manager_tokens.of_manager(manager)
            seen.append((listed.last_used or 0) - NOON // 1000)
        # The last one: the clock was set back.
        assert seen == [5, 5, 5, 65, 65, 125, 10]
        # Only a digest is stored.
        for key in keys_like(redis, f"{settings.prefix}:*"):
            kind = redis.type(key)
            text = str(redis.hgetall(key) if kind in {b"hash", "hash"} else key)
            assert token not in text
            assert token not in str(key)


async def test_a_session_that_ended_meanwhile_creates_no_token(store: Store) -> None:
    manager, cookie = await account(store)
    await store.managers.close_session(cookie)

    with pytest.raises(BrokerError) as refused:
        await store.manager_tokens.create(manager, cookie, "late", 60)
    assert refused.value.code == "not_logged_in"
    assert await store.manager_tokens.of_manager(manager) == []
