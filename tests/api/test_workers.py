"""Workers: registration, what they read about themselves, and their credentials."""

import base64

import pytest

from tests.client import Answer, Fleet, WorkerCaller, exchange

CALLS = [
    ("GET", "/task/get", 403),
    ("GET", "/task/get/1", 403),
    ("POST", "/task/release", 403),
    ("POST", "/task/submit", 401),
    ("POST", "/task/bulk_submit", 401),
    ("POST", "/task/bulk_release", 401),
    ("POST", "/task/extend", 401),
    ("GET", "/task/assigned/1", 401),
    ("POST", "/worker/update", 401),
    ("POST", "/worker/rotate_secret", 401),
    ("POST", "/log/info", 401),
    ("POST", "/project/request_access", 401),
    ("GET", "/project/secret/1", 401),
]
"""Every call of a worker, and the status that a bad one gets."""

SOMEBODY = base64.b64encode(b"x" * 32).decode()


def is_bad_worker(answer: Answer, status: int) -> None:
    assert (answer.status, answer.code) == (status, "bad_credentials")
    assert answer.message
    assert "content" not in answer.body


def test_a_worker_is_created_with_a_secret_that_is_shown_once(fleet: Fleet) -> None:
    worker = fleet.anybody.post("/worker/create", {"alias": "some alias"}).content()["worker"]

    assert set(worker) == {"id", "created", "alias", "secret", "paused"}
    assert (worker["alias"], worker["paused"]) == ("some alias", False)
    assert worker["created"] > 1_700_000_000
    assert len(base64.b64decode(worker["secret"], validate=True)) == 32
    assert fleet.anybody.get(f"/worker/get/{worker['id']}").content() == {"worker": worker | {"secret": None}}


def test_every_worker_has_an_id_and_a_secret_of_its_own(fleet: Fleet) -> None:
    one, other = fleet.worker(alias="same"), fleet.worker(alias="same")

    assert other.id > one.id
    assert other.secret != one.secret


@pytest.mark.parametrize("body", [b"", "null", {}, {"alias": None}, {"alias": ""}, {"aliases": "x"}])
def test_a_worker_without_an_alias_gets_the_default_one(fleet: Fleet, body: object) -> None:
    assert fleet.anybody.post("/worker/create", body).content()["worker"]["alias"] == "default_alias"


def test_a_worker_needs_no_body_at_all_to_be_created(fleet: Fleet) -> None:
    assert fleet.anybody.post("/worker/create").content()["worker"]["alias"] == "default_alias"


@pytest.mark.parametrize("alias", [" ", "\x00", "\N{GRINNING FACE}\u202e", "x" * 16_384, "unassigned ", "Unassigned"])
def test_an_alias_is_kept_as_it_is(fleet: Fleet, alias: str) -> None:
    worker = fleet.worker(alias=alias)
    assert worker.get(f"/worker/get/{worker.id}").content()["worker"]["alias"] == alias

    worker.post("/worker/update", {"alias": f"{alias[:-1]}!"}).content()
    assert worker.get(f"/worker/get/{worker.id}").content()["worker"]["alias"] == f"{alias[:-1]}!"


@pytest.mark.parametrize("alias", [5, True, [], {}, "x" * 16_385])
def test_an_invalid_alias_is_refused(fleet: Fleet, alias: object) -> None:
    worker = fleet.worker(alias="before")

    for path in ("/worker/create", "/worker/update"):
        answer = worker.post(path, {"alias": alias})
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.message.startswith("alias")
    assert worker.get(f"/worker/get/{worker.id}").content()["worker"]["alias"] == "before"


def test_nobody_is_called_unassigned(fleet: Fleet) -> None:
    worker = fleet.worker(alias="before")

    for path in ("/worker/create", "/worker/update"):
        answer = worker.post(path, {"alias": "unassigned"})
        assert (answer.status, answer.code) == (403, "reserved")
    assert worker.get(f"/worker/get/{worker.id}").content()["worker"]["alias"] == "before"


@pytest.mark.parametrize("body", [{}, {"alias": None}, {"alias": ""}, "null", b""])
def test_an_update_needs_an_alias(fleet: Fleet, body: object) -> None:
    answer = fleet.worker().post("/worker/update", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith("alias")


def test_an_update_answers_ok_and_nothing_else(fleet: Fleet) -> None:
    assert fleet.worker().post("/worker/update", {"alias": "another alias"}).body == {"ok": True}


def test_an_unknown_worker_is_not_found(fleet: Fleet) -> None:
    for id in (2**53, 10**15):
        answer = fleet.anybody.get(f"/worker/get/{id}")
        assert (answer.status, answer.code) == (404, "not_found")


def test_a_rotated_secret_ends_the_old_one_at_once(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project)

    rotated = worker.post("/worker/rotate_secret").content()["worker"]

    assert rotated["secret"] not in {None, worker.secret}
    assert (rotated["id"], rotated["alias"], rotated["paused"]) == (worker.id, worker.alias, False)
    for _ in range(8):
        is_bad_worker(worker.get(f"/task/get/{project}"), 403)
        is_bad_worker(worker.post("/worker/rotate_secret"), 401)
    again = WorkerCaller(fleet.url, rotated)
    assert again.take(project)["assignee"] == worker.id
    again.close()


def test_an_admin_pauses_a_worker_and_everybody_sees_it(fleet: Fleet) -> None:
    worker = fleet.worker()

    for paused in (True, True, False):
        assert fleet.admin.post("/worker/set_paused", {"worker": worker.id, "paused": paused}).content() == {}
        assert fleet.anybody.get(f"/worker/get/{worker.id}").content()["worker"]["paused"] is paused


def test_only_an_admin_pauses_a_worker(fleet: Fleet) -> None:
    worker = fleet.worker()
    body = {"worker": worker.id, "paused": True}

    assert fleet.anybody.post("/worker/set_paused", body).code == "not_logged_in"
    assert worker.post("/worker/set_paused", body).status == 401
    denied = fleet.manager().post("/worker/set_paused", body)
    assert (denied.status, denied.code) == (403, "denied")
    assert fleet.anybody.get(f"/worker/get/{worker.id}").content()["worker"]["paused"] is False


def test_an_unknown_worker_cannot_be_paused(fleet: Fleet) -> None:
    answer = fleet.admin.post("/worker/set_paused", {"worker": 2**53, "paused": True})

    assert (answer.status, answer.code) == (404, "not_found")
    assert fleet.anybody.get(f"/worker/get/{2**53}").status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "worker"),
        ({"worker": 1}, "paused"),
        ({"paused": True}, "worker"),
        ({"worker": 0, "paused": True}, "worker"),
        ({"worker": 2**63, "paused": True}, "worker"),
        ({"worker": "1", "paused": True}, "worker"),
        ({"worker": 1, "paused": 1}, "paused"),
        ({"worker": 1, "paused": "true"}, "paused"),
    ],
)
def test_an_invalid_pause_names_the_field(fleet: Fleet, body: object, field: str) -> None:
    answer = fleet.admin.post("/worker/set_paused", body)

    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.message.startswith(field)


@pytest.mark.parametrize(("method", "path", "status"), CALLS)
def test_a_call_without_the_headers_of_a_worker_is_refused(fleet: Fleet, method: str, path: str, status: int) -> None:
    worker = fleet.worker()

    is_bad_worker(fleet.anybody.send(method, path), status)
    is_bad_worker(fleet.anybody.send(method, path, headers={"X-Worker-ID": str(worker.id)}), status)
    is_bad_worker(fleet.anybody.send(method, path, headers={"X-Secret": worker.secret}), status)


@pytest.mark.parametrize(
    "id",
    [
        b"",
        b"None",
        b"null",
        b"-1",
        b"0",
        b"1.0",
        b"1e0",
        b"0x1",
        b"+1",
        b"1_0",
        b"1,2",
        b"9007199254740993",
        b"18446744073709551617",
        b"9" * 4301,
        b"9" * 10_000,
        "\u0663".encode(),
        "\u00b2".encode("latin-1"),
        b"\xff\xfe",
        b"1:secret",
        b"1\tor\t1",
    ],
)
def test_an_invalid_id_is_a_refusal(fleet: Fleet, id: bytes) -> None:
    for method, path, status in CALLS:
        is_bad_worker(fleet.anybody.send(method, path, headers=[(b"X-Worker-ID", id), (b"X-Secret", b"eA==")]), status)


@pytest.mark.parametrize(
    "secret",
    [
        b"",
        b"None",
        b"not base64!",
        b"eA",
        b"eA==",
        b"=",
        b"A" * 10_000,
        b"-_" * 22,
        SOMEBODY.encode(),
        "\u0663".encode(),
        b"\xff\xfe",
        b"A" * 42 + b"\xe9=",
    ],
)
def test_a_secret_that_is_not_the_worker_s_is_a_refusal(fleet: Fleet, secret: bytes) -> None:
    id = str(fleet.worker().id).encode()

    for method, path, status in CALLS:
        is_bad_worker(fleet.anybody.send(method, path, headers=[(b"X-Worker-ID", id), (b"X-Secret", secret)]), status)


def test_the_secret_of_another_worker_is_a_refusal(fleet: Fleet) -> None:
    one, other = fleet.worker(), fleet.worker()
    headers = {"X-Worker-ID": str(one.id), "X-Secret": other.secret}

    for method, path, status in CALLS:
        is_bad_worker(fleet.anybody.send(method, path, headers=headers), status)


def test_only_the_whole_secret_counts(fleet: Fleet) -> None:
    worker = fleet.worker()
    secret = worker.secret

    for wrong in (secret[:-4], secret[:-1], secret * 2, secret.swapcase(), secret[4:], f"{secret[:20]} {secret[20:]}"):
        headers = {"X-Worker-ID": str(worker.id), "X-Secret": wrong}
        is_bad_worker(fleet.anybody.get("/task/get", headers=headers), 403)


@pytest.mark.parametrize("name", ["X-Worker-ID", "X-Secret"])
@pytest.mark.parametrize("value", [b"\x00", b"1\x00", b"1\x01", b"\x7f"])
def test_control_characters_in_a_header_end_nothing(fleet: Fleet, name: str, value: bytes) -> None:
    request = b"GET /task/get/1 HTTP/1.1\r\nHost: broker\r\n%s: %s\r\n\r\n" % (name.encode(), value)

    answer = exchange(fleet.url, request, "GET")

    assert 400 <= answer.status < 500
    assert fleet.anybody.get("/healthz").status == 200


def test_calls_that_need_no_worker_ignore_its_headers(fleet: Fleet) -> None:
    project = fleet.project()
    headers = [(b"X-Worker-ID", b"None"), (b"X-Secret", b"\xe9")]

    for method, path in (
        ("POST", "/worker/create"),
        ("GET", "/project/list"),
        ("GET", f"/project/get/{project}"),
        ("GET", "/account"),
        ("GET", "/"),
    ):
        assert fleet.anybody.send(method, path, headers=headers).content()
