"""Forged sessions, invalid credentials, and calls that another site makes a manager's browser send."""

import secrets
from typing import Any

import pytest

from tests.client import Fleet

PASSWORD = "a long password"


@pytest.mark.parametrize("id", ["", "None", "-1", "0", "x" * 5000])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/project/secret/{}"),
        ("GET", "/project/group/{}?group=a"),
        ("POST", "/project/forget/{}"),
        ("GET", "/project/why/{}?worker={}"),
    ],
)
def test_an_invalid_worker_id_does_not_turn_a_manager_s_call_into_a_worker_s(
    fleet: Fleet, method: str, path: str, id: str
) -> None:
    project, worker = fleet.project(), fleet.worker()
    headers = {"X-Worker-ID": id, "X-Secret": id}
    options: dict[str, Any] = {"content": '{"hash64": 1}'} if method == "POST" else {}

    assert fleet.admin.send(method, path.format(project, worker.id), headers=headers, **options).status == 200
    refused = fleet.anybody.send(method, path.format(project, worker.id), headers=headers, **options)
    assert (refused.status, refused.code) == (401, "bad_credentials")


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "1",
        "None",
        "A" * 43,
        "A" * 10_000,
        "\u00e9\u00ff",
        '"quoted"',
        "a=b; tt=c",
        "..%2f..%00",
        "*",
        "{directory}",
    ],
)
def test_a_forged_cookie_signs_nobody_in(fleet: Fleet, cookie: str) -> None:
    headers = [(b"Cookie", b"tt=" + cookie.encode("latin-1"))]

    assert fleet.anybody.get("/account", headers=headers).content() == {"logged_in": False, "manager": None}
    answer = fleet.anybody.post("/project/create", {"name": "x"}, headers=headers)
    assert (answer.status, answer.code) == (401, "not_logged_in")


@pytest.mark.parametrize(
    "cookie", [b"", b";", b"=", b"tt", b"tt;tt=;", b"\xff=\xfe", b"tt=" + b";" * 1000, b"a" * 9000]
)
def test_a_broken_cookie_header_signs_nobody_in(fleet: Fleet, cookie: bytes) -> None:
    assert fleet.anybody.get("/account", headers=[(b"Cookie", cookie)]).content()["logged_in"] is False


FROM_ANOTHER_SITE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "something new"},
    {"Sec-Fetch-Site": ""},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://[::1"},
    {"Origin": "http://evil.example:3010"},
    {"Origin": "http://broker.example:8080", "Host": "broker.example:3010"},
    {"Origin": "http://broker.example", "Host": "broker.example:3010"},
    {"Origin": "http://evil.broker.example", "Host": "broker.example"},
    {"Origin": "http://broker.example@evil.example", "Host": "broker.example"},
    {"Origin": "http://broker.example", "Host": ""},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FROM_ANOTHER_SITE, ids=str)
def test_another_site_cannot_use_a_manager_s_session(fleet: Fleet, headers: dict[str, str]) -> None:
    manager = fleet.manager()
    project = fleet.project(manager)
    worker = fleet.worker()
    worker.post("/project/request_access", {"project": project, "assign": True}).content()
    login = {"username": manager.username, "password": manager.password}

    for method, path, body in (
        ("POST", "/project/create", {"name": "made by another site"}),
        ("POST", f"/project/update/{project}", {"motd": "changed"}),
        ("POST", f"/project/accept_request/{project}/{worker.id}", None),
        ("POST", f"/project/reject_request/{project}/{worker.id}", None),
        ("POST", f"/project/secret/{project}", {"secret": "changed"}),
        ("POST", f"/project/webhook_secret/{project}", {"webhook_secret": "changed"}),
        ("POST", f"/manager/set_role_for_project/{project}", {"manager": 1, "role": 31}),
        ("POST", "/worker/set_paused", {"worker": worker.id, "paused": True}),
        ("POST", "/register", {"username": f"m-{secrets.token_hex(5)}", "password": PASSWORD}),
        ("POST", "/login", login),
        ("POST", "/logout", None),
        ("GET", "/logout", None),
    ):
        answer = manager.send(method, path, headers=headers, **({"json": body} if body else {}))
        assert (method, path, answer.status, answer.code) == (method, path, 403, "cross_site")
        assert "set-cookie" not in answer.headers
    assert manager.get("/account").content()["logged_in"] is True
    assert manager.get(f"/project/get/{project}").content()["motd"] == ""
    assert manager.get(f"/project/secret/{project}").content()["secret"] == "{}"
    assert [access["request"] for access in manager.get(f"/project/access_list/{project}").content()["accesses"]] == [
        True
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://{host}"},
        {"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://BROKER.example", "Host": "broker.example"},
        # A proxy has taken the port off, or has put the usual one there.
        {"Origin": "https://broker.example:8443", "Host": "broker.example"},
        {"Origin": "https://broker.example", "Host": "broker.example:443"},
    ],
    ids=str,
)
def test_this_site_and_clients_that_are_no_browser_may(fleet: Fleet, headers: dict[str, str]) -> None:
    manager = fleet.manager()
    host = fleet.url.removeprefix("http://")
    sent = {name: value.format(host=host) for name, value in headers.items()}

    answer = manager.post("/project/create", {"name": f"project {secrets.token_hex(6)}"}, headers=sent)

    assert answer.status == 200


@pytest.mark.parametrize("headers", FROM_ANOTHER_SITE, ids=str)
def test_calls_that_change_nothing_or_carry_no_cookie_may_come_from_anywhere(
    fleet: Fleet, headers: dict[str, str]
) -> None:
    manager = fleet.manager()
    project = fleet.project(manager)

    for path in ("/account", "/project/list", f"/project/get/{project}", f"/project/access_list/{project}"):
        assert manager.get(path, headers=headers).status == 200
    created = fleet.anybody.post("/project/create", {"name": "x"}, headers=headers)
    assert (created.status, created.code) == (401, "not_logged_in")
    assert fleet.anybody.post("/worker/create", headers=headers).status == 200
    fleet.worker(project).post("/task/submit", {"project": project, "recipe": "x"}, headers=headers).content()


CHROMIUM = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
A_LINK_OR_AN_IMAGE = [
    # Over https and on localhost: a link, a typed address, an image, a page in a frame.
    {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Referer": "http://broker.example/"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Mode": "cors"},
    # Elsewhere.
    {},
    {"Referer": ""},
    {"Referer": "http://evil.broker.example/"},
    {"Referer": "http://broker.example:8080/", "Host": "broker.example:3010"},
    {"Referer": "http://broker.example@evil.example/"},
    {"Referer": "http://evil.example/http://broker.example/"},
]


@pytest.mark.parametrize("headers", A_LINK_OR_AN_IMAGE, ids=str)
@pytest.mark.parametrize("call", ["/logout", "/api/manager/promote/{id}", "/manager/demote/{id}"])
def test_no_link_and_no_image_makes_a_manager_s_browser_change_anything(
    fleet: Fleet, headers: dict[str, str], call: str
) -> None:
    sent = {"User-Agent": CHROMIUM, "Host": "broker.example", **headers}
    other = fleet.manager()
    before = other.get("/account").content()
    caller = other if call == "/logout" else fleet.admin

    answer = caller.get(call.format(id=other.id), headers=sent)

    assert (answer.status, answer.code) == (403, "cross_site")
    assert "set-cookie" not in answer.headers
    assert other.get("/account").content() == before


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": CHROMIUM, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"User-Agent": CHROMIUM, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "same-origin"},
        {"User-Agent": CHROMIUM, "Referer": "http://broker.example/ui/managers"},
        {"User-Agent": CHROMIUM, "Referer": "http://broker.example:3010/ui/", "Host": "broker.example:3010"},
        {"User-Agent": CHROMIUM, "Referer": "https://broker.example:8443/ui/"},
        {"User-Agent": "curl/8.5.0"},
        {"User-Agent": "Go-http-client/1.1"},
        {"User-Agent": ""},
    ],
    ids=str,
)
def test_a_page_of_this_host_and_clients_that_are_no_browser_may_change_by_get(
    fleet: Fleet, headers: dict[str, str]
) -> None:
    other = fleet.manager()
    sent = {"Host": "broker.example", **headers}

    assert fleet.admin.get(f"/manager/promote/{other.id}", headers=sent).status == 204
    assert other.get("/account").content()["manager"]["tracker_admin"] is True
    assert fleet.admin.get(f"/manager/demote/{other.id}", headers=sent).status == 204
    assert other.get("/logout", headers=sent).content() == {}
    assert other.get("/account").content()["logged_in"] is False
