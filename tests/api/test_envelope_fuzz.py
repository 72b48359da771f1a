"""Whatever is sent: an envelope comes back, and it is no 5xx."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from tests.api.test_envelope import ENDS_A_SESSION, FIELDS, NO_ENVELOPE, READS_A_BODY, ROUTES, is_enveloped
from tests.client import Answer, Caller, Fleet

EDGES = [0, 1, -1, 2**15, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30, 0.5, 1e308, -0.0]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(EDGES),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=30),
    st.sampled_from(["", "\x00", "unassigned", "{}", "1", "x" * 70_000]),
)
ENVELOPED = [route for route in ROUTES if route.path not in NO_ENVELOPE]
NAMES = st.sampled_from(sorted({name for name, _ in FIELDS})) | st.text(max_size=5)
BODIES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=8), max_leaves=30
)
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def fuzzed(fleet: Fleet) -> Callable[[str, str, bytes, str], Answer]:
    """A call by a worker and a manager of nobody else's project: what it hits is its own."""
    owner = fleet.manager()
    project = fleet.project(owner)
    worker = fleet.worker()
    worker.post("/project/request_access", {"project": project, "assign": True, "submit": True}).content()
    owner.post(f"/project/accept_request/{project}/{worker.id}").content()
    anybody: Caller = fleet.anybody

    def send(method: str, path: str, body: bytes, id: str) -> Answer:
        headers = {"X-Worker-ID": str(worker.id), "X-Secret": worker.secret}
        if path not in ENDS_A_SESSION:
            headers["Cookie"] = f"tt={owner.http.cookies['tt']}"
        filled = path.format(id=id or project, project=id or project, worker=worker.id, task=1, level="info")
        answer = anybody.send(method, filled, content=body, headers=headers)
        anybody.http.cookies.clear()
        if path == "/worker/rotate_secret":
            worker.secret = answer.content()["worker"]["secret"]
        return answer

    return send


@pytest.mark.parametrize("path", READS_A_BODY)
def test_no_json_makes_a_call_fail(fleet: Fleet, path: str) -> None:
    send = fuzzed(fleet)

    @settings(FUZZ, max_examples=10 if path in ENDS_A_SESSION else 40)
    @given(BODIES | st.dictionaries(NAMES, SCALARS, max_size=10))
    def walk(body: Any) -> None:
        is_enveloped(send("POST", path, json.dumps(body).encode(), ""))

    walk()


def test_no_bytes_make_a_call_fail(fleet: Fleet) -> None:
    send = fuzzed(fleet)

    @settings(FUZZ, max_examples=150)
    @given(st.sampled_from(READS_A_BODY), st.binary(max_size=200))
    def walk(path: str, body: bytes) -> None:
        is_enveloped(send("POST", path, body, ""))

    walk()


def test_no_id_and_no_query_make_a_call_fail(fleet: Fleet) -> None:
    send = fuzzed(fleet)

    @settings(FUZZ, max_examples=150)
    @given(st.sampled_from(ENVELOPED), st.text(min_size=1, max_size=20), st.text(max_size=10))
    def walk(route: Route, id: str, count: str) -> None:
        method = "GET" if "GET" in (route.methods or ()) else "POST"
        query = httpx.QueryParams({"count": count, "wait": count})
        quoted = "".join(f"%{byte:02X}" for byte in id.encode())
        is_enveloped(send(method, f"{route.path}?{query}", b"", quoted))

    walk()
