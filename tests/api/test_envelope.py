"""What every call has in common: the envelope, ids in paths, invalid bodies, methods, paths, sizes."""

import gzip
import secrets
from collections.abc import Iterator
from itertools import product

import msgspec
import pytest
from starlette.routing import Route

from broker.api import bodies as schemas
from broker.api import routes
from tests.client import Answer, Caller, Fleet, exchange
from tests.manage.test_who_may import LARGE
from tests.serving import Serving

ROUTES = [route for route in routes() if isinstance(route, Route)]
POST = [route.path for route in ROUTES if "POST" in (route.methods or ())]
GET = [route.path for route in ROUTES if "GET" in (route.methods or ())]

ENDS_A_SESSION = {"/register", "/login", "/logout"}
"""Calls that end the session of their cookie: they are sent without one."""

NO_BODY = {
    "/logout",
    "/worker/rotate_secret",
    "/project/accept_request/{id}/{worker}",
    "/project/reject_request/{id}/{worker}",
    "/project/reset_failed_tasks/{id}",
    "/project/hard_reset/{id}",
    "/project/reclaim_assigned_tasks/{id}",
    "/project/reclaim_worker/{id}/{worker}",
    "/project/delete/{id}",
    "/project/retry_task/{id}/{task}",
    "/project/remove_task/{id}/{task}",
    "/manager/promote/{id}",
    "/manager/demote/{id}",
}
"""Calls that ignore the body."""

NOTHING_REQUIRED = {
    "/worker/create",
    "/project/update/{id}",
    "/account/close_sessions",
    "/task/turn",
    "/project/retry_tasks/{id}",
}
"""Calls that read a body, but require no field."""

SIGNED = {"/git/receivehook"}
"""Calls whose JSON body is refused because it is not signed."""

READS_A_BODY = [path for path in POST if path not in NO_BODY]

# Field names of every body, with their types.
FIELDS = [
    (field.encode_name, field.type)
    for struct in vars(schemas).values()
    if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and struct is not msgspec.Struct
    for field in msgspec.structs.fields(struct)
]

MAX_BODY = 16 << 20


class Somebody:
    """Sends the credentials of a worker and of an admin, so that no call is refused for want of them."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.project = fleet.project()
        self.worker = fleet.worker(self.project)
        fleet.worker().post("/project/request_access", {"project": self.project, "submit": True}).content()
        self.values = {
            "id": str(self.project),
            "project": str(self.project),
            "worker": str(self.worker.id),
            "task": str(self.worker.submit(self.project)),
            "level": "info",
        }

    def headers(self, path: str) -> dict[str, str]:
        headers = {"X-Worker-ID": str(self.worker.id), "X-Secret": self.worker.secret}
        if path not in ENDS_A_SESSION and not path.startswith(("/task", "/log/", "/worker/update")):
            headers["Cookie"] = f"tt={self.fleet.admin.http.cookies['tt']}"
        return headers

    def send(self, method: str, path: str, body: bytes = b"", *, prefix: str = "", **values: str) -> Answer:
        """``path``: the path of the route."""
        filled = path.format(**{**self.values, **values}) if path != "/worker/get/{id}" or values else self._own(path)
        answer = self.fleet.anybody.send(method, prefix + filled, content=body, headers=self.headers(path))
        self.fleet.anybody.http.cookies.clear()
        return answer

    def _own(self, path: str) -> str:
        return path.format(id=self.worker.id)


@pytest.fixture(scope="module")
def somebody(serving: Serving, admin: Caller) -> Iterator[Somebody]:
    """A caller for all calls that are refused: they change nothing, so they can share it."""
    fleet = Fleet(serving.url, admin)
    yield Somebody(fleet)
    fleet.close()


def is_enveloped(answer: Answer) -> None:
    """Checks that the answer has the envelope, and shows no internals."""
    assert answer.status < 500, answer
    if answer.status in {204, 303}:
        return
    body = answer.body
    assert answer.headers["content-type"] == "application/json"
    assert set(body) <= {"ok", "message", "content", "rate_limit_delay", "code"}, body
    assert isinstance(body["ok"], bool)
    assert isinstance(body.get("message", ""), str)
    assert isinstance(body.get("content", {}), dict)
    if body["ok"]:
        assert answer.status == 200
        assert "code" not in body
    else:
        assert body["message"]
        assert body["code"].replace("_", "").isalpha()
        assert not any(word in body["message"] for word in ("Traceback", "redis", "Redis", "@user_script", "lua"))
    if answer.status == 429:
        assert body["rate_limit_delay"] > 0


def is_refused(answer: Answer, status: int, code: str, begins: str = "") -> None:
    is_enveloped(answer)
    assert (answer.status, answer.code) == (status, code)
    assert answer.message.startswith(begins)


HOSTILE_IDS = [
    "0",
    "-1",
    "abc",
    "1e3",
    "1.0",
    "+1",
    "%201",
    "1%20",
    "1%0A",
    "0x1",
    "1_0",
    "None",
    "null",
    str(2**53 + 1),
    str(2**63),
    str(2**64 + 1),
    "9" * 4301,
    "%00",
    "1%00",
    "%D9%A3",
    "%C2%B2",
    "%FF",
    "%EF%BC%91",
    "%7Bdirectory%7D",
    "*",
]


@pytest.mark.parametrize(
    ("method", "path"), [(m, p) for m, ps in (("GET", GET), ("POST", POST)) for p in ps if "{" in p]
)
def test_an_id_in_a_path_is_a_decimal_number_from_1_to_2_53(somebody: Somebody, method: str, path: str) -> None:
    names = [name for name in ("id", "project", "worker", "task") if f"{{{name}}}" in path]

    for name in names:
        for hostile in HOSTILE_IDS:
            is_refused(somebody.send(method, path, b"{}", **{name: hostile}), 400, "invalid", f"{name}:")
        largest = somebody.send(method, path, b"{}", **{name: str(2**53)})
        is_enveloped(largest)
        assert "an id is" not in largest.body.get("message", "")


@pytest.mark.parametrize("path", ["/project/get/", "/project/get/1%2F2", "/worker/get/1/2", "/task/get/1/", "/log/"])
def test_an_id_that_is_no_part_of_the_path_is_an_unknown_path(fleet: Fleet, path: str) -> None:
    is_refused(fleet.anybody.get(path), 404, "not_found")


@pytest.mark.parametrize(
    "path", [b"/project/get/\xff", b"/\xe2\x82\xac", b"//nowhere", b"/\x7f", b"/%", b"/%zz/%u1234"]
)
def test_a_path_of_any_bytes_is_a_refusal(fleet: Fleet, path: bytes) -> None:
    answer = exchange(fleet.url, b"GET " + path + b" HTTP/1.1\r\nHost: broker\r\n\r\n", "GET")

    assert 400 <= answer.status < 500
    assert fleet.anybody.get("/healthz").status == 200


NOT_JSON = [
    b"{",
    b"}",
    b"{]",
    b"nul",
    b"NaN",
    b"{'alias': 1}",
    b'{"alias": }',
    b'{"alias": 01}',
    b'{"alias": "a',
    b'{"alias": "a"}}',
    b'{"alias": "a"} {}',
    b'{"alias": "a"},',
    b'{"alias": "\x00"}',
    b'{"alias": "\n"}',
    b'{"alias": "\\x"}',
    b'{"alias": "\\u12"}',
    b'{"alias": "\\ud800"}',
    b'{"alias": "\\udc00\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"alias": "\xff"}',
    b'{"alias": "\xc3"}',
    b'{"alias": "\xed\xa0\x80"}',
    b'{"\xff": 1}',
    b'{"unknown": "\xff"}',
    b'{"unknown": ["\xed\xa0\x80"]}',
    b"\xef\xbb\xbf{}",
    b"\x00",
    b"\xff\xfe{\x00}\x00",
    b"alias=1",
    b"[" * 60_000,
    b'{"x":' * 12_000,
    b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
]


@pytest.mark.parametrize("path", READS_A_BODY)
def test_a_body_that_is_not_json_is_refused(somebody: Somebody, path: str) -> None:
    for body in NOT_JSON:
        is_refused(somebody.send("POST", path, body), 400, "invalid")


@pytest.mark.parametrize("path", READS_A_BODY)
def test_a_body_that_is_no_object_is_refused(somebody: Somebody, path: str) -> None:
    for body in (b"[]", b"[{}]", b'"x"', b"5", b"0", b"true", b"false", b"1e5", b'""'):
        is_refused(somebody.send("POST", path, body), 400, "invalid", "body:")


@pytest.mark.parametrize("path", READS_A_BODY)
def test_an_empty_body_is_accepted_or_refused_with_the_missing_field(somebody: Somebody, path: str) -> None:
    for body in (b"", b"null", b" null ", b"{}", b"\r\n{ }\t", b'{"unknown": [{}], "": null}'):
        answer = somebody.send("POST", path, body)
        is_enveloped(answer)
        assert answer.status == (200 if path in NOTHING_REQUIRED else 403 if path in SIGNED else 400)
        if answer.status == 400:
            assert answer.message.split(":")[0] in {name for name, _ in FIELDS}


@pytest.mark.parametrize("path", sorted(NO_BODY))
def test_a_call_that_needs_no_body_ignores_one(fleet: Fleet, path: str) -> None:
    expected = Somebody(fleet).send("POST", path)

    for body in (b"{", b"[]", b"x" * 100_000):
        answer = Somebody(fleet).send("POST", path, body)
        is_enveloped(answer)
        assert (answer.status, answer.body.get("code")) == (expected.status, expected.body.get("code"))


def test_the_last_of_two_equal_keys_counts(fleet: Fleet) -> None:
    answer = fleet.anybody.post("/worker/create", b'{"alias": "first", "alias": "last"}')

    assert answer.content()["worker"]["alias"] == "last"


@pytest.mark.parametrize("path", READS_A_BODY)
def test_a_body_that_says_it_is_over_16_mib_is_refused_before_it_is_sent(somebody: Somebody, path: str) -> None:
    headers = "".join(f"{name}: {value}\r\n" for name, value in somebody.headers(path).items())
    head = f"POST {path.format(**somebody.values)} HTTP/1.1\r\nHost: broker\r\n{headers}"

    answer = exchange(somebody.fleet.url, f"{head}Content-Length: {MAX_BODY + 1}\r\n\r\n".encode())

    is_refused(answer, 413, "too_large", "body:")


@pytest.mark.parametrize("length", [10**15, 10**16, 2**63, 2**64 - 1])
def test_a_body_that_says_it_is_immense_is_refused_before_it_is_sent(fleet: Fleet, length: int) -> None:
    request = b"POST /worker/create HTTP/1.1\r\nHost: broker\r\nContent-Length: %d\r\n\r\n" % length

    is_refused(exchange(fleet.url, request, seconds=1), 413, "too_large", "body:")


LINE = b'{"scope": "s", "message": "large", "timestamp": 1}'


def test_a_body_of_exactly_16_mib_is_read(somebody: Somebody) -> None:
    somebody.send("POST", "/log/{level}", LINE.ljust(MAX_BODY)).content()


def test_a_body_over_16_mib_is_refused_though_it_was_sent(somebody: Somebody) -> None:
    is_refused(somebody.send("POST", "/log/{level}", LINE.ljust(MAX_BODY + 1)), 413, "too_large", "body:")


def test_a_body_in_chunks_over_16_mib_is_refused(somebody: Somebody) -> None:
    chunk = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
    headers = "".join(f"{name}: {value}\r\n" for name, value in somebody.headers("/log/{level}").items())
    head = f"POST /log/info HTTP/1.1\r\nHost: broker\r\n{headers}Transfer-Encoding: chunked\r\n\r\n".encode()
    url = somebody.fleet.url

    is_refused(exchange(url, head + chunk * 16 + b"1\r\n \r\n"), 413, "too_large", "body:")
    assert exchange(url, head + chunk * 15 + b"%x\r\n%b\r\n0\r\n\r\n" % (len(LINE), LINE)).status == 200


@pytest.mark.parametrize("path", sorted({*READS_A_BODY} - LARGE))
@pytest.mark.parametrize("chunked", [False, True])
def test_a_small_call_reads_64_kib_and_no_more(somebody: Somebody, path: str, chunked: bool) -> None:
    def sent(body: bytes) -> Answer:
        headers = "".join(f"{name}: {value}\r\n" for name, value in somebody.headers(path).items())
        how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        head = f"POST {path.format(**somebody.values)} HTTP/1.1\r\nHost: broker\r\n{headers}{how}\r\n\r\n"
        framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
        return exchange(somebody.fleet.url, head.encode() + framed)

    is_refused(sent(b" " * ((64 << 10) + 1)), 413, "too_large", "body: larger than 65536 bytes")
    assert sent(b"no JSON".ljust(64 << 10)).code == "invalid"


@pytest.mark.parametrize("path", sorted(LARGE))
def test_a_large_call_reads_more_than_64_kib(somebody: Somebody, path: str) -> None:
    assert somebody.send("POST", path, b"no JSON".ljust(1 << 20)).code == "invalid"


@pytest.mark.parametrize("path", READS_A_BODY)
def test_a_body_with_an_encoding_is_refused(somebody: Somebody, path: str) -> None:
    url = path.format(**somebody.values)

    for encoding in ("gzip", "GZIP", "deflate", "br", "identity, gzip"):
        headers = somebody.headers(path) | {"Content-Encoding": encoding}
        answer = somebody.fleet.anybody.post(url, gzip.compress(b"{}"), headers=headers)
        is_refused(answer, 415, "unsupported_encoding", "content-encoding:")


def test_an_encoding_of_nothing_and_one_that_changes_nothing_are_fine(fleet: Fleet) -> None:
    fleet.anybody.post("/worker/create", headers={"Content-Encoding": "gzip"}).content()
    made = fleet.anybody.post("/worker/create", {"alias": "plain"}, headers={"Content-Encoding": "identity"})
    assert made.content()["worker"]["alias"] == "plain"


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    "path", ["/nothing", "/project", "/project/list/", "/task/submit/", "/worker/create/", "/Project/list", "/x" * 2000]
)
def test_an_unknown_path_is_not_found_and_never_a_redirect(fleet: Fleet, prefix: str, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        is_refused(fleet.anybody.send(method, prefix + path), 404, "not_found")


@pytest.mark.parametrize("path", sorted({*GET, *POST}))
def test_a_wrong_method_is_told_the_right_ones(somebody: Somebody, path: str) -> None:
    known = {method for route in ROUTES if route.path == path for method in route.methods or ()}

    for method, prefix in product({"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - known, ("", "/api")):
        answer = somebody.send(method, path, prefix=prefix)
        is_refused(answer, 405, "method_not_allowed")
        assert set(answer.headers["allow"].split(", ")) == known


@pytest.mark.parametrize("path", sorted({*GET, *POST}))
def test_every_call_answers_under_api_as_well(fleet: Fleet, path: str) -> None:
    filled = path.format(id=1, project=1, worker=1, task=1, level="info")
    method = "GET" if path in GET else "POST"

    plain, prefixed = (fleet.anybody.send(method, prefix + filled) for prefix in ("", "/api"))
    fleet.anybody.http.cookies.clear()

    if path not in {"/metrics", "/openapi.json"}:
        is_enveloped(plain)
    assert (prefixed.status, prefixed.body.get("code")) == (plain.status, plain.body.get("code"))
    assert set(prefixed.body) == set(plain.body)


def test_a_task_is_submitted_assigned_and_closed_under_api(fleet: Fleet) -> None:
    project = fleet.admin.post("/api/project/create", {"name": f"project {secrets.token_hex(6)}"}).content()["id"]
    worker = fleet.worker(project)

    task = worker.post("/api/task/submit", {"project": project, "recipe": "x"}).content()["task_id"]
    assert worker.get(f"/api/task/get/{project}").content()["task"]["id"] == task
    assert worker.post("/api/task/release", {"task_id": task, "result": 0}).content() == {"updated": True}


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/healthz", "/readyz"])
def test_a_head_request_checks_that_the_broker_runs(fleet: Fleet, path: str) -> None:
    answer = fleet.anybody.send("HEAD", path)

    assert (answer.status, answer.body) == (200, {})


@pytest.mark.parametrize("path", sorted({*GET, *POST} - {"/", "/healthz", "/readyz"}))
def test_a_head_request_to_every_other_call_is_a_wrong_method(somebody: Somebody, path: str) -> None:
    answer = somebody.send("HEAD", path)

    assert (answer.status, answer.body) == (405, {})


def test_a_head_request_assigns_no_task(fleet: Fleet) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    worker.submit(project)

    worker.send("HEAD", f"/task/get/{project}")

    assert fleet.anybody.get(f"/project/stats/{project}").content()["stats"]["assigned"] == 0
