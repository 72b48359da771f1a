"""Passwords, registration, and ``broker create-admin``."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from broker.cli import main
from tests.client import Answer, Caller, Fleet
from tests.manage.test_roles import is_admin
from tests.serving import Serving

PASSWORD = "a long password"


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


CreateAdmin = Callable[..., Done]


@pytest.fixture
def create_admin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CreateAdmin:
    """Runs the command on these data, with a line on its standard input."""
    for name in [name for name in os.environ if name.startswith("BROKER_")]:
        monkeypatch.delenv(name)

    def run(data: Path, name: str, password: str | bytes = "") -> Done:
        given = password if isinstance(password, bytes) else f"{password}\n".encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
        return Done(main(["create-admin", name, "--data-dir", str(data)]), *capsys.readouterr())

    return run


def log_in(url: str, username: str, password: str) -> Answer:
    caller = Caller(url)
    answer = caller.post("/login", {"username": username, "password": password})
    caller.close()
    return answer


def test_a_new_password_ends_every_session_and_the_old_password(fleet: Fleet) -> None:
    manager = fleet.manager()
    elsewhere = Caller(fleet.url)
    elsewhere.post("/login", {"username": manager.username, "password": PASSWORD}).content()
    cookies = [dict(caller.http.cookies) for caller in (manager, elsewhere)]

    manager.post("/account/password", {"old": PASSWORD, "new": "another password"}).content()

    for cookie in cookies:
        headers = {"Cookie": f"tt={cookie['tt']}"}
        assert fleet.anybody.get("/account", headers=headers).content()["logged_in"] is False
    assert elsewhere.get("/manager/list").status == 401
    assert manager.get("/manager/list").status == 401
    assert log_in(fleet.url, manager.username, PASSWORD).status == 403
    assert log_in(fleet.url, manager.username, "another password").status == 200
    elsewhere.close()


def test_a_wrong_old_password_changes_nothing_and_counts_like_a_login(fleet: Fleet) -> None:
    manager = fleet.manager()
    body = {"old": "a wrong password", "new": "another password"}

    answers = [manager.post("/account/password", body) for _ in range(9)]

    assert {(answer.status, answer.code) for answer in answers} == {(403, "bad_credentials")}
    assert manager.get("/account").content()["logged_in"] is True
    tenth = log_in(fleet.url, manager.username, "a wrong password")
    assert (tenth.status, tenth.code) == (429, "rate_limited")
    assert 1 <= int(tenth.headers["Retry-After"]) <= 60
    assert tenth.body["rate_limit_delay"] > 0
    assert manager.post("/account/password", {"old": PASSWORD, "new": "another password"}).status == 429


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"old": PASSWORD, "new": "short"}, "new"),
        ({"old": PASSWORD, "new": "x" * 1025}, "new"),
        ({"old": PASSWORD}, "new"),
        ({"new": "another password"}, "old"),
        ({"old": 5, "new": "another password"}, "old"),
    ],
)
def test_a_new_password_must_be_one(fleet: Fleet, body: dict[str, object], field: str) -> None:
    manager = fleet.manager()

    answer = manager.post("/account/password", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(f"{field}: ")
    assert manager.get("/account").content()["logged_in"] is True


def test_the_first_account_registers_even_when_nobody_may(tmp_path: Path, create_admin: CreateAdmin) -> None:
    serving = Serving.start(tmp_path, allow_registration="no")
    first, second = serving.caller(), serving.caller()

    manager = first.post("/register", {"username": "first", "password": PASSWORD}).content()["manager"]
    refused = second.post("/register", {"username": "second", "password": PASSWORD})

    assert manager["tracker_admin"] is True
    assert (refused.status, refused.code) == (403, "denied")
    assert "set-cookie" not in refused.headers
    assert second.get("/account").content()["logged_in"] is False
    assert len(first.get("/manager/list").content()["managers"]) == 1
    made = create_admin(tmp_path / "data", "second", PASSWORD)
    assert made.returncode == 0
    assert log_in(serving.url, "second", PASSWORD).status == 200
    assert serving.stop() == 0


def test_an_operator_creates_and_promotes_admins_from_the_shell(tmp_path: Path, create_admin: CreateAdmin) -> None:
    data = tmp_path / "data"
    before = create_admin(data, "before", PASSWORD)
    assert (before.returncode, before.stderr) == (0, ""), before.stderr
    assert "before" in before.stdout

    serving = Serving.start(tmp_path)
    boss, clerk = serving.caller(), serving.caller()
    assert boss.post("/login", {"username": "before", "password": PASSWORD}).content()["manager"]["tracker_admin"]
    clerk.post("/register", {"username": "clerk", "password": PASSWORD}).content()
    assert not is_admin(clerk)

    assert create_admin(data, "clerk").returncode == 0
    assert create_admin(data, "waehrend", "pässword").returncode == 0

    assert is_admin(clerk)
    assert log_in(serving.url, "clerk", PASSWORD).status == 200
    assert log_in(serving.url, "waehrend", "pässword").content()["manager"]["tracker_admin"] is True
    assert boss.post("/manager/demote/2").status == 204
    assert serving.stop() == 0

    assert create_admin(data, "clerk").returncode == 0
    again = Serving.start(tmp_path)
    assert log_in(again.url, "clerk", PASSWORD).content()["manager"]["tracker_admin"] is True
    names = [manager["username"] for manager in logged_in(again).get("/manager/list").content()["managers"]]
    assert names == ["before", "clerk", "waehrend"]
    assert again.stop() == 0


def logged_in(serving: Serving) -> Caller:
    caller = serving.caller()
    caller.post("/login", {"username": "before", "password": PASSWORD}).content()
    return caller


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ab", PASSWORD),
        ("x" * 17, PASSWORD),
        ("a\nb\nc", PASSWORD),
        (" abc", PASSWORD),
        ("", PASSWORD),
        ("a-name", "short"),
        ("a-name", ""),
        ("a-name", "x" * 1025),
        ("a-name", b""),
        ("a-name", b"not \xff\xfe UTF-8\n"),
    ],
)
def test_an_invalid_account_is_one_line_and_exit_1(
    refusing: Path, create_admin: CreateAdmin, name: str, password: str | bytes
) -> None:
    refused = create_admin(refusing, name, password)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("broker: ")
    assert refused.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data of a running broker that shall never have an account."""
    folder = tmp_path_factory.mktemp("refusing")
    serving = Serving.start(folder)
    yield folder / "data"
    first = serving.caller()
    assert first.post("/register", {"username": "first", "password": PASSWORD}).content()["manager"]["id"] == 1
    assert serving.stop() == 0
