"""Any request to any route by anybody: no 5xx, and each answer of the API has the envelope."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.api import routes as api_routes
from tests.client import Fleet, ManagerCaller, WorkerCaller
from tests.faults.fuzzing import BODIES, HEADERS, METHODS, PATHS, ROUTES, Received, Request, exchanged, targets
from tests.serving import Serving

ENDS_A_SESSION = ("/register", "/login", "/logout", "/account/close_sessions", "/account/password")
"""Calls that end the session of their cookie: they are sent without one."""

NO_ENVELOPE = ("/metrics", "/openapi.json")
"""Their answers, if they are not refusals, have no envelope."""

FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Crowd:
    """A broker and its callers: a stranger, a worker, a manager with a project of their own, an admin."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.url = httpx.URL(serving.url)
        admin = serving.admin()
        self.fleet = Fleet(serving.url, admin)
        self.manager: ManagerCaller = self.fleet.manager()
        project = self.fleet.project(self.manager, public=False)
        self.worker: WorkerCaller = self.fleet.worker(project)
        self.fleet.project(self.manager)
        self.fleet.worker(project)
        for n in range(3):
            self.worker.submit(project, f"page {n}")
        self.worker.take(project)

    def _headers(self, who: str, path: str) -> dict[str, str]:
        headers: dict[str, str] = {}
        if who in {"worker", "all"}:
            headers |= {"X-Worker-ID": str(self.worker.id), "X-Secret": self.worker.secret}
        if who in {"manager", "admin", "all"} and not path.endswith(ENDS_A_SESSION):
            caller = self.manager if who == "manager" else self.fleet.admin
            headers["Cookie"] = f"tt={caller.http.cookies['tt']}"
        return headers

    def send(self, who: str, path: str, request: Request) -> Received:
        """``path``: the path of the route."""
        headers = {**request.headers, **self._headers(who, path)}
        received = exchanged(self.url, request._replace(headers=headers))
        if path == "/worker/rotate_secret" and received.status == 200:
            self.worker.secret = json.loads(received.body)["content"]["worker"]["secret"]
        return received


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    serving = Serving.start(tmp_path_factory.mktemp("fuzzed"), workers=2, log_level="debug")
    servers = serving.servers()
    made = Crowd(serving)
    yield made
    made.fleet.close()
    assert httpx.get(f"{serving.url}/readyz", verify=False).status_code == 200
    assert serving.servers() == servers
    assert serving.stop() == 0
    log = serving.log.read_text()
    assert "Traceback" not in log, log
    assert " ERROR " not in log, log


def is_fine(path: str, method: str, received: Received) -> None:
    status, headers, body = received
    kind = headers.get("content-type", "")
    assert 200 <= status < 500, received
    if kind == "text/plain; charset=utf-8" and status == 400:
        # What uvicorn's parser does not take for HTTP.
        assert body == b"Invalid HTTP request received."
    elif path.startswith(("/docs", "/ui")) or (path in NO_ENVELOPE and status == 200):
        assert b"Traceback" not in body
    elif method != "HEAD" and status not in {204, 303}:
        assert kind == "application/json", received
        is_envelope(status, json.loads(body))


def is_envelope(status: int, answer: dict[str, object]) -> None:
    assert set(answer) <= {"ok", "message", "content", "rate_limit_delay", "code", "detail"}, answer
    assert isinstance(answer["ok"], bool)
    assert isinstance(answer.get("content", {}), dict)
    if answer["ok"]:
        assert status == 200
    else:
        message = str(answer["message"])
        assert str(answer["code"]).replace("_", "").isalpha()
        assert not any(word in message for word in ("Traceback", "redis", "Redis", "@user_script", "lua"))


def fuzz(crowd: Crowd, path: str, examples: int) -> None:
    who = st.sampled_from(["all", "all", "admin", "manager", "worker", "stranger"])
    methods = st.sampled_from([*sorted(ROUTES[path].methods or ()) * 20, *METHODS])

    @settings(FUZZ, max_examples=examples)
    @given(who, st.builds(Request, methods, targets(path), HEADERS, BODIES))
    def walk(who: str, request: Request) -> None:
        is_fine(path, request.method, crowd.send(who, path, request))

    walk()


@pytest.mark.parametrize("path", PATHS)
def test_nothing_that_is_sent_to_a_route_makes_it_fail(crowd: Crowd, path: str) -> None:
    fuzz(crowd, path, 10)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_nothing_at_all_that_is_sent_to_a_route_makes_it_fail(crowd: Crowd, path: str) -> None:
    fuzz(crowd, path, 400)


def test_bytes_that_are_no_http_at_all_cost_one_connection(crowd: Crowd) -> None:
    @settings(FUZZ, max_examples=100)
    @given(
        st.binary(min_size=1, max_size=300), st.sampled_from([b"", b"GET / HTTP/1.1\r\n", b"POST /login HTTP/1.1\r\n"])
    )
    def walk(noise: bytes, begins: bytes) -> None:
        with socket.create_connection((crowd.url.host, crowd.url.port or 80), timeout=20) as connection:
            connection.sendall(begins + noise)

    walk()
    assert exchanged(crowd.url, Request("GET", "/healthz", {}, b"")).status == 200


def test_every_route_of_the_api_and_every_page_is_fuzzed() -> None:
    assert {route.path for route in api_routes()} <= set(PATHS)
    assert {"/ui", "/ui/", "/ui/projects/{id}/tasks/{task}", "/ui/static/{version}/{name}"} <= set(PATHS)
    assert {f"/api{route.path}" for route in api_routes()} <= set(ROUTES)
