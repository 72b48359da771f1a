"""``/metrics``, as Prometheus reads it from a broker of two processes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import Caller, Fleet, exchange
from tests.prometheus import Metrics
from tests.serving import Serving, until

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A broker with few projects: the metrics of all projects of a run take long to read."""
    running = Serving.start(tmp_path_factory.mktemp("measured"), workers=2)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def admin(serving: Serving) -> Caller:
    return serving.admin()


def test_a_project_shows_what_it_holds_and_what_has_happened(fleet: Fleet, serving: Serving) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    tasks = [worker.submit(project, unique_string=str(n), max_retries=2) for n in range(5)]
    voted = worker.submit(project, verification_count=2)
    assert worker.post("/task/submit", {"project": project, "recipe": "r", "unique_string": "0"}).status == 409
    for _ in tasks:
        worker.take(project)
    worker.release(tasks[0])
    worker.release(tasks[1], 1)
    worker.release(tasks[2], 2)
    assert worker.take(project)["id"] == voted
    worker.release(voted)
    assert worker.take(project)["id"] == tasks[1]
    worker.release(tasks[1], 1)

    metrics = Metrics.of(serving.url)

    states = {state: metrics("tasks", project=project, state=state) for state in ("waiting", "verifying", "assigned")}
    assert states == {"waiting": 1, "verifying": 1, "assigned": 2}
    assert metrics("tasks", project=project, state="failed") == 1
    totals = ("submitted", "duplicates", "assigned", "voted", "closed", "failed", "retried", "skipped", "reclaimed")
    assert [metrics(f"tasks_{total}_total", project=project) for total in totals] == [6, 1, 7, 1, 1, 1, 1, 1, 0]
    assert 0 <= metrics("oldest_waiting_task_seconds", project=project) < 60


def test_all_projects_together_are_shown_without_the_hidden_ones(fleet: Fleet, serving: Serving) -> None:
    hidden, shown = fleet.project(hidden=True), fleet.project()
    worker = fleet.worker(hidden, shown)
    for project in (hidden, hidden, shown):
        worker.submit(project)

    def sums_agree() -> bool:
        metrics = Metrics.of(serving.url)
        each = [sample for sample in metrics.samples if "project" in sample.labels]
        waiting = sum(it.value for it in each if it.name == "broker_tasks" and it.labels["state"] == "waiting")
        submitted = sum(it.value for it in each if it.name == "broker_tasks_submitted_total")
        return (metrics("all_tasks", state="waiting"), metrics("all_tasks_submitted_total")) == (waiting, submitted)

    until(sums_agree)


def test_each_process_answers_with_the_metrics_of_all(fleet: Fleet, serving: Serving) -> None:
    before = Metrics.of(serving.url)
    for _ in range(20):
        # Each over a new connection: some go to one process, some to the other.
        exchange(f"{serving.url}", b"GET /worker/get/0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET")
    route, name, bad = "/worker/get/{id}", "request_duration_seconds", {"status": 400}
    # A request is counted when its answer was sent.
    until(lambda: Metrics.of(serving.url)(f"{name}_count", route=route) - before(f"{name}_count", route=route) == 20)

    for _ in range(10):
        after = Metrics.of(serving.url)
        assert after("requests_total", route=route, **bad) - before("requests_total", route=route, **bad) == 20
        assert after(f"{name}_count", route=route) - before(f"{name}_count", route=route) == 20
        assert after(f"{name}_sum", route=route) > before(f"{name}_sum", route=route)
        assert after(f"{name}_bucket", route=route, le="+Inf") == after(f"{name}_count", route=route)


@pytest.mark.parametrize(
    ("request_line", "route", "status"),
    [
        ("GET /api/healthz", "/healthz", 200),
        ("POST /project/accept_request/1/1", "/project/accept_request/{id}/{worker}", 401),
        ("GET /ui/sign-in", "/ui", 200),
        ("GET /ui/nowhere", "/ui", 404),
        ("GET /nowhere/1234", "other", 404),
        ("PUT /task/submit", "other", 405),
    ],
)
def test_a_request_is_counted_by_its_route(
    fleet: Fleet, serving: Serving, request_line: str, route: str, status: int
) -> None:
    before = Metrics.of(serving.url)("requests_total", route=route, status=status)

    assert fleet.anybody.http.request(*request_line.split()).status_code == status

    # A call is counted when its answer was sent.
    until(lambda: Metrics.of(serving.url)("requests_total", route=route, status=status) == before + 1)


def test_what_a_path_spells_never_becomes_a_label(fleet: Fleet, serving: Serving) -> None:
    fleet.anybody.get('/task/get/"%7D%0A1234567')
    fleet.anybody.get("/ui/1234567")

    routes = {sample.labels["route"] for sample in Metrics.of(serving.url).samples if "route" in sample.labels}

    assert not any("1234567" in route for route in routes)


def test_a_request_under_way_is_in_flight_and_one_whose_client_goes_is_counted_as_such(serving: Serving) -> None:
    route = {"route": "/worker/create", "status": 499}
    before = Metrics.of(serving.url)
    caller = serving.caller()

    def half() -> "object":
        yield b"{"
        assert Metrics.of(serving.url)("requests_in_flight") > before("requests_in_flight")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        caller.http.post("/worker/create", content=half())  # type: ignore[arg-type]

    until(lambda: Metrics.of(serving.url)("requests_total", **route) == before("requests_total", **route) + 1)


def test_calls_of_workers_and_of_the_store_are_counted(fleet: Fleet, serving: Serving) -> None:
    project = fleet.project()
    worker = fleet.worker(project)
    before = Metrics.of(serving.url)
    for _ in range(10):
        worker.submit(project)

    after = Metrics.of(serving.url)

    def more(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    assert more("worker_records_total", result="hit") + more("worker_records_total", result="miss") == 10
    assert more("store_call_duration_seconds_count") >= 10
    # One after the other, so none leaves with another.
    assert more("store_writes_total") >= 10
    assert after("store_unanswered_total") == before("store_unanswered_total")


def test_without_a_token_nothing_of_a_hidden_project_is_shown(fleet: Fleet, serving: Serving) -> None:
    hidden, shown = fleet.project(hidden=True, name="a hidden name"), fleet.project(name="a name that is shown")

    metrics = Metrics.of(serving.url)

    assert metrics.has(project=shown)
    assert not metrics.has(project=hidden)
    assert "name" not in fleet.anybody.http.get("/metrics").text


def test_with_a_token_only_its_holder_reads_and_hidden_projects_are_shown(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, metrics_token="s3cret")
    try:
        admin = serving.admin()
        hidden: int = admin.post("/project/create", {"name": "hidden", "hidden": True}).content()["id"]

        for given in ("", "Bearer s3cre", "Bearer s3crets", "s3cret", "Basic s3cret", "Bearer \xff"):
            answer = serving.caller().get("/metrics", headers={b"Authorization": given.encode("latin-1")})
            assert (answer.status, answer.code) == (401, "bad_credentials")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "authorization" in answer.message

        assert Metrics.of(serving.url, "s3cret", "/api/metrics").has(project=hidden)
    finally:
        assert serving.stop() == 0


def test_each_metric_says_what_it_is_and_is_in_the_operators_table(serving: Serving) -> None:
    table = (DOCS / "operating.md").read_text()
    families = Metrics.of(serving.url).families

    for family in families:
        assert family.documentation.endswith("."), family.name
        assert family.type in {"counter", "gauge", "histogram"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert re.sub("_tasks_[a-z]+_total", "_tasks_X_total", name) in table, name


def test_every_metric_of_the_alerts_is_there(serving: Serving) -> None:
    rules = (DOCS / "alerts.yaml").read_text()
    named = set(re.findall(r"\bbroker_\w+", rules))
    there = {sample.name for sample in Metrics.of(serving.url).samples}

    assert named
    assert named <= there
