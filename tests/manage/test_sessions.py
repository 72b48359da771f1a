"""A manager's sessions: listed, and ended from elsewhere."""

from collections.abc import Callable, Iterator

import pytest

from broker.store import Store
from tests.client import Caller, Fleet, ManagerCaller

PASSWORD = "a long password"


@pytest.fixture
def again(fleet: Fleet) -> Iterator[Callable[[ManagerCaller], Caller]]:
    """Signs a manager in once more, somewhere else."""
    opened: list[Caller] = []

    def sign_in(manager: ManagerCaller) -> Caller:
        opened.append(Caller(fleet.url))
        opened[-1].post("/login", {"username": manager.username, "password": PASSWORD}).content()
        return opened[-1]

    yield sign_in
    for caller in opened:
        caller.close()


def is_in(caller: Caller) -> bool:
    logged_in: bool = caller.get("/account").content()["logged_in"]
    return logged_in


def test_sessions_are_listed_and_one_is_ended(fleet: Fleet, again: Callable[[ManagerCaller], Caller]) -> None:
    manager = fleet.manager()
    elsewhere, third = again(manager), again(manager)

    sessions = manager.get("/account/sessions").content()["sessions"]
    assert [session["current"] for session in sessions].count(True) == 1
    assert all(session["ends"] - session["created"] == 7 * 86_400 for session in sessions)
    (theirs,) = [one for one in elsewhere.get("/account/sessions").content()["sessions"] if one["current"]]
    assert manager.post("/account/close_sessions", {"session": theirs["id"]}).content() == {"closed": 1}

    assert [is_in(caller) for caller in (manager, elsewhere, third)] == [True, False, True]
    assert len(manager.get("/account/sessions").content()["sessions"]) == 2
    assert manager.post("/account/close_sessions", {"session": theirs["id"]}).code == "not_found"


def test_a_session_says_from_where_and_with_what_it_was_opened(fleet: Fleet) -> None:
    manager = fleet.manager()
    agents = ["Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0", "b\tc" + "x" * 300]
    for agent in agents:
        other = Caller(fleet.url, {"User-Agent": agent})
        other.post("/login", {"username": manager.username, "password": PASSWORD}).content()
        other.close()

    sessions = manager.get("/account/sessions").content()["sessions"]

    assert {session["address"] for session in sessions} == {"127.0.0.1"}
    (own,) = [session["browser"] for session in sessions if session["current"]]
    assert own.startswith("python-httpx/")
    assert {session["browser"] for session in sessions} == {own, agents[0], "bc" + "x" * 197}


def test_all_others_are_ended_at_once(fleet: Fleet, again: Callable[[ManagerCaller], Caller]) -> None:
    manager, stranger = fleet.manager(), fleet.manager()
    others = [again(manager) for _ in range(3)]

    assert manager.post("/account/close_sessions").content() == {"closed": 3}

    assert [is_in(caller) for caller in (manager, stranger, *others)] == [True, True, False, False, False]
    assert manager.post("/account/close_sessions").content() == {"closed": 0}


def test_nobody_ends_the_session_of_somebody_else(fleet: Fleet) -> None:
    manager, stranger = fleet.manager(), fleet.manager()
    (session,) = manager.get("/account/sessions").content()["sessions"]

    assert stranger.post("/account/close_sessions", {"session": session["id"]}).code == "not_found"
    assert fleet.admin.post("/account/close_sessions", {"session": session["id"]}).code == "not_found"

    assert is_in(manager)


@pytest.mark.parametrize("session", ["", "x" * 64, "0" * 63, 5, "0" * 64 + "\n"])
def test_a_session_must_be_one(fleet: Fleet, session: object) -> None:
    answer = fleet.manager().post("/account/close_sessions", {"session": session})

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("session: ")


def test_the_id_of_a_session_is_not_its_cookie(fleet: Fleet) -> None:
    manager = fleet.manager()
    (session,) = manager.get("/account/sessions").content()["sessions"]

    assert session["id"] not in manager.http.cookies["tt"]
    assert fleet.anybody.get("/account", headers={"Cookie": f"tt={session['id']}"}).content()["logged_in"] is False


async def test_the_hundredth_and_first_session_ends_the_oldest(store: Store) -> None:
    manager = await store.managers.register("ada", PASSWORD, open_to_all=True)
    noon = 1_700_000_000_000
    cookies = []
    for n in range(103):
        store.set_clock(noon + n * 1000)
        cookies.append(await store.managers.open_session(manager, None))

    found = [await store.managers.of_session(cookie) is not None for cookie in cookies]

    assert found == [False] * 3 + [True] * 100
    # The one that a login replaces makes room for the new one.
    await store.managers.open_session(manager, cookies[50])
    assert await store.managers.of_session(cookies[3]) is not None
    assert len(await store.managers.sessions(manager.id, "")) == 100
